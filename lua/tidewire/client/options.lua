--- What tidewire.connect is asked for: its URL and its options, checked.
local compression = require "tidewire.compression"
local expect = require "tidewire.expect"
local handlers = require "tidewire.handler"
local limits = require "tidewire.limits"
local proxy = require "tidewire.proxy"
local reconnect = require "tidewire.reconnect"
local response = require "tidewire.http.response"
local units = require "tidewire.units"
local url = require "tidewire.url"

local options = {}

local names = {
    "compression", "handler", "headers", "limits", "origin", "protocols", "proxy", "reconnect", "redirects",
    "sensitive", "timeout", "tls",
}
local tls_names = { "ca", "cert", "key", "name", "verify" }

local timeout_default = 10
local protocols_max = 64
local headers_max = 90 -- a request has room for 100, and some are the runtime's
local redirects_max = 20

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
        elseif key == "expect" then
            expect.fail(field, "a request without a body has nothing to announce")
        end
    end
    local list, wrong = response.fields(value)
    if not list then
        expect.fail("", "%s", wrong)
    elseif #list > headers_max then
        expect.fail(path, "at most %d fields can be sent, got %d", headers_max, #list)
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

local function check_protocols(value, path)
    local list = handlers.check_protocols(value, path)
    if #list > protocols_max then
        expect.fail(path, "at most %d can be offered, got %d", protocols_max, #list)
    end
    return list
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

local function check_options(opts)
    expect.type(opts, "table", "", "a table of options")
    expect.only(opts, names, "")
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
        protocols = field("protocols", check_protocols, own.protocols),
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
    if want.reconnect and want.reconnect.gave_up and not want.handler then
        expect.fail("reconnect.gave_up", "without a handler, connect itself returns why it gave up")
    end
    return want
end

--- Checks what the program has written: misuse, whatever the URL says. Returns what is wanted, or nil and the whole
-- message about the argument that is wrong. What is wanted: handler, headers (a list of { name, value }), sensitive
-- (a set of names in lower case), protocols, compression, limits, origin, proxy (false: none, nil: as the environment
-- says), tls, timeout, redirects, reconnect.
function options.check(address, opts)
    if type(address) ~= "string" then
        return nil, ("bad argument #1 to 'connect' (a URL expected, got %s)"):format(expect.kind(address))
    end
    local want, wrong = expect.catch(check_options, opts == nil and {} or opts)
    if not want then
        return nil, ("bad argument #2 to 'connect' (%s)"):format(wrong)
    end
    return want
end

-- What the URL asks for and an option forbids.
local function contradiction(u, want)
    if want.tls and u.scheme ~= "wss" and want.redirects == 0 then
        return "with the option tls a wss: URL expected"
    elseif want.proxy and u.socket then
        return "with the option proxy no socket of this machine expected"
    end
    for _, pair in ipairs(want.headers) do
        if u.user and pair[1]:lower() == "authorization" then
            return "user information is sent as Authorization, which is among the headers already"
        end
    end
    return nil
end

--- What is wrong with the URL `address`, with the URL itself in it.
function options.bad_url(address, why)
    return ("%s, got %s"):format(why, expect.quote(url.hide_user(address)))
end

--- Reads the URL, which may come from a user. Returns it as url.parse does; or nil and what is wrong with it, alone or
-- together with what is wanted.
function options.read_url(address, want)
    local u, wrong = url.parse(address)
    wrong = wrong or contradiction(u, want)
    if wrong then
        return nil, options.bad_url(address, wrong)
    end
    return u
end

return options
