--- The command line: what there is to say, and how mistakes in it are told. Built on argparse, which
-- by itself would end the process; here everything comes back as a value.
local argparse = require "argparse"
local expect = require "tidewire.expect"
local loader = require "tidewire.loader"
local nearest = require "tidewire.nearest"

local parser = {}

local outcome = {}

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

local function add_help(element)
    element:option("-h --help", "Show this help and exit."):args(0):action(function()
        error(setmetatable({ outcome = "help", text = element:get_help() .. "\n" }, outcome), 0)
    end)
end

local function add_common(command)
    command:argument("APP", "A script, or a folder with app.lua."):argname("APP"):target("app")
    command:option("--config", "Settings file (default: tidewire.lua beside the app)."):argname("FILE")
end

-- The commands that serve an app. example: a command line.
local function add_serving(root, name, description, example)
    local command = root:command(name, description):add_help(false)
    add_common(command)
    command:option("--listen", "Where to listen; may be repeated (default: ws://127.0.0.1:8080).")
        :argname("URL"):count("*")
    command:option("--control", "Path of the control socket, or off (default: .tidewire.sock beside the app).")
        :argname("PATH")
    command:option("--log", "Least level to log: debug, info, warn or error (default: info)."):argname("LEVEL")
    command:option("--log-file", "Log to the end of this file, opened anew at USR1 (default: stderr)."):argname("FILE")
    command:option("--workers", "Number of worker processes (default: 1)."):argname("N")
    add_help(command)
    command:epilog("URLs:      ws://HOST:PORT  wss://HOST:PORT?cert=FILE&key=FILE  unix:PATH\n"
        .. "           systemd:NAME  sockets that systemd passes on; systemd: takes all of them\n"
        .. "           (in a shell, quote one that has a `?` or `&`)\n"
        .. "Options of a URL, behind `?` and joined by `&`:\n"
        .. "           proxy_protocol=on    connections begin with a PROXY header, from `proxies`\n"
        .. "           cert=FILE&key=FILE   TLS; again for further certificates\n"
        .. "           client_ca=FILE       clients show a certificate of these authorities\n"
        .. "           client=optional      or none\n"
        .. "           tls=on               of systemd: TLS with the certificates of tidewire.lua\n"
        .. "Example:   " .. example)
    return command
end

-- The commands to a running app.
-- add_own: adds what only this one has.
local function add_asking(root, name, description, add_own)
    local command = root:command(name, description):add_help(false)
    command:argument("APP", "The app that runs (default: the one of this folder)."):argname("APP"):target("app")
        :args("?")
    add_own(command)
    command:option("--config", "Its settings file (default: tidewire.lua beside the app)."):argname("FILE")
    command:option("--control", "Its control socket (default: beside the app)."):argname("PATH")
    command:flag("--json", "Print the answer as JSON.")
    add_help(command)
    return command
end

-- "10%" or "10".
local function share(text)
    local n = math.tointeger(tonumber(text:match("^(%d+)%%?$")))
    if n and n >= 1 and n <= 99 then
        return n
    end
    return nil, ("--canary: expected a share from 1%% to 99%%, got %s"):format(expect.quote(text))
end

local function version_number(text)
    local n = text:match("^%d+$") and math.tointeger(tonumber(text))
    return n and n >= 1 and n < 2 ^ 31 and n or nil
end

local function add_reload(reload)
    local canary = reload:option("--canary", "At first for this share of the connections: 1% to 99%.")
        :argname("SHARE"):convert(share)
    local wait = reload:flag("--wait", "Wait until the new version is stable, or rolled back.")
    local force = reload:flag("--force", "Close what keeps old versions alive, when they are too many.")
    local dry_run = reload:flag("--dry-run", "Do all but the last step, and tell what would be.")
    local certificates = reload:flag("--certificates", "Read all certificates anew, and nothing else.")
    for _, option in ipairs { dry_run, canary, wait, force } do
        reload:mutex(certificates, option)
    end
    reload:mutex(dry_run, wait)
    reload:mutex(dry_run, canary)
    reload:usage("Usage: tidewire reload [--canary SHARE] [--wait] [--force] [--dry-run] [--config FILE]\n"
        .. "       [--control PATH] [--json] [-h] [APP]\n"
        .. "       tidewire reload --certificates [--config FILE] [--control PATH] [--json] [-h] [APP]")
    reload:epilog("Example:   tidewire reload --canary 10% --wait apps/chat")
end

-- The version's number may come first, and stand without the app.
local function sort_out(command, asked)
    if asked.app and version_number(asked.app) and not (asked.to and version_number(asked.to)) then
        asked.app, asked.to = asked.to, asked.app
    end
    local to = asked.to and version_number(asked.to)
    if asked.to and not to then
        usage_error(command, ("N: expected the number of a version, got %s"):format(expect.quote(asked.to)))
    end
    asked.to = to
end

local function add_rollback(rollback)
    rollback:argument("N", "The version's number (default: the one before)."):argname("N"):target("to"):args("?")
    rollback:action(function(asked)
        sort_out(rollback, asked)
    end)
    rollback:epilog("Example:   tidewire rollback 7")
end

local function add_versions(versions)
    versions:option("--diff", "Show what differs between two of them."):args(2):argname { "A", "B" }
        :convert(function(text)
            return version_number(text), ("--diff: expected the number of a version, got %s"):format(expect.quote(text))
        end)
    versions:epilog("Example:   tidewire versions --diff 7 8")
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

    add_serving(root, "run", "Serve an app.", "tidewire run apps/chat --listen ws://127.0.0.1:9000 --log debug")
    add_serving(root, "dev", "Serve an app, and reload it whenever a file of it is saved.", "tidewire dev hello.lua")

    local check = root:command("check", "Load an app and check it, without opening a socket."):add_help(false)
    add_common(check)
    check:option("--listen", "Where it shall listen; may be repeated (default: as for run)."):argname("URL"):count("*")
    check:flag("--json", "Print the result as JSON.")
    add_help(check)
    check:epilog("Example:   tidewire check apps/chat --json")

    add_exec(root)

    add_asking(root, "reload", "Let a running app take the code that is on the disk now.", add_reload)
    add_asking(root, "rollback", "Go back to an earlier version of a running app's code.", add_rollback)
    add_asking(root, "versions", "List the versions of a running app's code.", add_versions)
    add_asking(root, "status", "Show what a running app is doing.", function(status)
        status:epilog("Example:   tidewire status --json")
    end)

    local version = root:command("version", "Show the version."):add_help(false)
    version:flag("--json", "Print it as JSON.")
    add_help(version)
    version:epilog("Example:   tidewire version --json")

    root:epilog("`tidewire COMMAND --help` tells more about a command.\n"
        .. "Settings: a flag goes over TIDEWIRE_CONFIG, TIDEWIRE_CONTROL, TIDEWIRE_LISTEN,\n"
        .. "TIDEWIRE_LOG, TIDEWIRE_LOG_FILE and TIDEWIRE_WORKERS, these over tidewire.lua beside the app.\n"
        .. "Example:  tidewire run hello.lua")
    return root
end

--- Parses the arguments (a list). Returns one of
--   { command = "run" | "dev" | "check" | "exec" | "reload" | "rollback" | "versions" | "status" | "version", and
--     the options by name; for exec `arguments`, those of the script }
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
