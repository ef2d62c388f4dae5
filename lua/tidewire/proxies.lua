--- Trusted proxies: whose word about the client is taken. A list of addresses ("127.0.0.1", "::1"),
-- networks ("10.0.0.0/8") and "unix", which is every peer of a Unix socket.
local expect = require "tidewire.expect"

local proxies = {}

local what = 'a list of addresses and networks such as { "127.0.0.1", "10.0.0.0/8", "unix" }'

--- Checks such a list, which may be empty, and returns a copy. Fails as expect does.
function proxies.check(value, path)
    local out = {}
    if type(value) == "table" and next(value) == nil then
        return out
    end
    expect.list(value, path, what)
    local core = require "tidewire.core" -- only here: contracts without such a list need no C
    for i, network in ipairs(value) do
        local at = expect.field(path, i)
        expect.type(network, "string", at, 'an address or a network such as "10.0.0.0/8"')
        local ok, message = core.network(network)
        if not ok then
            expect.fail(at, "%s: %s", expect.quote(network), message)
        end
        out[i] = network
    end
    return out
end

--- The option `proxy` of a route: such a list, or false for none.
function proxies.check_option(value, path)
    if value == false then
        return {}
    end
    return proxies.check(value, path)
end

--- A list as it is written in the environment: by spaces or commas.
function proxies.from_text(text, name)
    local list = {}
    for network in text:gmatch("[^%s,]+") do
        list[#list + 1] = network
    end
    return proxies.check(list, name)
end

return proxies
