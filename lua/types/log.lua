---@meta _
-- tidewire.log: one line each on stderr, or in the log file.
-- luacheck: no unused

---At most 32 are written.
---@alias tidewire.log.fields table<string, string | number | boolean>

---@class tidewire.log
local log = {}

---@param message string
---@param fields? tidewire.log.fields
function log.debug(message, fields) end

---@param message string
---@param fields? tidewire.log.fields
function log.info(message, fields) end

---@param message string
---@param fields? tidewire.log.fields
function log.warn(message, fields) end

---@param message string
---@param fields? tidewire.log.fields
function log.error(message, fields) end
