local versions = require "support.versions"

local app = versions.app

describe("a reload", function()
    local v, core

    before_each(function()
        v = versions.new()
        core = v.core
    end)

    local function committed()
        local list = {}
        for _, call in ipairs(core.calls) do
            if call[1] == "commit" then
                list[#list + 1] = { table.unpack(call, 2) }
            end
        end
        return list
    end

    it("boots a version from its bundle", function()
        local record = v:boot {
            ["app.lua"] = 'local a = require "a"\nreturn { message = a }', ["a.lua"] = "return print",
        }
        assert.equal(1, record.number)
        assert.same({ { 1 } }, committed())
        assert.equal("/", core.installed.routes[1].pattern)
        assert.equal(record, core.installed.record)
        assert.same({ root = ".", state = {}, state_version = 1 }, core.installed.app)
        assert.same({ 1, 1 }, { core.installed.number, core.installed.state_version })
        assert.equal(1048576, core.installed.limits.message)
        assert.equal("1 current", v:roles())
    end)

    it("tells why a first version cannot be loaded", function()
        local ok, message = pcall(v.boot, v, "return }")
        assert.is_false(ok)
        assert.is_truthy(message:find("tidewire: app.lua:1: unexpected symbol near '}'\n\n    > 1 | return }", 1,
            true))
        assert.equal("", v:roles())
        assert.same({
            ok = false, phase = "stopping", message = "the worker ends", text = "tidewire: the worker ends\n",
        }, v:prepare(2, app()))
    end)

    it("prepares a version beside the one that serves, and commits it", function()
        v:boot(app())
        v.state().n = 5
        core.live[1].connections, core.live[1].handled, core.live[1].failed = 3, 10, 1
        local answer = v:prepare(2, app())
        assert.is_true(answer.ok)
        assert.same({ 3, 0, 10, 1 }, { answer.connections, answer.held, answer.handled, answer.failed })
        for _, phase in ipairs { "compile", "load", "contract", "state", "dry_run" } do
            assert.is_number(answer.phases[phase])
        end
        assert.equal("1 current, 2 prepared", v:roles())
        assert.is_false(core.is_loading)
        answer = v:commit(2)
        assert.is_true(answer.ok)
        assert.is_number(answer.phases.commit)
        assert.equal("1 kept, 2 current", v:roles())
        assert.equal(5, v.state().n)
        assert.equal(2, v.reload.current().number)
        v:take(3, app())
        assert.equal("1 old, 2 kept, 3 current", v:roles())
        v:gen(1).connections = 0
        assert.equal("2 kept, 3 current", v:roles())
    end)

    it("tells what is wrong with a version, where, and leaves nothing of it", function()
        v:boot(app())
        for phase, text in pairs {
            compile = "local x = 1\nreturn }",
            load = "local x = 1\nerror 'boom'",
            contract = "local x = 1\nreturn 5",
            check = "local x = 1\n return { routes = { ['/'] = { message = print } }, "
                .. "check = function() error 'no' end }",
        } do
            local answer = v:prepare(2, text)
            assert.same({ false, phase, "app.lua" }, { answer.ok, answer.phase, answer.file })
            assert.equal("tidewire: " .. answer.message, answer.text:match("^[^\n]*"))
            assert.equal(phase ~= "contract" and 2 or nil, answer.line)
            assert.equal("1 current", v:roles())
            assert.is_false(core.is_loading)
            assert.equal("version 2 is not prepared in this worker", v:commit(2).message)
        end
        local answer = v.reload.prepare({ version = 2 }, "TWB1 and not more")
        assert.same({ false, "compile" }, { answer.ok, answer.phase })
        assert.is_truthy(answer.message:find "^version 2: a damaged bundle")
    end)

    it("tells a route that C does not take", function()
        v:boot(app())
        core.refuse_install = { "out of memory", 1 }
        local answer = v:prepare(2, app())
        assert.same({ false, "contract", 'app.lua: routes["/"]: out of memory' },
            { answer.ok, answer.phase, answer.message })
    end)

    it("is given up when it is abandoned", function()
        v:boot(app())
        assert.is_true(v:prepare(2, app()).ok)
        v.reload.abandon { version = 7 }
        assert.equal("1 current, 2 prepared", v:roles())
        v.reload.abandon { version = 2 }
        assert.equal("1 current", v:roles())
        assert.equal("version 2 is not prepared in this worker", v:commit(2).message)
        v.reload.abandon { version = 2 }
    end)

    it("stops at its next turn when it is abandoned meanwhile", function()
        v:boot(app())
        for i = 1, 200 do
            v.state()[i] = { i }
        end
        for stop_at = 1, 3 do
            local turns = 0
            local _ <close> = v:pausing(function()
                turns = turns + 1
                if turns == stop_at then
                    v.reload.abandon { version = 2 }
                end
            end)
            local answer = v:prepare(2, app())
            assert.equal(stop_at, turns)
            assert.same({ false, "abandoned", "the reload was abandoned" }, { answer.ok, answer.phase, answer.message })
            assert.equal("1 current", v:roles())
        end
    end)

    it("takes the place of one that nobody has ended", function()
        v:boot(app())
        v:prepare(2, app())
        assert.is_true(v:prepare(3, app()).ok)
        assert.equal("1 current, 3 prepared", v:roles())
        assert.is_false(v:commit(2).ok)
        assert.is_true(v:commit(3).ok)
    end)

    it("goes back to a version that lives without loading it", function()
        v:boot(app "timers = {},")
        v:take(2, app())
        local answer = v:prepare(1, nil, { rollback = true })
        assert.is_true(answer.ok)
        assert.is_nil(answer.phases.load)
        v.reload.abandon { version = 1 }
        assert.equal("1 kept, 2 current", v:roles())
        v:take(1, nil, { rollback = true })
        assert.equal("1 current", v:roles())
        assert.equal(v.record, v.reload.current())
    end)

    it("loads a version again when that number has other bytes", function()
        v:boot(app())
        v:take(2, app())
        local answer = v:prepare(1, app(), { hash = "other" })
        assert.is_number(answer.phases.load)
        assert.equal("1 kept, 2 current, 1 prepared", v:roles())
    end)

    it("keeps an old version that is prepared, whatever ends meanwhile", function()
        v:boot(app())
        v:gen(1).connections = 1
        v:take(2, app())
        v:take(3, app())
        assert.equal("1 old, 2 kept, 3 current", v:roles())
        v:prepare(1, nil, { rollback = true })
        v:gen(1).connections = 0
        assert.equal("1 kept, 2 kept, 3 current", v:roles())
        v.reload.abandon {}
        assert.equal("2 kept, 3 current", v:roles())
    end)

    it("refuses a fifth version with what pins the others, unless it is forced", function()
        v:boot(app())
        for version = 2, 4 do
            v:gen(version - 1).tasks = 1
            v:take(version, app())
        end
        v:gen(1).pinned = { { kind = "handler", what = "message of /chat/:room", id = "w1-7", where = "chat.lua:31",
            seconds = 12.34 } }
        v:gen(2).pinned = {
            { kind = "timer", what = "after", where = "app.lua:9", seconds = 0.5 }, { kind = "task", what = "spawn" },
        }
        local answer = v:prepare(5, app())
        assert.same({ false, "generations" }, { answer.ok, answer.phase })
        assert.equal(table.concat({
            "tidewire: 4 versions of the app are in use, and there is no room for another",
            "    version 1: message of /chat/:room at chat.lua:31 (connection w1-7), for 12 s",
            "    version 2: timer after at app.lua:9, for 0.5 s",
            "    version 2: task spawn",
            "    an old version goes when what it still serves has ended; --force ends the oldest: its connections "
                .. "are closed (1012), its tasks dropped",
            "    what goes on for ever belongs into `timers` of the manifest, which each version takes over",
            "",
        }, "\n"), answer.text)
        assert.equal("1 old, 2 old, 3 kept, 4 current", v:roles())
        assert.is_false(v:prepare(5, "return }", { force = true }).ok)
        assert.equal("1 old, 2 old, 3 kept, 4 current", v:roles())
        assert.is_true(v:prepare(5, app(), { force = true }).ok)
        assert.equal("1 old, 2 old, 3 kept, 4 current, 5 prepared", v:roles())
        v.reload.abandon {}
        assert.equal("1 old, 2 old, 3 kept, 4 current", v:roles())
        assert.is_true(v:prepare(5, app(), { force = true }).ok)
        v:commit(5)
        assert.equal("2 old, 3 old, 4 kept, 5 current", v:roles())
    end)

    it("waits for an old version that is about to go, or that was forced to", function()
        v:boot(app())
        for version = 2, 4 do
            v:gen(version - 1).tasks = 1
            v:take(version, app())
        end
        local waited = 0
        function core.sleep(seconds)
            waited = waited + seconds
            if v:gen(1) then -- it may be gone: a slow machine makes the steps after it pause too
                v:gen(1).tasks = 0
            end
        end
        v:gen(1).pinned = {}
        assert.is_true(v:prepare(5, app()).ok)
        assert.equal(0.01, waited)
        v:commit(5)
        v:gen(3).tasks, v:gen(4).tasks = 1, 1
        function core.sleep() end
        local gen = v:gen(2)
        function gen.force()
            gen.is_ended = true
        end
        assert.is_true(v:prepare(6, app(), { force = true }).ok)
        assert.equal("2 old, 3 old, 4 kept, 5 current, 6 prepared", v:roles())
        v:commit(6)
        assert.is_false(v:prepare(7, app()).ok)
    end)

    it("serves a share as a canary, which becomes the version for all", function()
        local fields = "timers = { beat = { every = %d, run = print } },"
        v:boot(app(fields:format(1)))
        v:take(2, app(fields:format(2)), { share = 10 })
        assert.same({ { 1 }, { 2, 10 } }, committed())
        assert.equal("1 current, 2 canary", v:roles())
        assert.equal(1, v.reload.current().number)
        assert.is_nil(core.timers[3])
        assert.is_true(v:commit(2).ok)
        assert.equal("1 kept, 2 current", v:roles())
        assert.equal(2, core.timers[3].seconds)
    end)

    it("ends a canary by a commit of the version that serves", function()
        v:boot(app())
        v:take(2, app(), { share = 10 })
        v:take(1, nil, { rollback = true })
        assert.equal("1 current", v:roles())
        v:take(3, app(), { share = 50 })
        assert.is_true(v:commit(1).ok)
        assert.equal("1 current", v:roles())
    end)

    it("refuses a canary with another state_version", function()
        v:boot(app())
        local answer = v:prepare(2, app "state_version = 2,", { share = 10 })
        assert.same({ false, "state" }, { answer.ok, answer.phase })
        assert.equal("a canary shares the state with the version that serves, and this one has state_version 2 "
            .. "instead of 1: reload it for all connections", answer.message)
    end)

    it("tells the calls of the last half minute", function()
        v:boot(app())
        local gen, sample = v:gen(1), core.timers[1]
        assert.equal(5, sample.seconds)
        for i = 1, 10 do
            gen.handled, gen.failed = i * 100, i
            sample.fire()
        end
        local answer = v:prepare(2, app())
        assert.same({ 500, 5 }, { answer.handled, answer.failed })
        v:commit(2)
        answer = v:prepare(3, app())
        assert.same({ 0, 0 }, { answer.handled, answer.failed })
        v:gen(2).handled = 7
        sample.fire()
        v:gen(2).handled = 9
        assert.equal(9, v:prepare(3, app()).handled)
    end)

    it("describes what serves", function()
        v:boot(app())
        v:gen(1).connections, v:gen(1).handled = 2, 5
        v:take(2, app())
        v:take(3, app())
        v:gen(1).pinned = { { kind = "handler" } }
        local told = v.reload.describe()
        assert.same({ 2, 0, 3 }, { told.connections, told.held, #told.generations })
        assert.same({
            version = 1, role = "old", connections = 2, tasks = 0, handled = 5, failed = 0, migrations_failed = 0,
            pins = { { kind = "handler" } }, pins_total = 1,
        }, told.generations[1])
        assert.same({ "kept", {}, 0 }, {
            told.generations[2].role, told.generations[2].pins, told.generations[2].pins_total,
        })
        core.held = 4
        v:prepare(4, app "state_version = 2,")
        v:barrier(4)
        assert.equal(4, v.reload.describe().held)
    end)

    it("tells an error of the runtime's own, and leaves nothing", function()
        v:boot(app())
        function core.states()
            error "broken"
        end
        local answer = v:prepare(2, app())
        assert.same({ false, "state" }, { answer.ok, answer.phase })
        assert.is_truthy(answer.message:find "broken")
        assert.is_truthy(answer.text:find "stack traceback")
        assert.equal("1 current", v:roles())
    end)
end)

describe("the objects of classes", function()
    local v

    local function with_class(size, more)
        return ([[
            local tidewire = require "tidewire"
            local Room = tidewire.class "reload_spec.Room"
            function Room:size() return %d end
            local at_load = Room({}):size()
            %s
            return { message = function() return Room {} end, open = function() return at_load end }
        ]]):format(size, more or "")
    end

    before_each(function()
        v = versions.new()
        v:boot(with_class(1))
    end)

    local function handler()
        return v.core.installed.routes[1].handler
    end

    it("run the methods of the version that serves", function()
        v.state().room = handler().message()
        local room = v.state().room
        assert.equal(1, room:size())
        assert.is_true(v:prepare(2, with_class(2)).ok)
        assert.equal(1, room:size())
        v.reload.abandon {}
        assert.equal(1, room:size())
        v:take(2, with_class(2))
        assert.same({ 2, 2 }, { room:size(), handler().open() })
        assert.equal(getmetatable(handler().message()), getmetatable(room))
        v:take(1, nil, { rollback = true })
        assert.equal(1, room:size())
    end)

    it("run those of the generation that is entered while there is a canary", function()
        v.state().room = handler().message()
        local room = v.state().room
        v:take(2, with_class(2), { share = 10 })
        assert.equal(1, room:size())
        v.core.entered(v:gen(2).record)
        assert.equal(2, room:size())
        v.core.entered(v:gen(1).record)
        assert.equal(1, room:size())
        v:commit(2)
        assert.equal(2, room:size())
    end)

    it("run those of the version that serves also after one that failed to load", function()
        v.state().room = handler().message()
        v:prepare(2, with_class(2, "error 'x'"))
        assert.equal(1, v.state().room:size())
    end)

    it("are refused when their class is gone", function()
        v.state().room = handler().message()
        local answer = v:prepare(2, "return { message = print }")
        assert.same({ false, "state" }, { answer.ok, answer.phase })
        assert.equal('app.state.room: an object of the class "reload_spec.Room", which this version does not declare '
            .. "when it loads", answer.message)
    end)
end)
