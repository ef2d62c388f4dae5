--- URLs of WebSocket servers and of proxies, taken apart. Strict: what is passed here is put together
-- again for C, so that both halves see the same host.
local url = {}

local default_ports = { ws = 80, wss = 443, http = 80, https = 443 }

-- What a redirect may name instead.
local websocket_schemes = { http = "ws", https = "wss" }

local function decode(text)
    local wrong = text:gsub("%%%x%x", ""):find("%", 1, true)
    text = text:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end)
    if wrong or text:find("%c") then
        return nil
    end
    return text
end

local function read_port(text)
    local port = text:match("^[1-9]%d*$") and #text <= 5 and tonumber(text) or nil
    return port and port <= 65535 and math.tointeger(port) or nil
end

--- host[:port], where host is a name, an IPv4 address or an IPv6 one in brackets. Returns the host (in
-- lower case, without brackets) and the port or nil; or nil, nil and what is wrong.
function url.read_authority(text)
    local host, rest = text:match("^%[([%x:.]+)%](.*)$")
    if not host then
        host, rest = text:match("^([%w._-]+)(.*)$")
    end
    if not host or rest:find("^[^:]") then
        return nil, nil, "a host's name or address expected"
    elseif rest == "" then
        return host:lower(), nil
    end
    local port = read_port(rest:sub(2))
    if not port then
        return nil, nil, "a port from 1 to 65535 expected behind the host"
    end
    return host:lower(), port
end

--- Splits "user:password@" off an authority. Returns the rest and "user:password", decoded, or nil
-- without one; or nil, nil and what is wrong.
function url.split_user(authority)
    local info, rest = authority:match("^(.*)@([^@]*)$")
    if not info then
        return authority, nil
    end
    local user, password = info:match("^([^:]*):?(.*)$")
    user, password = decode(user), decode(password)
    if not user or not password or user:find(":", 1, true) then
        return nil, nil, "malformed user information"
    end
    return rest, user .. ":" .. password
end

local function parse_unix(rest)
    local socket, target = rest:gsub("^//+", "/"):match("^([^:]+):?(.*)$")
    if not socket then
        return nil, "a socket's path expected, as in ws+unix:/run/app.sock:/path"
    elseif target ~= "" and target:sub(1, 1) ~= "/" then
        return nil, "the path behind the socket begins with a slash, as in ws+unix:/run/app.sock:/path"
    end
    return { scheme = "ws+unix", socket = socket, host = "localhost", target = target == "" and "/" or target }
end

local function parse_network(scheme, rest)
    local authority, target = rest:match("^//([^/?]*)(.*)$")
    if not authority then
        return nil, ("%s://HOST[:PORT]/PATH expected"):format(scheme)
    end
    local place, user, wrong = url.split_user(authority)
    local host, port
    if place then
        host, port, wrong = url.read_authority(place)
    end
    if not host then
        return nil, wrong
    end
    return {
        scheme = scheme, host = host, port = port or default_ports[scheme], user = user,
        target = target:sub(1, 1) == "/" and target or "/" .. target,
    }
end

--- Takes apart "ws://...", "wss://...", "ws+unix:SOCKET[:TARGET]". With `redirect` http and https stand
-- for ws and wss. Returns { scheme =, host =, port =, target =, user =, socket = }; or nil and what is
-- wrong.
function url.parse(text, redirect)
    local scheme, rest = text:match("^(%a[%w+.-]*):(.*)$")
    scheme = scheme and scheme:lower()
    if redirect then
        scheme = websocket_schemes[scheme] or scheme
    end
    if text:find("[^!-~]") then
        return nil, "spaces, control characters and what is not ASCII must be percent-encoded"
    elseif text:find("#", 1, true) then
        return nil, "a WebSocket URL has no fragment; in a path write %23"
    elseif scheme == "ws+unix" then
        return parse_unix(rest)
    elseif scheme == "ws" or scheme == "wss" then
        return parse_network(scheme, rest)
    end
    return nil, "ws://, wss:// or ws+unix: expected"
end

local function authority_of(u)
    local host = u.host:find(":", 1, true) and "[" .. u.host .. "]" or u.host
    return u.port == default_ports[u.scheme] and host or host .. ":" .. u.port
end

--- The URL as text, without user information.
function url.format(u)
    if u.socket then
        return ("ws+unix:%s:%s"):format(u.socket, u.target)
    end
    return ("%s://%s%s"):format(u.scheme, authority_of(u), u.target)
end

--- The same without the query, which may hold secrets: for logs.
function url.place(u)
    return (url.format(u):gsub("%?.*$", ""))
end

--- A text that is to be a URL, for messages: whatever may be user information is left out.
function url.hide_user(text)
    local scheme, rest = text:match("^(%a[%w+.-]*:/*)(.*)$")
    return (scheme or "") .. (rest or text):gsub("^.*@", "...@")
end

--- As C takes it; a socket's path goes beside it.
function url.for_core(u)
    return u.socket and "ws://localhost" .. u.target or url.format(u)
end

--- Do both lead to the same server, in the same way?
function url.same_server(a, b)
    return a.scheme == b.scheme and a.host == b.host and a.port == b.port and a.socket == b.socket
end

-- RFC 3986 section 5.2.4
local function remove_dots(path)
    local out = {}
    for segment in path:gmatch("/([^/]*)") do
        if segment == ".." then
            table.remove(out)
        elseif segment ~= "." then
            out[#out + 1] = segment
        end
    end
    local slash = path:find("/%.%.?$") and #out > 0 and "/" or ""
    return "/" .. table.concat(out, "/") .. slash
end

--- Where a Location leads from `base` (RFC 3986 section 5.2). Returns as url.parse does.
function url.resolve(base, location)
    location = location:gsub("#.*$", "")
    if location:find("^%a[%w+.-]*:") then
        return url.parse(location, true)
    elseif location:find("^//") then
        if base.socket then
            return nil, "no host can follow a socket"
        end
        return url.parse(base.scheme .. ":" .. location)
    elseif location:find("[^!-~]") then
        return nil, "spaces, control characters and what is not ASCII must be percent-encoded"
    end
    local path, query = location:match("^([^?]*)(.*)$")
    local base_path, base_query = base.target:match("^([^?]*)(.*)$")
    if path == "" then
        path, query = base_path, query ~= "" and query or base_query
    elseif path:sub(1, 1) ~= "/" then
        path = base_path:match("^.*/") .. path
    end
    return {
        scheme = base.scheme, host = base.host, port = base.port, socket = base.socket,
        target = remove_dots(path) .. query,
    }
end

return url
