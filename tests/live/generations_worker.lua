--- Takes the place of tidewire.worker: what this worker serves is made by the test, with tidewire.core alone.
-- The test writes chunks, 1.lua, 2.lua, ..., into the folder $CHUNKS; each runs in a task of its own, and its results
-- are written, as JSON, to 1.json, ...
local core = require "tidewire.core"

local folder = os.getenv "CHUNKS"
local inside = setmetatable({ core = core, gens = {} }, { __index = _G })

function inside.note(...)
    local words = table.pack(...)
    for i = 1, words.n do
        words[i] = tostring(words[i])
    end
    core.log("info", "note: " .. table.concat(words, "|"))
end

-- Makes a generation. text: a chunk that returns { [pattern] = handler, or a function for plain HTTP }; it gets its
-- cache of modules, and `tidewire` with what of it these tests use.
function inside.make(number, state_version, text)
    local loaded = {}
    local app = setmetatable({ tidewire = core, version = number, modules = loaded }, { __index = inside })
    local routes = {}
    for pattern, handler in pairs(assert(load(text, "=v" .. number, "t", app))()) do
        local plain = type(handler) == "function"
        routes[#routes + 1] = {
            pattern = pattern, limits = {}, protocols = not plain and handler.protocols or nil,
            handler = not plain and handler or nil, serve = plain and handler or nil,
        }
    end
    inside.object = inside.object or { name = "the app" }
    local record = { number = number, generation = { loaded = loaded } }
    inside.gens[number] = assert(core.generation {
        number = number, state_version = state_version, app = inside.object, record = record, routes = routes,
    })
    return inside.gens[number]
end

local function run(path)
    local chunk, wrong = loadfile(path .. ".lua", "t", inside)
    local results = chunk and table.pack(xpcall(chunk, debug.traceback)) or { n = 2, false, wrong }
    local out = assert(io.open(path .. ".part", "w"))
    for i = 1, results.n do
        results[i] = results[i] == nil and core.json_null or results[i]
    end
    out:write(core.json_encode(core.json_array(table.move(results, 1, results.n, 1, {}))))
    out:close()
    os.rename(path .. ".part", path .. ".json")
end

local function exists(path)
    local file = io.open(path)
    return file and file:close()
end

return {
    boot = function(_, listeners)
        core.reporter(function(where, err)
            core.log("error", tostring(err), { where = where })
        end)
        local last = 0
        core.every(0.005, function()
            while exists(("%s/%d.lua"):format(folder, last + 1)) do
                last = last + 1
                core.spawn(run, ("%s/%d"):format(folder, last))
            end
        end)
        return "listening " .. table.concat(listeners, "\nlistening ") .. "\n"
    end,
    stop = function() end,
}
