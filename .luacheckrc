-- Names that each part of the tree may touch, and what counts as a finding.
std = "lua54"
max_line_length = 120

-- The globals of an app: lua/tidewire/environment.lua. No debug library, no way out.
stds.app = {
    read_globals = {
        "_G", "_VERSION", "assert", "collectgarbage", "coroutine", "dofile", "error", "getmetatable", "io",
        "ipairs", "load", "loadfile", "math", "next", "os", "package", "pairs", "pcall", "print", "rawequal",
        "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "string", "table", "tonumber",
        "tostring", "type", "utf8", "warn", "xpcall",
    },
}

files["apps"] = { std = "app" }
files["examples"] = { std = "app" }
files["spec"] = { std = "lua54+busted" }
