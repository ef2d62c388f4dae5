--- tidewire version
local core = require "tidewire.core"
local json = require "tidewire.json"

local version = {}

function version.run(asked, streams)
    if asked.json then
        streams.out:write(json.encode { tidewire = core.version, lua = _VERSION }, "\n")
    else
        streams.out:write(("tidewire %s (%s)\n"):format(core.version, _VERSION))
    end
    return 0
end

return version
