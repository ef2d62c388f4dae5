--- tidewire reload: lets a running app take the code that is on the disk, and its certificates.
local control = require "tidewire.control"
local outcome = require "tidewire.cli.outcome"
local words = require "tidewire.cli.words"

local reload = {}

local function show_certificates(answer)
    return "new certificates are in use\n" .. control.certificates(answer.certificates)
end

local function show_dry_run(answer)
    return ("version %d would serve (dry run, %s)\n%s"):format(answer.version, words.span(answer.seconds),
        outcome.files(answer))
end

-- canary: the share that was asked for.
local function state_of(answer, canary)
    if answer.state == "canary" then
        return ("version %d is a canary%s; it will serve all when it has stayed healthy\n"):format(answer.version,
            canary and (" for %d%% of the connections"):format(canary) or "")
    elseif answer.state == "watching" then
        return ("version %d serves, and is watched for errors\n"):format(answer.version)
    end
    return ("version %d serves\n"):format(answer.version)
end

local function show_code(answer, canary)
    if answer.unchanged then
        return ("nothing has changed; version %d %s\n"):format(answer.version,
            answer.state == "canary" and "is the canary" or "serves")
    elseif answer.dry_run then
        return show_dry_run(answer)
    end
    return "reloaded " .. outcome.change(answer) .. "\n" .. state_of(answer, canary)
end

--- Returns the exit status.
function reload.run(asked, streams)
    if asked.certificates then
        return control.run(asked, streams, { command = "certificates" }, show_certificates)
    end
    return control.run(asked, streams, {
        command = "reload", dry_run = asked.dry_run, canary = asked.canary, wait = asked.wait, force = asked.force,
    }, function(answer)
        local text = show_code(answer, asked.canary)
        if answer.warning then
            text = text .. answer.warning .. "\n"
        end
        if answer.certificates_error then
            text = ("%sthe certificates stay as they are: %s\n"):format(text, answer.certificates_error)
        elseif answer.certificates and #answer.certificates > 0 then
            text = text .. show_certificates(answer)
        end
        return text
    end, outcome.refusal)
end

return reload
