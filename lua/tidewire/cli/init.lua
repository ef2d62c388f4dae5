--- The commands: from the argument list to an exit status, or to a plan that C carries out.
local parser = require "tidewire.cli.parser"

local cli = {}

--- Exit codes.
cli.DONE, cli.FAILED, cli.USAGE = 0, 1, 2

-- Asked only where it matters: it starts a shell.
local function shows_colour()
    local no_colour = os.getenv "NO_COLOR"
    return (no_colour == nil or no_colour == "") and os.getenv "TERM" ~= "dumb" and os.execute "test -t 1" == true
end

--- Runs a command. arguments: a list without the program's name. streams: { out =, err = } with
-- `write` and `flush`, and colour(): may out be coloured?; by default stdout and stderr. Returns an exit status, or
-- for `exec` a plan (see tidewire.cli.exec), or for `run` and `dev` a plan:
--   command   "run"
--   dev       true: watch the app's files, and reload them when they are saved
--   app       the path as it was given; root: the folder of the entry script
--   settings  each { value =, from = }, plain data (see settings.resolve)
--   listen    list of { url =, text = (where it was given, for messages) }
--   log       "debug", "info", "warn" or "error"
--   log_file  path of the log, or nil: stderr
--   workers   number of worker processes
--   tls       certificates of wss listeners that name none, or nil (see tidewire.certificates)
--   control   path of the control socket, or nil; control_asked: somebody has named it
--   limits    limits of the process as numbers; `connections` only when it is set
function cli.main(arguments, streams)
    streams = streams or { out = io.stdout, err = io.stderr, colour = shows_colour }
    local asked = parser.parse(arguments)
    local result
    if asked.outcome == "help" then
        streams.out:write(asked.text)
        result = cli.DONE
    elseif asked.outcome == "usage" then
        streams.err:write(asked.text)
        result = cli.USAGE
    elseif asked.outcome == "version" then
        result = require("tidewire.cli.version").run({}, streams)
    else
        result = require("tidewire.cli." .. asked.command).run(asked, streams)
    end
    streams.out:flush()
    streams.err:flush()
    return result
end

return cli
