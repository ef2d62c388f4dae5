-- The app of `make demo`: it is copied, and the copy is rewritten while 1,000 clients talk through it.
local tidewire = require "tidewire"

return tidewire.app {
    state_version = 1,
    routes = { ["/pair/:name"] = require "pair" },
}
