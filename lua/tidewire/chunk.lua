--- Compiles source text, and text only. What was compiled is kept in `sources`, by the short name
-- under which Lua speaks of it in messages and tracebacks, so that an excerpt shows the text that
-- runs and not what the file has become meanwhile.
local chunk = {}

-- Lua shortens long names in messages ("...d/apps/chat.lua"); this asks it how.
local function short_name(name)
    return debug.getinfo(load("", name, "t"), "S").short_src
end

-- A byte order mark and a first line "#!..." are no Lua. The line stays as a comment: line
-- numbers do not move.
local function plain(text)
    text = text:gsub("^\xEF\xBB\xBF", "")
    if text:sub(1, 1) == "#" then
        text = "--" .. text
    end
    return text
end

--- Compiles `text`, the content of the file `path`, with `env` as its globals. `sources` is
-- added to: sources[short name] = { path =, text = }. Returns the function, or nil and a message
-- (`path:line: ...` for a syntax error).
function chunk.compile(text, path, env, sources)
    if text:sub(1, 1) == "\27" then
        return nil, path .. ": is precompiled Lua; only source text is loaded"
    end
    local name = "@" .. path
    text = plain(text)
    sources[short_name(name)] = { path = path, text = text }
    return load(text, name, "t", env)
end

return chunk
