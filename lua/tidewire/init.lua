--- The module `tidewire` for whatever is no generation of an app: scripts, `check`.
local class = require "tidewire.class"
local public = require "tidewire.public"

return public.new(class.set())
