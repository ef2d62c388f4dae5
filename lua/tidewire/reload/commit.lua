--- A version takes over. Nothing here fails or awaits: what could has been done before.
local class = require "tidewire.class"
local core = require "tidewire.core"

local commit = {}

local watch_default = 30

-- Unless it is on its way back just now.
local function forget_previous(live)
    local previous = live.previous
    live.previous = nil
    if not live.attempt or live.attempt.record ~= previous then
        previous.gen:keep(false)
    end
end

-- What a migration has replaced serves for the way back while the new version is watched; so do the states that the
-- connections keep, as long as the version before is kept.
local function keep_replaced(live, replaced, seconds)
    if live.watch then
        live.watch:cancel()
    end
    live.replaced = replaced
    live.watch = replaced and core.after(seconds, function()
        live.replaced, live.watch = nil, nil
        forget_previous(live)
    end) or nil
end

local function take_state(live, record, migrated, order)
    local object, replaced = live.object, nil
    if object.state_version ~= record.state_version and not order.rollback then
        replaced = { state = object.state, state_version = object.state_version }
    end
    keep_replaced(live, replaced, order.watch or watch_default)
    object.root, object.state_version = record.generation.root, record.state_version
    if migrated then
        object.state = migrated
    end
end

-- The version before is kept for the way back; not one that is left behind on this way.
local function turn(live, record, order)
    local former, previous = live.current, live.previous
    record.gen:commit()
    live.current, live.canary = record, nil
    if former == record then
        return
    end
    live.previous = nil
    if former and not order.rollback then
        former.gen:keep(true)
        live.previous = former
    end
    if previous and previous ~= record then
        previous.gen:keep(false)
    end
end

--- The version of the record serves all connections; live: see tidewire.reload. migrated: the new app.state, or nil
-- when it is carried. order: rollback and watch count.
function commit.all(live, record, migrated, order)
    class.point(record.classes)
    take_state(live, record, migrated, order)
    turn(live, record, order)
    if live.started then
        live.timers:follow(record)
    end
end

--- It serves a share (1 to 99) of them, beside the current one.
function commit.share(live, record, share)
    live.canary = record
    record.gen:commit(share)
end

return commit
