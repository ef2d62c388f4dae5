--- The script of `tidewire exec`: runs it as the main coroutine, with the globals of an app and `arg`.
local chunk = require "tidewire.chunk"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local loader = require "tidewire.loader"
local report = require "tidewire.report"

local script = {}

-- As of Lua: true or nothing is 0, false is 1. The second argument of Lua's own has no meaning here:
-- the state is always closed.
local function status_of(code)
    if code == nil or code == true then
        return 0
    elseif code == false then
        return 1
    end
    local status = math.tointeger(code)
    if not status then
        return nil, ("bad argument #1 to 'exit' (true, false or a whole number expected, got %s)")
            :format(expect.show(code))
    end
    return status
end

local function exit(code)
    local status, wrong = status_of(code)
    if not status then
        error(wrong, 2)
    end
    core.exit(status)
end

-- What is raised by a task that the script has spawned, or by a handler.
local function new_reporter(sources)
    return function(where, err, traceback)
        local message, details = report.entry(err, traceback, sources)
        core.log("error", message, { where = where }, details)
    end
end

-- plan.entry of loader.locate, plan.arguments. Returns the generation and the compiled script, or nil
-- and a whole message.
local function load(plan)
    local generation = loader.new_generation(plan.entry, { public = require "tidewire" })
    local arguments = table.move(plan.arguments, 1, #plan.arguments, 1, { [0] = plan.file })
    for _, env in ipairs { generation.env, generation.library_env } do
        rawset(env, "arg", arguments)
    end
    generation.loaded.os.exit = exit
    local main, message = chunk.compile(plan.entry.text, plan.entry.file, generation.env, generation.sources)
    if not main then
        return nil, (report.failure(message, nil, generation.sources))
    end
    return generation, main
end

-- An app that is started as a script would end without a word.
local function warn_of_app(result, plan)
    if type(result) == "table" then
        core.log("warn", "the script has returned a table, which nobody uses; an app is served by `tidewire run`",
            { file = plan.file })
    end
end

--- Runs the script of a plan (see tidewire.cli), in a task. err: a stream with `write` for what ends it, by
-- default stderr. Returns the exit status.
function script.run(plan, err)
    err = err or io.stderr
    local generation, main = load(plan)
    if not generation then
        err:write(main)
        return 1
    end
    core.reporter(new_reporter(generation.sources))
    local traceback
    local ok, result = xpcall(main, function(raised)
        traceback = debug.traceback("", 2)
        return raised
    end, table.unpack(plan.arguments))
    if not ok then
        err:write((report.failure(result, traceback, generation.sources)))
        return 1
    end
    warn_of_app(result, plan)
    return 0
end

return script
