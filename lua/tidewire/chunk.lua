--- Compiles source text, and text only. What was compiled is kept in `sources`, by the short name
-- under which Lua speaks of it in messages and tracebacks, so that an excerpt shows the text that
-- runs and not what the file has become meanwhile.
local chunk = {}

--- The name under which Lua speaks of the file `path`: long ones are shortened in messages
-- ("...d/apps/chat.lua").
function chunk.short_name(path)
    return debug.getinfo(load("", "@" .. path, "t"), "S").short_src
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
    text = plain(text)
    sources[chunk.short_name(path)] = { path = path, text = text }
    return load(text, "@" .. path, "t", env)
end

return chunk
