--- Which proxy a connection goes through: from an option, or from the environment by the rules that
-- curl has made customary.
local url = require "tidewire.url"

local proxy = {}

local default_port = 1080 -- as curl has it

--- Reads "http://user:password@host:port"; the scheme may be left out. Returns { host =, port =,
-- credentials = }, or nil and what is wrong.
function proxy.parse(text)
    local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
    if scheme and scheme:lower() ~= "http" then
        return nil, ("only proxies that speak HTTP are supported, not %s"):format(scheme)
    end
    local authority, path = (rest or text):match("^([^/?#]*)(.*)$")
    if path ~= "" and path ~= "/" then
        return nil, "a proxy has no path: http://HOST:PORT expected"
    end
    local place, credentials, wrong = url.split_user(authority)
    local host, port
    if place then
        host, port, wrong = url.read_authority(place)
    end
    if not host then
        return nil, wrong
    end
    return { host = host, port = port or default_port, credentials = credentials }
end

-- --- no_proxy ------------------------------------------------------------------------------------

-- The 4 or 16 bytes of an address as a list, or nil.
local function bytes_of(text)
    local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if a then
        local out = { tonumber(a), tonumber(b), tonumber(c), tonumber(d) }
        for _, byte in ipairs(out) do
            if byte > 255 then
                return nil
            end
        end
        return out
    end
    return nil
end

local function append_groups(out, text)
    for group in text:gmatch("[^:]+") do
        local four = bytes_of(group)
        if four then
            table.move(four, 1, 4, #out + 1, out)
        elseif #group > 4 or group:find("%X") then
            return false
        else
            local n = tonumber(group, 16)
            out[#out + 1], out[#out + 2] = n >> 8, n & 0xFF
        end
    end
    return true
end

local function bytes_of_ipv6(text)
    if not text:find(":", 1, true) then
        return nil
    end
    local head, tail = text:match("^(.-)::(.*)$")
    local out, rest = {}, {}
    if not append_groups(out, head or text) or not append_groups(rest, tail or "") then
        return nil
    end
    local missing = 16 - #out - #rest
    if (head and missing < 2) or (not head and missing ~= 0) then
        return nil
    end
    for _ = 1, missing do
        out[#out + 1] = 0
    end
    return table.move(rest, 1, #rest, #out + 1, out)
end

local function address(text)
    return bytes_of(text) or bytes_of_ipv6(text)
end

-- "10.0.0.0/8", or one address.
local function in_network(bytes, network)
    local text, bits = network:match("^([^/]*)/?(%d*)$")
    local wanted = text and address(text)
    if not wanted or #wanted ~= #bytes then
        return false
    end
    local left = bits == "" and #bytes * 8 or tonumber(bits)
    if left > #bytes * 8 then
        return false
    end
    for i = 1, #bytes do
        local here = math.max(0, math.min(8, left - (i - 1) * 8))
        local mask = 0xFF << (8 - here) & 0xFF
        if bytes[i] & mask ~= wanted[i] & mask then
            return false
        end
    end
    return true
end

local function bare(name)
    return (name:lower():gsub("%.$", ""))
end

-- "example.org" and ".example.org" are the host itself and all below it.
local function below(host, name)
    name = bare(name:gsub("^%.", ""))
    return name ~= "" and (host == name or host:sub(-#name - 1) == "." .. name)
end

--- Does a no_proxy list ("localhost, .example.org 10.0.0.0/8") except this host? "*" alone excepts all.
function proxy.is_excepted(host, list)
    if list:match("^%s*(.-)%s*$") == "*" then
        return true
    end
    local bytes = address(host)
    for name in list:gmatch("[^,%s]+") do
        name = name:match("^%[(.*)%]$") or name
        if bytes and in_network(bytes, name) or not bytes and below(bare(host), name) then
            return true
        end
    end
    return false
end

-- --- the environment -----------------------------------------------------------------------------

local function first_set(getenv, names)
    for _, name in ipairs(names) do
        local value = getenv(name)
        if value and value ~= "" then
            return value, name
        end
    end
    return nil
end

-- HTTP_PROXY in upper case is what a CGI program would get from a client's header `Proxy`.
local variables = {
    ws = { "http_proxy", "all_proxy", "ALL_PROXY" },
    wss = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
}

--- The proxy for the URL u (of url.parse), or nil for none; or nil and which variable is wrong.
function proxy.from_environment(u, getenv)
    if u.socket then
        return nil
    end
    local value, name = first_set(getenv, variables[u.scheme])
    local except = first_set(getenv, { "no_proxy", "NO_PROXY" })
    if not value or (except and proxy.is_excepted(u.host, except)) then
        return nil
    end
    local found, wrong = proxy.parse(value)
    if not found then
        return nil, ("the variable %s of the environment: %s"):format(name, wrong)
    end
    return found
end

return proxy
