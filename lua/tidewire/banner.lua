--- What `run` prints when it is ready: the listeners, the routes, the page.
local banner = {}

local kinds = { files = "files", http = "HTTP", websocket = "WebSocket" }

-- A route that takes everything below its pattern is shown with a star.
local function shown_pattern(route)
    if not route.mount then
        return route.pattern
    end
    return route.pattern:sub(-1) == "/" and route.pattern .. "*" or route.pattern .. "/*"
end

--- The routes as lines of a table: pattern, kind, and what there is to say (subprotocols, methods, the
-- folder), with the columns aligned.
function banner.routes(routes)
    local rows, widths = {}, { 0, 0 }
    for i, route in ipairs(routes) do
        rows[i] = { shown_pattern(route), kinds[route.kind], route.detail }
        for column = 1, 2 do
            widths[column] = math.max(widths[column], utf8.len(rows[i][column]) or #rows[i][column])
        end
    end
    local lines = {}
    for i, row in ipairs(rows) do
        local line = ""
        for column = 1, 2 do
            local missing = widths[column] - (utf8.len(row[column]) or #row[column])
            line = line .. row[column] .. (" "):rep(missing + 2)
        end
        lines[i] = ((line .. row[3]):gsub("%s+$", ""))
    end
    return lines
end

-- The http URL at which a listener's root is to be seen, or nil: a Unix socket has none. Behind the
-- listener's own URL may be told where it comes from, as in "ws://127.0.0.1:80 (systemd:web)".
local function page_url(listener)
    local scheme, authority = listener:match("^(wss?)://([^/?#%s]+)")
    if not scheme then
        return nil
    end
    -- A listener on every address is reached on this machine's own.
    authority = authority:gsub("^0%.0%.0%.0", "127.0.0.1"):gsub("^%[::%]", "[::1]")
    return (scheme == "wss" and "https://" or "http://") .. authority .. "/"
end

--- The URL of the page, when a route answers GET / with one and a listener is reached by a browser;
-- otherwise nil.
function banner.page(listeners, routes)
    local has_page = false
    for _, route in ipairs(routes) do
        has_page = has_page or (route.pattern == "/" and route.page)
    end
    for _, listener in ipairs(has_page and listeners or {}) do
        local url = page_url(listener)
        if url then
            return url
        end
    end
    return nil
end

--- The whole text, ended by a line feed.
function banner.text(listeners, routes)
    local lines = {}
    for _, listener in ipairs(listeners) do
        lines[#lines + 1] = "listening " .. listener
    end
    for i, line in ipairs(banner.routes(routes)) do
        lines[#lines + 1] = (i == 1 and "routes    " or "          ") .. line
    end
    local page = banner.page(listeners, routes)
    if page then
        lines[#lines + 1] = "page      " .. page
    end
    return table.concat(lines, "\n") .. "\n"
end

return banner
