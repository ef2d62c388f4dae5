-- A chat with rooms. The page is at "/", a room's connection at "/chat/<room>".
--
--   tidewire run apps/chat
local tidewire = require "tidewire"
local rooms = require "rooms"

return tidewire.app {
    routes = {
        ["/"] = tidewire.files "public",
        ["/chat/:room"] = require "chat",
        ["/health"] = function()
            return 200, "ok\n"
        end,
    },

    timers = {
        sweep = {
            every = 60,
            run = function(app)
                rooms.sweep(app.state.rooms, tidewire.now())
            end,
        },
    },

    start = function(app)
        app.state.rooms = app.state.rooms or rooms.new()
    end,
}
