-- The pure logic of apps/chat: rooms, names, history and what bounds them.
local root = debug.getinfo(1, "S").source:match "^@(.*)spec/apps/[^/]*$"
local rooms = dofile(root .. "apps/chat/rooms.lua")

local function who(id, key)
    return { id = id, key = key, ws = "connection " .. id }
end

local function ids(history)
    local list = {}
    for i, message in ipairs(history) do
        list[i] = message.id
    end
    return list
end

describe("chat rooms", function()
    local all

    before_each(function()
        all = rooms.new()
    end)

    -- Enters as `id` and says `count` things, then leaves.
    local function visit(room_name, count, now)
        local room = assert(rooms.enter(all, room_name, "Ada", who "a", now)).room
        for i = 1, count do
            rooms.say(room, "Ada", "text " .. i, nil, now)
        end
        assert.is_true(rooms.leave(all, room_name, "Ada", "a", now))
    end

    describe("names of rooms", function()
        it("are what stands in a URI and a topic as it is", function()
            for _, name in ipairs { "lobby", "a", "0", "tide-2_b", ("x"):rep(32) } do
                assert.is_true(rooms.is_room(name), name)
            end
        end)

        it("are refused when they are anything else", function()
            for _, name in ipairs { "", ("x"):rep(33), "Lobby", "a/b", "+", "#", "a b", "é", "a\n", "..", "a\0" } do
                assert.is_false(rooms.is_room(name), name)
            end
            assert.is_false(rooms.is_room(nil))
            assert.is_false(rooms.is_room(7))
        end)
    end)

    describe("names of people", function()
        it("lose the spaces around and doubled ones inside", function()
            assert.equal("Ada Lovelace", rooms.clean_name "  Ada   Lovelace ")
        end)

        it("are counted in characters, not bytes", function()
            assert.equal(("é"):rep(24), rooms.clean_name(("é"):rep(24)))
            local name, message, code = rooms.clean_name(("é"):rep(25))
            assert.is_nil(name)
            assert.equal("A name has 1 to 24 characters.", message)
            assert.equal("bad_name", code)
        end)

        it("have visible characters only", function()
            local names = { "a\nb", "a\tb", "a\0b", "Ada\u{200B}", "\u{202E}adA", "A\u{AD}da", "\u{FEFF}Ada", "\u{A0}" }
            for _, name in ipairs(names) do
                local cleaned, _, code = rooms.clean_name(name)
                assert.is_nil(cleaned)
                assert.equal("bad_name", code)
            end
        end)

        it("are refused when empty, no UTF-8 or no string", function()
            for _, name in ipairs { "", "   ", "\xFF", 7, {}, true } do
                assert.equal("bad_name", select(3, rooms.clean_name(name)))
            end
            assert.equal("bad_name", select(3, rooms.clean_name(nil)))
        end)

        it("cost no more when they are absurdly long", function()
            assert.equal("bad_name", select(3, rooms.clean_name("a" .. (" "):rep(30000) .. "b")))
        end)
    end)

    describe("texts", function()
        it("lose white space at the end and empty lines before, and keep the rest", function()
            assert.equal("  two\n\n  lines", rooms.clean_text "\n \n  two\r\n\r\n  lines \n\n")
        end)

        it("have 1 to 2000 characters", function()
            assert.equal(("é"):rep(2000), rooms.clean_text(("é"):rep(2000)))
            for _, text in ipairs { "", " \n ", ("é"):rep(2001), "\xFF", 7 } do
                assert.equal("bad_text", select(3, rooms.clean_text(text)))
            end
            assert.equal("bad_text", select(3, rooms.clean_text(nil)))
        end)
    end)

    describe("seats", function()
        it("are listed by name", function()
            local room = rooms.enter(all, "lobby", "Grace", who "g", 1).room
            rooms.enter(all, "lobby", "Ada", who "a", 1)
            assert.same({ "Ada", "Grace" }, rooms.people(room))
        end)

        it("are of one room: the same name may be in another", function()
            rooms.enter(all, "lobby", "Ada", who "a", 1)
            assert.is_table((rooms.enter(all, "harbour", "Ada", who "b", 1)))
        end)

        it("have a name once, whatever its case", function()
            rooms.enter(all, "lobby", "Ada", who("a", "key of ada"), 1)
            for _, other in ipairs { who "b", who("b", "another key") } do
                local entry, message, code = rooms.enter(all, "lobby", "aDA", other, 1)
                assert.is_nil(entry)
                assert.equal("The name Ada is taken in this room.", message)
                assert.equal("name_taken", code)
            end
        end)

        it("without a key are never taken over", function()
            rooms.enter(all, "lobby", "Ada", who "a", 1)
            assert.equal("name_taken", select(3, rooms.enter(all, "lobby", "Ada", who "b", 1)))
        end)

        it("are taken over with their key, and the former connection no longer owns them", function()
            rooms.enter(all, "lobby", "Ada", who("a", "key of ada"), 1)
            local entry = rooms.enter(all, "lobby", "ADA", who("b", "key of ada"), 2)
            assert.equal("connection a", entry.former)
            assert.equal("b", entry.seat.id)
            assert.equal("Ada", entry.seat.name)
            assert.equal(1, entry.room.count)
            assert.is_false(rooms.leave(all, "lobby", "Ada", "a", 3))
            assert.same({ "Ada" }, rooms.people(entry.room))
            assert.is_true(rooms.leave(all, "lobby", "Ada", "b", 3))
        end)

        it("are bounded in number, but for who takes one over", function()
            for i = 1, rooms.PEOPLE_MAX do
                rooms.enter(all, "lobby", "p" .. i, who(i, "key of " .. i), 1)
            end
            local entry, message, code = rooms.enter(all, "lobby", "late", who "late", 1)
            assert.is_nil(entry)
            assert.equal("The room is full: 200 people are here.", message)
            assert.equal("room_full", code)
            assert.is_table((rooms.enter(all, "lobby", "p7", who("again", "key of 7"), 1)))
        end)

        it("are renamed, to another case of the same name too, but not to a taken one", function()
            local room = rooms.enter(all, "lobby", "Ada", who "a", 1).room
            rooms.enter(all, "lobby", "Grace", who "g", 1)
            assert.equal("name_taken", select(3, rooms.rename(room, "Ada", "grace", "a")))
            assert.is_true(rooms.rename(room, "Ada", "ADA", "a"))
            assert.is_true(rooms.rename(room, "ADA", "Countess", "a"))
            assert.same({ "Countess", "Grace" }, rooms.people(room))
            assert.is_table((rooms.enter(all, "lobby", "Ada", who "b", 1)))
        end)

        it("leave nothing behind for a name that is not there", function()
            assert.is_false(rooms.leave(all, "nowhere", "Ada", "a", 1))
            rooms.enter(all, "lobby", "Ada", who "a", 1)
            assert.is_false(rooms.leave(all, "lobby", "Grace", "a", 1))
            assert.is_false(rooms.leave(all, "lobby", "Ada", "b", 1))
        end)
    end)

    describe("history", function()
        it("keeps the last 50 messages, numbered through", function()
            local room = rooms.enter(all, "lobby", "Ada", who "a", 1).room
            for i = 1, 53 do
                local message = rooms.say(room, "Ada", "text " .. i, "ref " .. i, 1.5)
                assert.same(
                    { type = "message", id = i, name = "Ada", text = "text " .. i, ref = "ref " .. i, time = 1500 },
                    message
                )
            end
            local numbers = ids(room.history)
            assert.equal(50, #numbers)
            assert.equal(4, numbers[1])
            assert.equal(53, numbers[50])
        end)

        it("outlives the last one to leave, in the same epoch", function()
            visit("lobby", 2, 10)
            local room = rooms.enter(all, "lobby", "Grace", who "g", 20).room
            assert.same({ 1, 2 }, ids(room.history))
            assert.equal(10000, room.epoch)
            assert.equal(3, rooms.say(room, "Grace", "hello", nil, 20).id)
        end)

        it("is gone with a room in which nothing was said", function()
            visit("lobby", 0, 10)
            assert.same({ rooms = {}, vacant = {} }, all)
        end)

        it("of an empty room ends after an hour", function()
            visit("lobby", 1, 0)
            visit("harbour", 1, 100)
            assert.equal(0, rooms.sweep(all, rooms.VACANT_SECONDS - 1))
            assert.equal(1, rooms.sweep(all, rooms.VACANT_SECONDS))
            assert.is_nil(all.rooms.lobby)
            assert.same({ "harbour" }, all.vacant)
            assert.equal(1, rooms.sweep(all, 1e9))
            assert.same({ rooms = {}, vacant = {} }, all)
        end)

        it("of a room that is in use again is not swept", function()
            visit("lobby", 1, 0)
            rooms.enter(all, "lobby", "Grace", who "g", 1)
            assert.equal(0, rooms.sweep(all, 1e9))
            assert.same({}, all.vacant)
            assert.is_table(all.rooms.lobby)
        end)

        it("is kept for 200 empty rooms: the longest empty goes first", function()
            for i = 1, rooms.VACANT_MAX do
                visit("room-" .. i, 1, i)
            end
            visit("room-1", 1, 1000) -- empty for the shortest time now
            visit("one-more", 1, 1001)
            assert.is_nil(all.rooms["room-2"])
            assert.is_table(all.rooms["room-1"])
            assert.is_table(all.rooms["room-3"])
            assert.equal(rooms.VACANT_MAX, #all.vacant)
        end)
    end)
end)
