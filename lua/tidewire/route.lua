--- The contract of a route: its pattern, what it leads to (a WebSocket handler, an HTTP endpoint or
-- a folder of files), its options.
local expect = require "tidewire.expect"
local files = require "tidewire.files"
local handler = require "tidewire.handler"
local http = require "tidewire.http"
local limits = require "tidewire.limits"
local proxies = require "tidewire.proxies"
local source = require "tidewire.source"

local route = {}

local captures_max = 16

--- Checks a pattern as the route table in C will: "/", segments, ":name" for a capture. Returns the
-- pattern with its captures unnamed: patterns with the same skeleton match the same paths.
function route.skeleton(pattern, path)
    if type(pattern) ~= "string" then
        expect.fail(path, 'expected a pattern such as "/rooms/:room" as key, got %s', expect.kind(pattern))
    elseif pattern:sub(1, 1) ~= "/" then
        expect.fail(path, 'a pattern starts with "/"%s',
            pattern:match("^%a+://") and ": schemes, hosts and ports belong to --listen" or "")
    elseif pattern:find("//", 1, true) then
        expect.fail(path, 'a pattern has no empty segment ("//")')
    end
    local names, count = {}, 0
    return (pattern:gsub("[^/]+", function(segment)
        if segment == "." or segment == ".." then
            expect.fail(path, "the segment %s can never match", expect.quote(segment))
        elseif segment:find("[*{}]") then
            expect.fail(path, "`%s` has no meaning here; one segment is captured by `:name`, everything below a path "
                .. "by tidewire.files", segment:match("[*{}]"))
        elseif segment:sub(1, 1) ~= ":" then
            return segment
        end
        local name = segment:sub(2)
        if not name:match("^[%a_][%w_]*$") then
            expect.fail(path, "%s: the name of a capture has letters, digits and _", expect.quote(segment))
        elseif names[name] then
            expect.fail(path, "the capture %s is there twice", expect.quote(segment))
        end
        names[name], count = true, count + 1
        if count > captures_max then
            expect.fail(path, "more than %d captures", captures_max)
        end
        return ":"
    end))
end

local standard_methods = { "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT" }

-- GET brings HEAD, which differs by having no body alone.
local function check_methods(value, path)
    if value == nil then
        return nil
    end
    expect.list(value, path, 'a list of methods such as { "GET", "POST" }')
    local out, seen = {}, {}
    local function add(method)
        if not seen[method] then
            seen[method] = true
            out[#out + 1] = method
        end
    end
    for i, method in ipairs(value) do
        local known = false
        for _, name in ipairs(standard_methods) do
            known = known or name == method
        end
        if not known then
            expect.fail(expect.field(path, i), "expected one of %s, got %s",
                table.concat(standard_methods, ", "), expect.show(method))
        end
        add(method)
        if method == "GET" then
            add("HEAD")
        end
    end
    return out
end

local function answers_get(methods)
    for _, method in ipairs(methods or { "GET" }) do
        if method == "GET" then
            return true
        end
    end
    return false
end

local function refuse_websocket_options(options, path, what)
    for _, name in ipairs { "protocols", "origins", "limits", "compression" } do
        if options[name] ~= nil then
            expect.fail(expect.field(path, name), "%s: only a WebSocket handler has this option", what)
        end
    end
end

local function endpoint(pattern, fn, options, path, context)
    refuse_websocket_options(options, path, "this route is an HTTP endpoint")
    local methods = check_methods(options.methods, expect.field(path, "methods"))
    return {
        kind = "http", pattern = pattern, mount = false, page = answers_get(methods),
        detail = methods and table.concat(methods, ", ") or "",
        install = {
            pattern = pattern, mount = false,
            proxies = options.proxy ~= nil and proxies.check_option(options.proxy, expect.field(path, "proxy"))
                or context.proxies,
            serve = http.endpoint(fn, { route = pattern, methods = methods, encode = context.encode }),
        },
    }
end

local function folder(pattern, value, options, path, context)
    refuse_websocket_options(options, path, "this route is a folder of files")
    if options.proxy ~= nil then
        expect.fail(expect.field(path, "proxy"), "files are the same for every client: there is nothing to forward")
    end
    if options.methods ~= nil then
        expect.fail(expect.field(path, "methods"), "files are answered to GET and HEAD: there is no choice")
    end
    local where = source.join(context.root, value.path)
    local opened, message = context.folder(where)
    if not opened then
        expect.fail(path, "cannot open the folder %s", message)
    end
    if files.holds_entry(opened, value.path, context) then
        expect.fail(path, "the folder %s holds the app's own source (%s), which would be served: take a folder of "
            .. 'its own, such as "public"', expect.quote(value.path), context.file)
    end
    local index = opened:open("index.html")
    if index then
        index:close()
    end
    return {
        kind = "files", pattern = pattern, mount = true, page = index ~= nil, detail = value.path,
        install = { pattern = pattern, mount = true, serve = files.serve(opened) },
    }
end

-- What C gets as handler: the app's own table, but for `upgrade`, which is wrapped. Everything else
-- is looked up in the app's table whenever it is needed.
local function with_wrapped_upgrade(value, pattern)
    if not value.upgrade then
        return value
    end
    return setmetatable({ upgrade = http.upgrade(value.upgrade, { route = pattern }) }, { __index = value })
end

-- false is given: it turns off.
local function first_given(a, b)
    if a ~= nil then
        return a
    end
    return b
end

local function websocket(pattern, value, options, path, context, mount)
    local at = options and expect.field(path, "handler") or path
    local own = handler.check(value, at)
    local beside = options and handler.check_options(options, path) or {}
    if options and options.methods ~= nil then
        expect.fail(expect.field(path, "methods"), "only an HTTP endpoint (a function) has this option")
    end
    local protocols = beside.protocols or own.protocols
    return {
        kind = "websocket", pattern = pattern, mount = mount, page = false, protocols = protocols,
        detail = protocols and table.concat(protocols, ", ") or "",
        install = {
            pattern = pattern, mount = mount, handler = with_wrapped_upgrade(value, pattern),
            protocols = protocols, origins = beside.origins or own.origins,
            proxies = beside.proxy or own.proxy or context.proxies,
            compression = first_given(beside.compression, own.compression),
            limits = limits.merge(expect.field(path, "limits"), context.limits, own.limits, beside.limits),
        },
    }
end

local option_names = { "handler", "limits", "methods", "origins", "protocols", "compression", "proxy" }

--- Checks one entry of `routes` and returns
--   { pattern =, mount =, kind = "websocket" | "http" | "files", detail = (for people), protocols =,
--     page = (does it answer GET with a page), install = (what C takes) }.
-- path names the entry in messages. context: file, root, folder, encode, limits and
-- proxies (of tidewire.lua).
function route.check(pattern, value, path, context)
    if type(value) == "function" then
        return endpoint(pattern, value, {}, path, context)
    elseif files.is_declared(value) then
        return folder(pattern, value, {}, path, context)
    end
    expect.type(value, "table", path, "a handler, a function, tidewire.files(...) or a table of options")
    if value.handler == nil then
        return websocket(pattern, value, nil, path, context, false)
    end
    expect.only(value, option_names, path)
    if type(value.handler) == "function" then
        return endpoint(pattern, value.handler, value, path, context)
    elseif files.is_declared(value.handler) then
        return folder(pattern, value.handler, value, path, context)
    end
    return websocket(pattern, value.handler, value, path, context, false)
end

--- The route of a script that is a handler: every path.
function route.check_every_path(value, context)
    return websocket("/", value, nil, "", context, true)
end

return route
