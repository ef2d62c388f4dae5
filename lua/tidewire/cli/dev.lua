--- tidewire dev: makes the plan that C carries out. It is that of `run`, with `dev` set: C watches the app's
-- files then (runtime/host/dev.h).
local run = require "tidewire.cli.run"

local dev = {}

--- Returns the plan (see tidewire.cli), or an exit status.
function dev.run(asked, streams)
    local plan = run.run(asked, streams)
    if type(plan) == "table" then
        plan.dev = true
    end
    return plan
end

return dev
