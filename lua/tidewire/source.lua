--- Files of an app as text: how they are read, how their paths are put together.
local source = {}

--- The errno values that callers tell apart.
source.ENOENT, source.ENOTDIR, source.EISDIR = 2, 20, 21

--- Reads a file. Returns its text, or nil, a message without the path, and errno.
function source.read(path)
    local file, message, code = io.open(path, "rb")
    if not file then
        return nil, message:gsub("^.*: ", ""), code
    end
    local text, read_message, read_code = file:read("a")
    file:close()
    if not text then
        return nil, read_message, read_code
    end
    return text
end

--- A path below a folder, as it is shown to people: nothing is put before it when the folder is ".".
function source.join(folder, path)
    if folder == "." or path:sub(1, 1) == "/" then
        return path
    end
    return folder:sub(-1) == "/" and folder .. path or folder .. "/" .. path
end

return source
