-- The subprotocol "tidewire.chat.v1": one connection is one person in one room, /chat/<room>.
-- Each message is a JSON object with a `type`, sent as text.
--
-- From the client
--   join    name, key?    enter the room; `key` (8 to 64 characters, a secret of the client) lets the
--                         same person take the seat over after a connection was lost
--   say     text, ref?    `ref` (up to 64 characters) comes back with the message, to know one's own
--   rename  name
--   typing
-- From the server
--   welcome room, name, epoch, people, history      the answer to `join`; `history`: `message`s
--   message id, name, text, time, ref?              also to its sender; `id` counts up within `epoch`
--   joined  name, time      left  name, time      renamed  name, to, time      typing  name
--   error   code, message, ref?                     the request had no effect; the connection stays
--     codes: bad_json not_text unknown_type bad_name name_taken bad_key room_full already_joined
--            not_joined bad_text bad_ref too_fast
-- Times are milliseconds since 1970. Close code 4001: the same person is here on a newer connection.
local tidewire = require "tidewire"
local rooms = require "rooms"
local json = tidewire.json

local PROTOCOL = "tidewire.chat.v1"
local BURST, PER_SECOND = 12, 3 -- requests of one connection, as a token bucket

local chat = { protocols = { PROTOCOL }, limits = { message = "32 KiB" } }

local function topic(room_name)
    return "room/" .. room_name
end

local function milliseconds()
    return math.floor(tidewire.now() * 1000)
end

local function room_of(ws)
    return ws.app.state.rooms.rooms[ws.state.room]
end

local function too_fast(state)
    local now = tidewire.now()
    local since = math.max(0, now - (state.seen or now)) -- the clock may have been set back
    local tokens = math.min(BURST, (state.tokens or BURST) + since * PER_SECOND)
    local refused = tokens < 1
    state.seen = now
    state.tokens = refused and tokens or tokens - 1
    return refused
end

-- Optional strings of a request: nil, or a string of a length in bounds.
local function optional(value, least, most)
    return value == nil or (type(value) == "string" and #value >= least and #value <= most)
end

-- One function for each `type`: gets the connection and the request, returns true, or nil, message, code.
local requests = {}

function requests.join(ws, request)
    local state, all = ws.state, ws.app.state.rooms
    if state.name then
        return nil, "You are in the room already.", "already_joined"
    end
    if not optional(request.key, 8, 64) then
        return nil, "A key is a string of 8 to 64 bytes.", "bad_key"
    end
    local name, message, code = rooms.clean_name(request.name)
    if not name then
        return nil, message, code
    end
    local who = { id = ws.id, key = request.key, ws = ws }
    local entry
    entry, message, code = rooms.enter(all, state.room, name, who, tidewire.now())
    if not entry then
        return nil, message, code
    end
    local room, former = entry.room, entry.former
    name = entry.seat.name
    state.name = name
    ws:subscribe(topic(room.name))
    ws:send(json.encode {
        type = "welcome",
        room = room.name,
        name = name,
        epoch = room.epoch,
        people = json.array(rooms.people(room)),
        history = json.array { table.unpack(room.history) },
    })
    if former then
        former.state.name = nil -- its seat is gone; whoever else is here need not notice
        former:close(4001, "continued on a newer connection")
    else
        ws:publish(topic(room.name), json.encode { type = "joined", name = name, time = milliseconds() })
    end
    return true
end

function requests.rename(ws, request)
    local name, message, code = rooms.clean_name(request.name)
    if not name then
        return nil, message, code
    end
    local old = ws.state.name
    local done
    done, message, code = rooms.rename(room_of(ws), old, name, ws.id)
    if not done then
        return nil, message, code
    end
    ws.state.name = name
    tidewire.publish(
        topic(ws.state.room),
        json.encode { type = "renamed", name = old, to = name, time = milliseconds() }
    )
    return true
end

function requests.say(ws, request)
    if not optional(request.ref, 1, 64) then
        return nil, "A ref is a string of up to 64 bytes.", "bad_ref"
    end
    local text, message, code = rooms.clean_text(request.text)
    if not text then
        return nil, message, code
    end
    local said = rooms.say(room_of(ws), ws.state.name, text, request.ref, tidewire.now())
    tidewire.publish(topic(ws.state.room), json.encode(said))
    return true
end

function requests.typing(ws)
    ws:publish(topic(ws.state.room), json.encode { type = "typing", name = ws.state.name })
    return true
end

local function answer(ws, data, kind)
    if kind ~= "text" then
        return nil, "Messages are text: JSON objects.", "not_text"
    end
    local request, why = json.decode(data)
    if type(request) ~= "table" then
        return nil, "No JSON object: " .. (why or "another type of value"), "bad_json"
    end
    if too_fast(ws.state) then
        return nil, "Too many messages at once: wait a moment.", "too_fast", request.ref
    end
    local run = requests[request.type]
    if not run then
        return nil, "The type is none of join, say, rename, typing.", "unknown_type"
    end
    if run ~= requests.join and not ws.state.name then
        return nil, "Join the room first.", "not_joined", request.ref
    end
    local done, message, code = run(ws, request)
    return done, message, code, request.ref
end

function chat.upgrade(req)
    if not rooms.is_room(req.params.room) then
        return tidewire.refuse(404, "A room's name is 1 to 32 of a-z, 0-9, - and _.\n")
    end
    if not req.protocol then
        return tidewire.refuse(400, "Offer the subprotocol " .. PROTOCOL .. " in Sec-WebSocket-Protocol.\n")
    end
    return { room = req.params.room } -- becomes ws.state
end

function chat.message(ws, data, kind)
    local done, message, code, ref = answer(ws, data, kind)
    if not done then
        ref = type(ref) == "string" and #ref <= 64 and ref or nil
        ws:send(json.encode { type = "error", code = code, message = message, ref = ref })
    end
end

function chat.close(ws)
    local state = ws.state
    if state.name and rooms.leave(ws.app.state.rooms, state.room, state.name, ws.id, tidewire.now()) then
        tidewire.publish(topic(state.room), json.encode { type = "left", name = state.name, time = milliseconds() })
    end
end

return chat
