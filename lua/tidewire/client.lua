--- tidewire.connect: proxies, redirects, and what goes to which server. One attempt, from the name to the 101,
-- is core.connect; when to try again is tidewire.reconnect.
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local options = require "tidewire.client.options"
local proxy = require "tidewire.proxy"
local reconnect = require "tidewire.reconnect"
local url = require "tidewire.url"

local client = {
    getenv = os.getenv, -- specs replace it
}

-- --- one attempt ---------------------------------------------------------------------------------

local credentials = { authorization = true, cookie = true, ["proxy-authorization"] = true }

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
    return (bytes:gsub("..?.?", function(three)
        local a, b, c = three:byte(1, 3)
        local n = a << 16 | (b or 0) << 8 | (c or 0)
        local out = {}
        for i = 1, #three + 1 do
            local at = (n >> (24 - 6 * i) & 63) + 1
            out[i] = alphabet:sub(at, at)
        end
        return table.concat(out) .. ("="):rep(3 - #three)
    end))
end

-- The fields of the request. `trusted`: it goes to the server that the caller has named.
local function fields_for(want, first, trusted)
    local list = {}
    for _, pair in ipairs(want.headers) do
        local key = pair[1]:lower()
        if trusted or not (credentials[key] or want.sensitive[key]) then
            list[#list + 1] = pair
        end
    end
    if want.origin then
        list[#list + 1] = { "Origin", want.origin }
    end
    if trusted and first.user then
        list[#list + 1] = { "Authorization", "Basic " .. base64(first.user) }
    end
    return list
end

-- A client certificate, and a name to verify, are for the server that the caller has named.
local function tls_for(want, trusted)
    if trusted or not want.tls then
        return want.tls
    end
    return { ca = want.tls.ca, verify = want.tls.verify }
end

local function proxy_for(want, u)
    if want.proxy ~= nil then
        return want.proxy or nil
    end
    return proxy.from_environment(u, client.getenv)
end

local function attempt(want, first, u, trusted, more)
    local through, wrong = proxy_for(want, u)
    if wrong then
        return nil, wrong, "proxy"
    end
    local arguments = {
        url = url.for_core(u), shown_url = url.format(u), pattern = url.place(u), unix = u.socket,
        fields = fields_for(want, first, trusted), protocols = want.protocols, proxy = not u.socket and through or nil,
        tls = tls_for(want, trusted), compression = want.compression, limits = want.limits, timeout = want.timeout,
        handler = want.handler, reconnects = 0,
    }
    for name, value in pairs(more or {}) do
        arguments[name] = value
    end
    return core.connect(arguments)
end

-- --- redirects -----------------------------------------------------------------------------------

local redirecting = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- Where the answer leads; or nil and why it is not followed.
local function next_url(u, details)
    local location = details.headers.location
    if not location then
        return nil, "it does not say where to"
    end
    local to, wrong = url.resolve(u, location)
    if not to then
        return nil, ("%s, got %s"):format(wrong, expect.quote(url.hide_user(location)))
    elseif u.scheme == "wss" and to.scheme ~= "wss" then
        return nil, "it leads from wss to " .. to.scheme
    elseif to.socket and not u.socket then
        return nil, "it leads to a socket of this machine"
    end
    return to
end

local function not_followed(answer, why)
    return nil, ("%s; the redirect is not followed: %s"):format(answer.message, why), "status", answer.details
end

-- One attempt, and those that redirects ask for. Results as of core.connect.
local function follow(want, first, more)
    local u, trusted = first, true
    local answer -- that has led to u
    for left = want.redirects, 0, -1 do
        local ws, message, code, details = attempt(want, first, u, trusted, more)
        if code == "url" and answer then -- a mistake of the server's, not of the caller's
            return not_followed(answer, ("%s, got %s"):format(message, expect.quote(url.format(u))))
        elseif ws or code ~= "status" or not redirecting[details.status] or want.redirects == 0 then
            return ws, message, code, details
        end
        answer = { message = message, details = details }
        local to, wrong = next_url(u, details)
        if not to or left == 0 then
            return not_followed(answer, wrong or ("these were %d already"):format(want.redirects))
        end
        trusted = trusted and url.same_server(first, to)
        u = to
    end
end

-- --- connect -------------------------------------------------------------------------------------

--- connect(url [, options]) -> ws; or nil, message, code, details. Waits until the connection is open
-- (RFC 6455 section 4.1). Misuse throws; a string that is no URL, or not one that goes with the options, is none: it
-- may come from a user.
--   code     "url", "name", "refused", "proxy", "tls", "status", "handshake", "lost", "timeout", "cancelled",
--            "memory"
--   details  { status =, headers =, body = } when the server has answered
-- User information in the URL is sent as `Authorization: Basic`, to the server of that URL alone.
function client.connect(address, opts)
    local want, misuse = options.check(address, opts)
    misuse = misuse or core.cannot_wait "connect"
    if misuse then
        error(misuse, 2)
    end
    local u, wrong = options.read_url(address, want)
    if not u then
        return nil, wrong, "url"
    end
    local function try(more)
        return follow(want, u, more)
    end
    local ws, message, code, details
    if want.reconnect then
        ws, message, code, details = reconnect.run(want, url.place(u), try)
    else
        ws, message, code, details = try()
    end
    if code == "url" then
        message = options.bad_url(address, message) -- only C has found it
    end
    return ws, message, code, details
end

return client
