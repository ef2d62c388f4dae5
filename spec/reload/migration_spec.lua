local versions = require "support.versions"

local app = versions.app

describe("a reload with another state_version", function()
    local v, core

    before_each(function()
        v = versions.new()
        core = v.core
        v:boot(app())
        v.state().rooms = { lobby = { size = 1 } }
    end)

    local function with(number, fields)
        return app(("state_version = %d, %s"):format(number, fields or ""))
    end

    local wraps = "migrate = function(old, from) return { from = from, old = old.rooms } end,"

    local function refused(answer, phase)
        assert.same({ false, phase }, { answer.ok, answer.phase })
        assert.equal("tidewire: " .. answer.message, answer.text:match("^[^\n]*"))
        return answer.message
    end

    it("migrates app.state behind the barrier, and takes the result at the commit", function()
        local object, rooms = core.installed.app, v.state().rooms
        local answer = v:prepare(2, with(2, wraps))
        assert.is_true(answer.ok)
        assert.equal(rooms, object.state.rooms)
        assert.is_nil(core.holding)
        core.held = 3
        answer = v:barrier(2, { grace = 2 })
        assert.same({ true, 3 }, { answer.ok, answer.held })
        assert.is_number(answer.phases.migrate)
        assert.is_true(core.holding)
        assert.same({ "quiet", 2 }, core.calls[#core.calls])
        assert.same({ rooms, 1 }, { object.state.rooms, object.state_version })
        rooms.lobby.size = 2
        answer = v:commit(2)
        assert.same({ true, 3 }, { answer.ok, answer.held })
        assert.is_false(core.holding)
        assert.equal(object, core.installed.app)
        assert.same({ 1, rooms, 2 }, { object.state.from, object.state.old, object.state_version })
    end)

    it("refuses a migration that raises, with its place", function()
        local answer = v:prepare(2, with(2, "\nmigrate = function(old)\nlocal x = old.users.n\nend,"))
        assert.equal("app.lua:5: attempt to index a nil value (field 'users')", refused(answer, "dry_run"))
        assert.same({ "app.lua", 5 }, { answer.file, answer.line })
        assert.is_truthy(answer.text:find("> 5 | local x = old.users.n", 1, true))
        assert.equal("1 current", v:roles())
    end)

    it("refuses a migration that returns no table, or no plain data", function()
        assert.equal("app.lua: migrate returned nothing: it has to return the new state, a table",
            refused(v:prepare(2, with(2, "migrate = function() end,")), "dry_run"))
        assert.equal("app.lua: migrate returned a number: it has to return the new state, a table",
            refused(v:prepare(2, with(2, "migrate = function() return 5 end,")), "dry_run"))
        assert.equal("app.state.f: a function",
            refused(v:prepare(2, with(2, "migrate = function() return { f = print } end,")), "dry_run"))
    end)

    it("refuses a migration that changes its input", function()
        local answer = v:prepare(2, with(2, "migrate = function(old) old.rooms.lobby.size = 5 return old end,"))
        assert.equal("app.lua: migrate has changed what it was given, at app.state.rooms.lobby.size: it has to make "
            .. "new tables and to leave the old ones as they are, for the way back", refused(answer, "dry_run"))
        assert.equal(1, v.state().rooms.lobby.size)
    end)

    it("refuses a migration that acts", function()
        local answer = v:prepare(2, with(2, "migrate = function() tidewire.publish('a', 'b') return {} end,"))
        assert.is_truthy(refused(answer, "dry_run"):find "tidewire.publish is not allowed")
    end)

    it("takes a migration that gives back what it got", function()
        local rooms = v.state().rooms
        v:take(2, with(2, "migrate = function(old) return old end,"))
        assert.equal(rooms, v.state().rooms)
    end)

    it("wants a migration, unless there is nothing to migrate", function()
        local answer = v:prepare(2, with(2))
        assert.equal("app.lua: state_version went from 1 to 2, and nothing migrates app.state",
            refused(answer, "state"))
        assert.is_truthy(answer.text:find "declare migrate = function%(old, from%)")
        v.state().rooms = nil
        v:take(2, with(2))
        assert.equal(2, core.installed.app.state_version)
        v.state().n = 1
        v:take(3, 'return { state_version = 3, routes = { ["/"] = { message = print, migrate = print } } }')
        assert.same({ 1, 3 }, { v.state().n, core.installed.app.state_version })
    end)

    it("lets calls go on when the real migration fails", function()
        assert.is_true(v:prepare(2, with(2, "migrate = function(old) return { n = old.rooms.lobby.size + 1 } end,")).ok)
        v.state().rooms.lobby = nil
        local answer = v:barrier(2)
        assert.is_truthy(refused(answer, "migrate"):find "attempt to index a nil value")
        assert.is_false(core.holding)
        assert.equal("1 current", v:roles())
        assert.is_false(v:commit(2).ok)
        assert.equal(1, core.installed.app.state_version)
    end)

    it("lets calls go on when the barrier times out, and names what blocks", function()
        v:prepare(2, with(2, wraps))
        core.noise = { nil, { { kind = "handler", what = "message of /", where = "app.lua:3", seconds = 6 } }, 3 }
        local answer = v:barrier(2)
        assert.equal("what runs has not ended within 5 s, so the state cannot be migrated", refused(answer, "barrier"))
        assert.is_truthy(answer.text:find("\n    message of / at app.lua:3, for 6.0 s\n    and 2 more\n", 1,
            true))
        assert.is_false(core.holding)
        assert.equal("1 current", v:roles())
    end)

    it("is given up behind the barrier", function()
        v:prepare(2, with(2, wraps))
        v:barrier(2)
        v.reload.abandon { version = 2 }
        assert.is_false(core.holding)
        assert.equal("1 current", v:roles())
        assert.equal(1, v.state().rooms.lobby.size)
        assert.is_false(v:commit(2).ok)
    end)

    it("is given up while the barrier waits", function()
        v:prepare(2, with(2, wraps))
        function core.on_quiet()
            v.reload.abandon { version = 2 }
            assert.is_false(core.holding)
        end
        assert.equal("the reload was abandoned", refused(v:barrier(2), "abandoned"))
        assert.is_false(core.holding)
        assert.equal("1 current", v:roles())
    end)

    it("does not commit what has not passed the barrier", function()
        v:prepare(2, with(2, wraps))
        assert.is_false(v:commit(2).ok)
        assert.equal(1, v.state().rooms.lobby.size)
        assert.equal("version 3 is not prepared in this worker", refused(v:barrier(3), "barrier"))
    end)

    describe("and the way back", function()
        it("is what was replaced, while it is watched", function()
            local before = v.state()
            v:take(2, with(2, wraps), { watch = 7 })
            assert.equal(7, core.afters[1].seconds)
            v:take(1, nil, { rollback = true })
            assert.same({ before, 1 }, { v.state(), core.installed.app.state_version })
            assert.equal("1 current", v:roles())
            assert.is_true(core.afters[1].cancelled)
        end)

        it("is refused afterwards", function()
            v:take(2, with(2, wraps))
            assert.equal(30, core.afters[1].seconds)
            assert.equal("1 kept, 2 current", v:roles())
            core.afters[1].fire()
            assert.equal("2 current", v:roles())
            local answer = v:prepare(1, app(), { rollback = true })
            assert.equal("version 1 has state_version 1, and version 2 has no downgrade", refused(answer, "state"))
        end)

        it("is not lost when the watch ends while it is prepared", function()
            local before = v.state()
            v:take(2, with(2, wraps))
            v:prepare(1, nil, { rollback = true })
            core.afters[1].fire()
            assert.equal("1 kept, 2 current", v:roles())
            v:barrier(1)
            assert.is_true(v:commit(1, { rollback = true }).ok)
            assert.equal(before, v.state())
            v:take(2, with(2, wraps))
            v:prepare(1, nil, { rollback = true })
            core.afters[2].fire()
            v.reload.abandon {}
            assert.equal("2 current", v:roles())
        end)

        it("is refused for a reload: what was changed since would be lost", function()
            v:take(2, with(2, wraps))
            assert.equal("version 3 has state_version 1, and version 2 has no downgrade",
                refused(v:prepare(3, app()), "state"))
        end)

        it("is the newer version's downgrade, which sees what has changed", function()
            v:take(2, with(2, wraps .. "downgrade = function(state, to) return { to = to, rooms = state.old } end,"))
            v.state().old.hall = { size = 3 }
            core.afters[1].fire()
            v:take(1, app(), { rollback = true })
            assert.same({ to = 1, rooms = { lobby = { size = 1 }, hall = { size = 3 } } }, v.state())
            v:take(4, with(4, "migrate = function(old) return { n = 1 } end,"
                .. "\ndowngrade = function(state) return state.n.m end,"))
            assert.equal("app.lua:4: attempt to index a number value (field 'n')",
                refused(v:prepare(1, app(), { rollback = true }), "dry_run"))
        end)

        it("needs nothing when there is no state", function()
            v.state().rooms = nil
            v:take(2, with(2))
            core.afters[1].fire()
            v:take(1, app(), { rollback = true })
            assert.equal(1, core.installed.app.state_version)
        end)

        it("goes with the next commit", function()
            v:take(2, with(2, wraps))
            v:take(3, with(2, wraps))
            assert.equal("version 1 has state_version 1, and version 3 has no downgrade",
                refused(v:prepare(1, app(), { rollback = true, hash = "again" }), "state"))
        end)
    end)

    describe("and connections", function()
        local function handler(fields)
            return ('return { state_version = 2, migrate = function(old) return {} end, routes = { '
                .. '["/chat/:room"] = { message = print, %s } } }'):format(fields)
        end

        local function connect(serial, state, version)
            core.connections[#core.connections + 1] = {
                serial = serial, state = state, version = version or 1, pattern = "/chat/:room",
                ws = { id = "w-" .. serial }, handler = {},
            }
        end

        it("rehearses the handler's migration with each state", function()
            for serial = 1, 200 do
                connect(serial, { n = serial })
            end
            assert.is_true(v:prepare(2, handler "migrate = function(old, from) return { from + old.n } end").ok)
            connect(201, { n = "x" })
            assert.is_truthy(refused(v:prepare(2, handler "migrate = function(old, from) return { from + old.n } end"),
                "dry_run"):find "^app.lua:1: attempt to ")
            assert.same({ n = 1 }, core.connections[1].state)
        end)

        it("takes nil for a state, and refuses what is no table or no plain data", function()
            connect(1, { n = 1 })
            assert.is_true(v:prepare(2, handler "migrate = function() end").ok)
            assert.equal("app.lua: /chat/:room: migrate returned a number: it has to return the new state, a table",
                refused(v:prepare(2, handler "migrate = function() return 5 end"), "dry_run"))
            local answer = v:prepare(2, handler "migrate = function() return { print } end")
            assert.equal("ws.state[1]: a function", refused(answer, "dry_run"))
            assert.is_truthy(answer.text:find("\n    of connection w-1 on /chat/:room\n    state is plain data", 1,
                true))
            assert.equal("app.lua: /chat/:room: migrate has changed what it was given, at ws.state.n: it has to make "
                .. "new tables and to leave the old ones as they are, for the way back",
                refused(v:prepare(2, handler "migrate = function(old) old.n = 2 return old end"), "dry_run"))
        end)

        it("tells from which version a state comes, and leaves alone what has the form already", function()
            connect(1, { seen = 1 })
            connect(2, {}, 2)
            assert.equal("1", refused(v:prepare(2, handler "migrate = function(old, from) error(from) end"),
                "dry_run"))
            core.connections[1].version = 2
            assert.is_true(v:prepare(2, handler "migrate = function(old, from) error(from) end").ok)
        end)

        it("wants a downgrade where there was a migration, unless what was replaced is kept", function()
            v:take(2, handler "migrate = function(old) return old end")
            connect(1, { n = 1 }, 2)
            core.connections[1].handler = { migrate = print }
            local older = handler "":gsub("state_version = 2, migrate = function%(old%) return {} end,", "")
            assert.is_true(v:prepare(3, older, { rollback = true }).ok)
            v.state().rooms = nil
            core.afters[1].fire()
            local answer = v:prepare(3, older, { rollback = true })
            assert.equal("version 3 has state_version 1, and version 2 has no downgrade of /chat/:room",
                refused(answer, "state"))
            core.connections[1].handler = {}
            assert.is_true(v:prepare(3, older, { rollback = true }).ok)
        end)

        it("rehearses the newer handler's downgrade on the way back", function()
            v:take(2, handler "migrate = function(old) return old end")
            connect(1, { n = 1 }, 2)
            core.connections[1].handler = { downgrade = function(state, to)
                error(("no way from %d to %d"):format(state.n, to), 0)
            end }
            assert.is_true(v:prepare(1, nil, { rollback = true }).ok) -- there the pattern is another one
            v.reload.abandon {}
            local older = handler "":gsub("state_version = 2, migrate = function%(old%) return {} end,", "")
            assert.equal("no way from 1 to 1", refused(v:prepare(3, older, { rollback = true }), "dry_run"))
        end)
    end)
end)

describe("the check of states", function()
    local v

    before_each(function()
        v = versions.new()
        v:boot('local tidewire = require "tidewire"\nlocal meta = { __index = function() return tidewire end }\n'
            .. "return { message = function() return setmetatable({}, meta) end }")
    end)

    it("refuses what would bring old code along, and says what state is", function()
        v.state().rooms = { lobby = { on_done = print } }
        local answer = v:prepare(2, app())
        assert.same({ false, "state", "app.state.rooms.lobby.on_done: a function" },
            { answer.ok, answer.phase, answer.message })
        assert.is_truthy(answer.text:find("\n    state is plain data: scalars, tables, connections and objects of "
            .. "tidewire.class; functions belong into modules\n", 1, true))
    end)

    it("looks at all that is kept with the app", function()
        v.core.installed.app.cache = { print }
        assert.equal("app.cache[1]: a function", v:prepare(2, app()).message)
        assert.equal("app.cache[1]: a function",
            v:prepare(2, app "state_version = 2, migrate = function(old) return {} end,").message)
    end)

    it("tells the version whose a metatable is", function()
        v.state().rooms = { lobby = v.core.installed.routes[1].handler.message() }
        assert.equal("app.state.rooms.lobby: a metatable of version 1, not of a class (tidewire.class)",
            v:prepare(2, app()).message)
        v.state().rooms = { lobby = setmetatable({}, {}) }
        assert.equal("app.state.rooms.lobby: a metatable, not of a class (tidewire.class)", v:prepare(2, app()).message)
    end)

    it("looks at every connection, and tells which it is", function()
        for serial = 1, 130 do
            v.core.connections[serial] = {
                serial = serial * 2, state = {}, version = 1, pattern = "/", ws = { id = "w-" .. serial }, handler = {},
            }
        end
        assert.is_true(v:prepare(2, app()).ok)
        v.core.connections[129].state.on_done = print
        local answer = v:prepare(2, app())
        assert.equal("ws.state.on_done: a function", answer.message)
        assert.is_truthy(answer.text:find("\n    of connection w-129 on /\n", 1, true))
    end)

    it("lets others run on its way", function()
        local turns = 0
        for i = 1, 1000 do
            v.state()[i] = { i }
        end
        local _ <close> = v:pausing(function()
            turns = turns + 1
        end)
        assert.is_true(v:prepare(2, app()).ok)
        assert.is_true(turns > 10)
    end)
end)
