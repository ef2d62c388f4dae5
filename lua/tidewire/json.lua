--- JSON for apps: 64-bit integers stay exact, arrays and objects are told apart, depth is bound.
local core = require "tidewire.core"

return {
    --- encode(value [, options]) -> text. What has no form in JSON (a function, NaN, text that is no
    -- UTF-8, a table inside itself) throws.
    encode = core.json_encode,

    --- decode(text) -> value, or nil and a message.
    decode = core.json_decode,

    --- The value that null is read as and written for.
    null = core.json_null,

    --- array(t) marks the table t as a JSON array, which an empty table would not be, and returns it.
    array = core.json_array,
}
