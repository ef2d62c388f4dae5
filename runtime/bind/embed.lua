-- Prints C: the Lua half of the runtime as constant arrays, with a table of the modules.
-- usage: lua5.4 embed.lua module=file ... ; build tool, not part of the runtime.
local out = { '#include "bind/core.h"\n\n' }
local rows = {}

local function bytes_of(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

local function add_array(name, text)
    out[#out + 1] = ("static const char %s[] = {"):format(name)
    for i = 1, #text do
        out[#out + 1] = (i % 24 == 1 and "\n    " or "") .. text:byte(i) .. ","
    end
    out[#out + 1] = "0\n};\n\n"
end

for i, argument in ipairs(arg) do
    local module, path = argument:match("^(.-)=(.+)$")
    local text = bytes_of(path)
    add_array("module_" .. i, text)
    -- the name that tracebacks show: "tidewire/app.lua", wherever it was built
    local shown = path:match("tidewire/.+$") or path:match("[^/]+$")
    rows[#rows + 1] = ('    {"%s", "@%s", module_%d, %d},\n'):format(module, shown, i, #text)
end

out[#out + 1] = "const struct embedded embedded_modules[] = {\n" .. table.concat(rows)
out[#out + 1] = "    {NULL, NULL, NULL, 0},\n};\n"
io.write(table.concat(out))
