--- core.limited for specs about what it tells of a failure: it runs fn in a coroutine, as the real one
-- does, and returns its frames with their local variables. It has no limits.
local function locals_of(co, level)
    local out, i = {}, 1
    local name, value = debug.getlocal(co, level, i)
    while name do
        if name:sub(1, 1) ~= "(" then
            out[#out + 1] = { name, value }
        end
        i = i + 1
        name, value = debug.getlocal(co, level, i)
    end
    return out
end

return function(fn, _, _, ...)
    local co = coroutine.create(fn)
    local results = table.pack(coroutine.resume(co, ...))
    if results[1] then
        return table.unpack(results, 1, results.n)
    end
    local frames, level = {}, 0
    local info = debug.getinfo(co, level, "Sl")
    while info do
        if info.currentline > 0 then
            frames[#frames + 1] = { source = info.short_src, line = info.currentline, locals = locals_of(co, level) }
        end
        level = level + 1
        info = debug.getinfo(co, level, "Sl")
    end
    return false, results[2], debug.traceback(co), frames
end
