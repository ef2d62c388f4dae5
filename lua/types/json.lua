---@meta _
-- tidewire.json: 64-bit integers stay exact, at most 128 levels.
-- luacheck: no unused

---Options of encode.
---@class tidewire.json.options
---@field pretty? boolean In lines, indented.
---@field sorted? boolean The names of objects in order.

---@class tidewire.json
---@field null lightuserdata What null is read as and written for.
local json = {}

---Throws what has no form in JSON: a function, NaN, text that is no UTF-8, a table inside itself.
---@param value any an empty table is an object unless `array` marks it
---@param options? tidewire.json.options
---@return string text
function json.encode(value, options) end

---@param text string
---@return any value nil: it is no JSON
---@return string? message what is wrong, and where
---@return "json"? code
function json.decode(text) end

---Marks a table as a JSON array.
---@param t? table a new one by default
---@return table t the same table
function json.array(t) end
