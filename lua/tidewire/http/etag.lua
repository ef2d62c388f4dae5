--- Entity tags (RFC 9110 section 8.8.3).
local etag = {}

--- The strong tag of a file: another content has another inode, size or time of change.
function etag.of_file(id, size, mtime)
    return ('"%s-%x-%x"'):format(id, size, (mtime * 1000000) // 1 | 0)
end

--- A list of tags as in If-None-Match: "*", or a list of { weak =, tag = (with its quotes) }, or
-- nil when it is malformed.
function etag.parse(text)
    if text:match("^%s*%*%s*$") then
        return "*"
    end
    local tags, at = {}, 1
    while true do
        local weak, tag, stop = text:match('^[%s,]*(W?/?)("[!#-~\x80-\xff]*")%s*()', at)
        if not tag or (weak ~= "" and weak ~= "W/") then
            return nil
        end
        tags[#tags + 1] = { weak = weak == "W/", tag = tag }
        if text:match("^[%s,]*$", stop) then
            return tags
        elseif text:sub(stop, stop) ~= "," then
            return nil
        end
        at = stop
    end
end

--- Does the list name the (strong) tag `own`? Weakly, W/"x" and "x" are the same; strongly, a weak
-- tag is never the same as anything. What is malformed names nothing.
function etag.matches(text, own, strong)
    local tags = etag.parse(text)
    if tags == "*" then
        return true
    end
    for _, entry in ipairs(tags or {}) do
        if entry.tag == own and not (strong and entry.weak) then
            return true
        end
    end
    return false
end

return etag
