--- Conditional requests (RFC 9110 section 13) for GET and HEAD of a content with a strong entity
-- tag and perhaps a date.
local date = require "tidewire.http.date"
local etag = require "tidewire.http.etag"

local conditional = {}

--- Judges the preconditions, in the order of section 13.2.2. headers: looked up by lower-case
-- names. own: { etag =, modified = (whole seconds, or nil) }. Returns nil to go on, 304 or 412.
function conditional.status(headers, own)
    local if_match, if_unmodified = headers["if-match"], headers["if-unmodified-since"]
    if if_match then
        if not etag.matches(if_match, own.etag, true) then
            return 412
        end
    elseif if_unmodified then
        local since = date.parse(if_unmodified)
        if since and own.modified and own.modified > since then
            return 412
        end
    end
    local if_none_match, if_modified = headers["if-none-match"], headers["if-modified-since"]
    if if_none_match then
        return etag.matches(if_none_match, own.etag) and 304 or nil
    elseif if_modified then
        local since = date.parse(if_modified)
        if since and own.modified and own.modified <= since then
            return 304
        end
    end
    return nil
end

--- May a Range be honoured, as far as If-Range goes? It may without one, and when it names exactly
-- this content: its strong tag or its date.
function conditional.range_allowed(headers, own)
    local if_range = headers["if-range"]
    if not if_range then
        return true
    elseif if_range:match('^%s*W?/?"') then
        return if_range == own.etag
    end
    -- A date is only exact when the second that it names was over (RFC 9110 section 8.8.2.2).
    return own.modified ~= nil and own.modified < os.time() - 1 and date.parse(if_range) == own.modified
end

return conditional
