-- Rooms, the names in them and what was said: pure logic on plain tables, without connections or
-- a clock, so that a test can be exact.
--
--   all  = { rooms = { [room name] = room }, vacant = { room names, longest empty first } }
--   room = { name, epoch, last_id, seats = { [folded name] = seat }, count, history, empty_since }
--   seat = { name, id, key, ws }
--
-- What can fail for a reason the user should read returns nil, message, code. Times are seconds.
local rooms = {
    NAME_MAX = 24, -- characters of a person's name
    TEXT_MAX = 2000, -- characters of a message
    PEOPLE_MAX = 200, -- seats of a room
    HISTORY_MAX = 50, -- messages that a room remembers
    VACANT_MAX = 200, -- empty rooms whose history is kept
    VACANT_SECONDS = 3600, -- and for how long it is kept
}

-- Characters that are not seen but change what is: a name made with them could pass for another.
local function invisible(code)
    return code < 0x20
        or (code >= 0x7F and code <= 0xA0)
        or code == 0xAD
        or code == 0x61C
        or code == 0x3164
        or (code >= 0x2000 and code <= 0x200F)
        or (code >= 0x2028 and code <= 0x202F)
        or (code >= 0x205F and code <= 0x206F)
        or (code >= 0xE0000 and code <= 0xE0FFF)
        or code == 0xFEFF
end

-- Names that differ only in the case of ASCII letters are the same name.
local function fold(name)
    return name:lower()
end

local function forget(list, name)
    for i, other in ipairs(list) do
        if other == name then
            table.remove(list, i)
            return
        end
    end
end

function rooms.new()
    return { rooms = {}, vacant = {} }
end

-- true when `name` can name a room: 1 to 32 of a-z, 0-9, "-" and "_", so that it stands in a URI
-- and in a topic as it is.
function rooms.is_room(name)
    return type(name) == "string" and #name <= 32 and name:find "^[a-z0-9_-]+$" ~= nil
end

-- Returns the name without spaces around it, or nil, message, "bad_name".
function rooms.clean_name(name)
    if type(name) ~= "string" then
        return nil, "A name is a string.", "bad_name"
    end
    local length
    if #name <= 8 * rooms.NAME_MAX then -- no pattern meets a string without a bound
        name = name:gsub(" +", " "):gsub("^ ", ""):gsub(" $", "")
        length = utf8.len(name)
    end
    if not length or length < 1 or length > rooms.NAME_MAX then
        return nil, ("A name has 1 to %d characters."):format(rooms.NAME_MAX), "bad_name"
    end
    for _, code in utf8.codes(name) do
        if invisible(code) then
            return nil, "A name has visible characters only.", "bad_name"
        end
    end
    return name
end

-- Returns the text without white space at its end and empty lines before it, or nil, message,
-- "bad_text".
function rooms.clean_text(text)
    if type(text) ~= "string" then
        return nil, "A text is a string.", "bad_text"
    end
    text = text:gsub("\r\n?", "\n"):match "^.*%S" or "" -- greedy: linear, where "%s+$" is quadratic
    text = text:gsub("^%s*\n", "")
    local length = utf8.len(text)
    if not length or length < 1 or length > rooms.TEXT_MAX then
        return nil, ("A message has 1 to %d characters."):format(rooms.TEXT_MAX), "bad_text"
    end
    return text
end

-- The room of that name, made if there is none.
local function open_room(all, room_name, now)
    local room = all.rooms[room_name]
    if not room then
        room = {
            name = room_name,
            epoch = math.floor(now * 1000), -- ids count from 1 again when the room is a new one
            last_id = 0,
            seats = {},
            count = 0,
            history = {},
        }
        all.rooms[room_name] = room
    elseif room.empty_since then
        room.empty_since = nil
        forget(all.vacant, room_name)
    end
    return room
end

-- Gives `name` a seat in the room. `who` is { id =, key =, ws = }: whose seat it is, what proves it
-- after a reconnect, and the connection (not looked at here). Returns { room =, seat =, former = },
-- where `former` is the `ws` of who held the seat if the same person took it over (it keeps the
-- name as it was written); or nil, message, "name_taken" | "room_full".
function rooms.enter(all, room_name, name, who, now)
    local room = all.rooms[room_name]
    local held = room and room.seats[fold(name)]
    if held and (not who.key or held.key ~= who.key) then
        return nil, ("The name %s is taken in this room."):format(held.name), "name_taken"
    end
    if not held and room and room.count >= rooms.PEOPLE_MAX then
        return nil, ("The room is full: %d people are here."):format(room.count), "room_full"
    end
    room = open_room(all, room_name, now)
    if not held then
        room.count = room.count + 1
    end
    name = held and held.name or name
    local seat = { name = name, id = who.id, key = who.key, ws = who.ws }
    room.seats[fold(name)] = seat
    return { room = room, seat = seat, former = held and held.ws }
end

-- Renames the seat of `id`. Returns true, or nil, message, "name_taken".
function rooms.rename(room, old, new, id)
    local seat = room.seats[fold(old)]
    assert(seat and seat.id == id, "only the holder renames a seat")
    local held = room.seats[fold(new)]
    if held and held ~= seat then
        return nil, ("The name %s is taken in this room."):format(held.name), "name_taken"
    end
    room.seats[fold(old)] = nil
    room.seats[fold(new)] = seat
    seat.name = new
    return true
end

-- Ends the seat of `id`; the last one to leave empties the room. Returns true, or false when the
-- seat was not (or no longer) this one's.
function rooms.leave(all, room_name, name, id, now)
    local room = all.rooms[room_name]
    local seat = room and room.seats[fold(name)]
    if not seat or seat.id ~= id then
        return false
    end
    room.seats[fold(name)] = nil
    room.count = room.count - 1
    if room.count == 0 and #room.history == 0 then
        all.rooms[room_name] = nil
    elseif room.count == 0 then
        room.empty_since = now
        table.insert(all.vacant, room_name)
        if #all.vacant > rooms.VACANT_MAX then
            all.rooms[table.remove(all.vacant, 1)] = nil
        end
    end
    return true
end

-- Adds a message to the room's history and returns it. `ref` is the sender's own mark, or nil.
function rooms.say(room, name, text, ref, now)
    room.last_id = room.last_id + 1
    local message = {
        type = "message",
        id = room.last_id,
        name = name,
        text = text,
        ref = ref,
        time = math.floor(now * 1000),
    }
    table.insert(room.history, message)
    if #room.history > rooms.HISTORY_MAX then
        table.remove(room.history, 1)
    end
    return message
end

-- The names of those in the room, sorted.
function rooms.people(room)
    local names = {}
    for _, seat in pairs(room.seats) do
        table.insert(names, seat.name)
    end
    table.sort(names)
    return names
end

-- Forgets the rooms that have been empty for too long. Returns how many.
function rooms.sweep(all, now)
    local count = 0
    while all.vacant[1] do
        local name = all.vacant[1]
        if now - all.rooms[name].empty_since < rooms.VACANT_SECONDS then
            break
        end
        table.remove(all.vacant, 1)
        all.rooms[name] = nil
        count = count + 1
    end
    return count
end

return rooms
