--- tidewire.connect: what an outbound connection asks for, proxies, redirects, and when to try again. One
-- attempt, from the name to the 101, is core.connect.
local compression = require "tidewire.compression"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local handlers = require "tidewire.handler"
local limits = require "tidewire.limits"
local proxy = require "tidewire.proxy"
local reconnect = require "tidewire.reconnect"
local response = require "tidewire.http.response"
local units = require "tidewire.units"
local url = require "tidewire.url"

local client = {
    getenv = os.getenv, -- specs replace it
}

client.options = {
    "compression", "handler", "headers", "limits", "origin", "protocols", "proxy", "reconnect", "redirects",
    "sensitive", "timeout", "tls",
}
local tls_names = { "ca", "cert", "key", "name", "verify" }

local timeout_default = 10
local redirects_max = 20

-- --- options -------------------------------------------------------------------------------------

local function text(value, path, what)
    if type(value) ~= "string" or value == "" or value:find("%c") then
        expect.fail(path, "expected %s, got %s", what, expect.show(value))
    end
    return value
end

local function check_headers(value, path)
    expect.type(value, "table", path, "a table of fields")
    for _, name in ipairs(expect.sorted_keys(value)) do
        local field, key = expect.field(path, name), tostring(name):lower()
        if key == "host" then
            expect.fail(field, "the URL names the host: a server that is asked for under one name and reached under "
                .. "another could not be verified")
        elseif key == "origin" then
            expect.fail(field, "there is an option for it: origin = %s", expect.show(value[name]))
        end
    end
    local list, wrong = response.fields(value)
    if not list then
        expect.fail("", "%s", wrong)
    end
    return list
end

local function check_sensitive(value, path)
    local out = {}
    for i, name in ipairs(expect.list(value, path, "a list of names of headers")) do
        out[text(name, expect.field(path, i), "a header's name"):lower()] = true
    end
    return out
end

local function check_tls(value, path)
    expect.type(value, "table", path, "a table such as { ca = FILE }")
    expect.only(value, tls_names, path)
    for _, name in ipairs { "ca", "cert", "key" } do
        if value[name] ~= nil then
            text(value[name], expect.field(path, name), "a file's name")
        end
    end
    if (value.cert == nil) ~= (value.key == nil) then
        expect.fail(path, "cert and key go together")
    end
    if value.verify ~= nil then
        expect.type(value.verify, "boolean", expect.field(path, "verify"), "true or false")
    end
    if value.name ~= nil then
        text(value.name, expect.field(path, "name"), "the name that the certificate is for")
    end
    return { ca = value.ca, cert = value.cert, key = value.key, name = value.name, verify = value.verify ~= false }
end

local function check_proxy(value, path)
    if value == false then
        return false
    end
    local what = 'false, or a URL such as "http://proxy.example:3128"'
    local found, wrong = proxy.parse(text(value, path, what))
    if not found then
        expect.fail(path, "%s", wrong)
    end
    return found
end

local function check_timeout(value, path)
    local seconds, wrong = units.seconds(value)
    if not seconds then
        expect.fail(path, "%s", wrong)
    elseif seconds == 0 then
        expect.fail(path, "expected more than 0")
    end
    return seconds
end

local function check_redirects(value, path)
    if math.type(value) ~= "integer" or value < 0 or value > redirects_max then
        expect.fail(path, "expected a whole number from 0 to %d, got %s", redirects_max, expect.show(value))
    end
    return value
end

-- Returns the handler's options: it may carry subprotocols and so on as on a route.
local function check_handler(value, path)
    local own = handlers.check(value, path)
    if value.upgrade then
        expect.fail(expect.field(path, "upgrade"), "this is for connections that are accepted, not made")
    end
    return own
end

local function check_url(value)
    if type(value) ~= "string" then
        expect.fail("", "a URL expected, got %s", expect.kind(value))
    end
    local u, wrong = url.parse(value)
    if not u then
        expect.fail("", "%s, got %s", wrong, expect.quote(value))
    end
    return u
end

local function check_options(opts, u)
    expect.type(opts, "table", "", "a table of options")
    expect.only(opts, client.options, "")
    local function field(name, check, default)
        if opts[name] == nil then
            return default
        end
        return check(opts[name], name)
    end
    local own = field("handler", check_handler, {})
    local want = {
        handler = opts.handler,
        headers = field("headers", check_headers, {}),
        sensitive = field("sensitive", check_sensitive, {}),
        protocols = field("protocols", handlers.check_protocols, own.protocols),
        compression = field("compression", compression.check, own.compression),
        limits = limits.merge("limits", field("limits", function(given)
            return limits.read(given, "route", "limits")
        end, own.limits)),
        origin = field("origin", function(given)
            return text(given, "origin", 'an origin such as "https://app.example"')
        end),
        proxy = field("proxy", check_proxy),
        tls = field("tls", check_tls),
        timeout = field("timeout", check_timeout, timeout_default),
        redirects = field("redirects", check_redirects, 0),
        reconnect = field("reconnect", reconnect.check, false),
    }
    if want.tls and u.scheme ~= "wss" and want.redirects == 0 then
        expect.fail("tls", "there is none with %s:", u.scheme)
    elseif want.proxy and u.socket then
        expect.fail("proxy", "a socket of this machine is not reached through one")
    end
    for _, pair in ipairs(want.headers) do
        if u.user and pair[1]:lower() == "authorization" then
            expect.fail(expect.field("headers", pair[1]), "the URL has user information, which is sent as this field")
        end
    end
    return want
end

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
        return nil, ("%s, got %s"):format(wrong, expect.quote(location))
    elseif u.scheme == "wss" and to.scheme ~= "wss" then
        return nil, "it leads from wss to " .. to.scheme
    elseif to.socket and not u.socket then
        return nil, "it leads to a socket of this machine"
    end
    return to
end

-- One attempt, and those that redirects ask for. Results as of core.connect.
local function follow(want, first, more)
    local u, trusted = first, true
    for left = want.redirects, 0, -1 do
        local ws, message, code, details = attempt(want, first, u, trusted, more)
        if ws or code ~= "status" or not redirecting[details.status] or want.redirects == 0 then
            return ws, message, code, details
        end
        local to, wrong = next_url(u, details)
        if not to or left == 0 then
            return nil, ("%s; the redirect is not followed: %s"):format(message,
                wrong or ("these were %d already"):format(want.redirects)), code, details
        end
        trusted = trusted and url.same_server(first, to)
        u = to
    end
end

-- --- connect -------------------------------------------------------------------------------------

local function check(address, opts)
    local u, wrong = expect.catch(check_url, address)
    if not u then
        return nil, nil, ("bad argument #1 to 'connect' (%s)"):format(wrong)
    end
    local want
    want, wrong = expect.catch(check_options, opts == nil and {} or opts, u)
    if not want then
        return nil, nil, ("bad argument #2 to 'connect' (%s)"):format(wrong)
    end
    return u, want
end

--- connect(url [, options]) -> ws; or nil, message, code, details. Waits until the connection is open
-- (RFC 6455 section 4.1). Misuse throws.
--   code     "name", "refused", "proxy", "tls", "status", "handshake", "lost", "timeout", "cancelled",
--            "memory"
--   details  { status =, headers =, body = } when the server has answered
-- User information in the URL is sent as `Authorization: Basic`, to the server of that URL alone.
function client.connect(address, opts)
    local u, want, wrong = check(address, opts)
    if wrong then
        error(wrong, 2)
    end
    local why = core.cannot_wait "connect"
    if why then
        error(why, 2)
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
        error(("bad argument #1 to 'connect' (%s, got %s)"):format(message, expect.quote(address)), 2)
    end
    return ws, message, code, details
end

return client
