--- tidewire reload: tells a running app to read its certificates anew.
local control = require "tidewire.control"

local reload = {}

--- Returns the exit status.
function reload.run(asked, streams)
    return control.run(asked, streams, "certificates", function(answer)
        return "new certificates are in use\n" .. control.certificates(answer.certificates)
    end)
end

return reload
