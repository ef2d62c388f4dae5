"""Makes an app of many modules, and edits it: what bench-reload reloads.

The app echoes. It also keeps the number of the last message in ws.state and closes a connection at which the next one
is not the next number, or whose state has not the form that the handler's version wants: a state that a reload loses
or migrates wrongly ends the load generator with an error.
"""
import pathlib

APP = """\
-- Generated: an echo with a state for each connection, and {count} modules.
local tidewire = require "tidewire"

return tidewire.app {{
    state_version = {form},
    routes = {{ ["/"] = require "echo" }},
}}
"""

ECHO = """\
-- Generated: echoes, and checks that its state goes from message to message.
local FORM <const> = {form} -- of ws.state
local modules = {{
{requires}}}

local echo = {{}}

-- The load generator's messages begin with their number, in hexadecimal, last digit first, and are 16,384.
local function number_of(data)
    return tonumber(data:sub(1, 8):reverse(), 16)
end

function echo.open(ws)
    ws.state = {{ form = FORM, modules = #modules, counts = {{ answered = 0 }} }}
end

function echo.message(ws, data, kind)
    local state, number = ws.state, number_of(data)
    if state.form ~= FORM then
        return ws:close(4000, "a state of another version")
    elseif state.last and (state.last + 1) % 16384 ~= number then
        return ws:close(4001, "a state was lost, or a message")
    end
    state.last = number
    state.counts.answered = state.counts.answered + 1
    ws:send(data, kind)
end

function echo.migrate(old, from)
    assert(old.form == from)
    return {{ form = FORM, modules = old.modules, counts = {{ answered = old.counts.answered }}, last = old.last }}
end

return echo
"""

MODULE = """\
-- Generated: module {number} of {count}, edition {edition}.
local module = {{ edition = {edition}, rules = {{}} }}
{functions}
return module
"""

FUNCTION = """
--- Generated: a rule of the size that rules have.
module.rules[{index}] = function(room, message, now)
    local limit = room.limits and room.limits[{index}] or {index}
    if not message or #message > limit * {number} then
        return nil, ("rule {index} of module {number}: %d bytes at %s"):format(#(message or ""), now)
    end
    local seen = room.seen or {{}}
    for index, one in ipairs(seen) do
        if one.text == message and now - one.time < limit then
            return nil, ("said before, as number %d"):format(index)
        end
    end
    seen[#seen + 1] = {{ text = message, time = now, by = room.names[{index} % (#room.names + 1)] }}
    return seen
end
"""
FUNCTIONS = 8  # of a module: about 6 KiB of source


class App:
    """An app in a folder: `count` modules besides app.lua and echo.lua."""

    def __init__(self, folder, count):
        self.folder, self.count, self.edition, self.form = pathlib.Path(folder), count, 0, 1
        for number in range(1, count + 1):
            self._write_module(number)
        self._write_handler()

    def edit(self):
        """Another edition of one module, each time of another one. The app does what it did before."""
        self.edition += 1
        self._write_module(self.edition % self.count + 1)

    def edit_state(self):
        """Another form of ws.state, with another state_version."""
        self.form += 1
        self._write_handler()

    def _write_module(self, number):
        functions = "".join(FUNCTION.format(index=index, number=number) for index in range(1, FUNCTIONS + 1))
        self._write(f"rules{number:02}.lua", MODULE, number=number, count=self.count, edition=self.edition,
                    functions=functions)

    def _write_handler(self):
        requires = "".join(f'    require "rules{number:02}",\n' for number in range(1, self.count + 1))
        self._write("echo.lua", ECHO, form=self.form, requires=requires)
        self._write("app.lua", APP, form=self.form, count=self.count)

    def _write(self, name, template, **values):
        path = self.folder / name
        new = path.with_suffix(".new")
        new.write_text(template.format(**values))
        new.rename(path)
