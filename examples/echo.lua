-- Echo: a script that returns a handler serves it at every path.
--   tidewire run examples/echo.lua
return {
    message = function(ws, data, kind) -- kind is "text" or "binary"
        ws:send(data, kind)
    end,
}
