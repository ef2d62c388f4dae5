--- The command line: what there is to say, and how mistakes in it are told. Built on argparse, which
-- by itself would end the process; here everything comes back as a value.
local argparse = require "argparse"
local loader = require "tidewire.loader"
local nearest = require "tidewire.nearest"

local parser = {}

local outcome = {}

local function add_help(element)
    element:option("-h --help", "Show this help and exit."):args(0):action(function()
        error(setmetatable({ outcome = "help", text = element:get_help() .. "\n" }, outcome), 0)
    end)
end

local function add_common(command)
    command:argument("APP", "A script, or a folder with app.lua."):argname("APP"):target("app")
    command:option("--config", "Settings file (default: tidewire.lua beside the app)."):argname("FILE")
end

-- The commands to a running app.
local function add_asking(root, name, description)
    local command = root:command(name, description):add_help(false)
    command:argument("APP", "The app that runs (default: the one of this folder)."):argname("APP"):target("app")
        :args("?")
    command:option("--config", "Its settings file (default: tidewire.lua beside the app)."):argname("FILE")
    command:option("--control", "Its control socket (default: beside the app)."):argname("PATH")
    command:flag("--json", "Print the answer as JSON.")
    add_help(command)
    return command
end

local function add_exec(root)
    local exec = root:command("exec", "Run a script: a client, a tool."):add_help(false)
        :usage("Usage: tidewire exec [--log LEVEL] [-h] FILE [ARG]...")
    exec:argument("FILE", "A script, or - for stdin. What follows is its own: `arg`."):argname("FILE"):target("file")
    exec:option("--log", "Least level to log: debug, info, warn or error (default: info)."):argname("LEVEL")
    add_help(exec)
    exec:epilog("Ends with the script: status 0, 1 for an error, or that of os.exit.\n"
        .. "Example:   tidewire exec client.lua wss://example.org/chat")
end

-- What follows the FILE of `exec` is the script's, whatever it looks like. Returns the arguments for
-- argparse and those of the script.
local function split_script(arguments)
    local at = 2
    if arguments[1] ~= "exec" then
        return arguments, nil
    end
    while arguments[at] and arguments[at]:find("^%-.") and arguments[at] ~= "--" do
        at = at + (arguments[at] == "--log" and 2 or 1)
    end
    if arguments[at] == "--" then
        at = at + 1
    end
    return table.move(arguments, 1, math.min(at, #arguments), 1, {}), table.move(arguments, at + 1, #arguments, 1, {})
end

local function new_parser()
    local root = argparse("tidewire", "A runtime for WebSocket applications written in Lua.")
        :add_help(false):command_target("command"):help_description_margin(24)
        :usage_max_width(100):help_max_width(96)
    add_help(root)
    root:option("--version", "Show the version and exit."):args(0):action(function()
        error(setmetatable({ outcome = "version" }, outcome), 0)
    end)

    local run = root:command("run", "Serve an app."):add_help(false)
    add_common(run)
    run:option("--listen", "Where to listen; may be repeated (default: ws://127.0.0.1:8080).")
        :argname("URL"):count("*")
    run:option("--control", "Path of the control socket, or off (default: .tidewire.sock beside the app).")
        :argname("PATH")
    run:option("--log", "Least level to log: debug, info, warn or error (default: info)."):argname("LEVEL")
    run:option("--workers", "Number of worker processes (default: 1)."):argname("N")
    add_help(run)
    run:epilog("URLs:      ws://HOST:PORT  wss://HOST:PORT?cert=FILE&key=FILE  unix:PATH\n"
        .. "           (in a shell, quote one that has a `?` or `&`)\n"
        .. "Example:   tidewire run apps/chat --listen ws://127.0.0.1:9000 --log debug")

    local check = root:command("check", "Load an app and check it, without opening a socket."):add_help(false)
    add_common(check)
    check:flag("--json", "Print the result as JSON.")
    add_help(check)
    check:epilog("Example:   tidewire check apps/chat --json")

    add_exec(root)

    local reload = add_asking(root, "reload", "Tell a running app to read its certificates anew.")
    reload:option("--certificates", "Read all certificates and keys anew, or keep all as they are."):args(0):count(1)
    reload:epilog("Example:   tidewire reload --certificates apps/chat")
    local status = add_asking(root, "status", "Show what a running app is doing.")
    status:epilog("Example:   tidewire status --json")

    local version = root:command("version", "Show the version."):add_help(false)
    version:flag("--json", "Print it as JSON.")
    add_help(version)
    version:epilog("Example:   tidewire version --json")

    root:epilog("`tidewire COMMAND --help` tells more about a command.\n"
        .. "Settings: a flag goes over TIDEWIRE_CONFIG, TIDEWIRE_CONTROL, TIDEWIRE_LISTEN,\n"
        .. "TIDEWIRE_LOG and TIDEWIRE_WORKERS, these over tidewire.lua beside the app.\n"
        .. "Example:  tidewire run hello.lua")
    return root
end

local function names_of(elements)
    local names = {}
    for _, element in ipairs(elements) do
        for _, alias in ipairs(element._aliases) do
            names[#names + 1] = alias
        end
    end
    return names
end

-- An app in the place of a command.
local function command_hint(name, commands)
    local hint = nearest.hint(name, commands)
    if hint == "" and loader.locate(name) then
        hint = (" (did you mean `tidewire run %s`?)"):format(name)
    end
    return hint
end

-- argparse suggests names at a distance of one edit; all our suggestions come from one place.
local function with_hint(element, message)
    local kind, name = message:match("^unknown (%a+) '([^']*)'")
    if kind == "option" then
        return ("unknown option `%s`%s"):format(name, nearest.hint(name, names_of(element._options)))
    elseif kind == "command" then
        return ("unknown command `%s`%s"):format(name, command_hint(name, names_of(element._commands)))
    end
    return (message:gsub("'", "`"))
end

local function usage_error(element, message)
    error(setmetatable({
        outcome = "usage",
        text = ("tidewire: %s\n%s\nTry `%s --help`.\n"):format(with_hint(element, message), element:get_usage(),
            element._parent and "tidewire " .. element._name or "tidewire"),
    }, outcome), 0)
end

--- Parses the arguments (a list). Returns one of
--   { command = "run" | "check" | "exec" | "reload" | "status" | "version", and the options by name; for exec
--     `arguments`, those of the script }
--   { outcome = "help", text = ... } for --help
--   { outcome = "version" } for --version
--   { outcome = "usage", text = ... } for a mistake
function parser.parse(arguments)
    local root = new_parser()
    root.error = usage_error
    local ours, of_script = split_script(arguments)
    local ok, result = pcall(root.parse, root, ours)
    if ok then
        result.arguments = of_script
    end
    if ok or getmetatable(result) == outcome then
        return result
    end
    error(result, 0)
end

return parser
