--- Static files: tidewire.files "public", and how such a folder is served.
local conditional = require "tidewire.http.conditional"
local date = require "tidewire.http.date"
local etag = require "tidewire.http.etag"
local media = require "tidewire.http.media"
local range = require "tidewire.http.range"

local files = {}

local declared = { __name = "tidewire.files" }

--- Declares a folder of static files, relative to the app's root. Misuse throws.
function files.declare(path, ...)
    if type(path) ~= "string" or path == "" then
        error("bad argument #1 to 'files' (a folder's path expected, got "
            .. (path == "" and "an empty string" or type(path)) .. ")", 2)
    elseif select("#", ...) > 0 then
        error("bad argument #2 to 'files' (nothing expected after the path)", 2)
    end
    return setmetatable({ path = path }, declared)
end

--- Is this a value of files.declare?
function files.is_declared(value)
    return getmetatable(value) == declared
end

-- What tells a file from every other one, or nil when it cannot be opened.
local function identity(folder, name)
    local file = folder:open(name)
    if not file then
        return nil
    end
    local id = ("%s %s %s"):format(file.id, file.size, file.mtime)
    file:close()
    return id
end

-- Is it the app's root, or a folder above it, by its name alone?
local function leads_up(path)
    return path:sub(1, 1) ~= "/" and not path:gsub("[^/]+", { ["."] = "", [".."] = "" }):find("[^/]")
end

--- Does the open folder, which was declared as `path`, contain the entry script, be it further down?
-- context: file, root, folder (see tidewire.app). The names that lead down to the script are those
-- of its path; a relative one is completed with PWD, which may be missing or wrong: a file is
-- compared, so nothing is taken for the script that is not.
function files.holds_entry(opened, path, context)
    if leads_up(path) then
        return true
    end
    local name = context.file:match("[^/]*$")
    local root = context.folder(context.root)
    local entry = root and identity(root, name)
    if not entry then
        return false
    end
    local above = context.root
    if above:sub(1, 1) ~= "/" then
        above = (os.getenv "PWD" or "") .. "/" .. above
    end
    local below = name
    repeat
        if identity(opened, below) == entry then
            return true
        end
        local rest, segment = above:match("^(.-)/*([^/]+)/*$")
        above = rest
        if segment and segment ~= "." then
            below = segment .. "/" .. below
        end
    until not segment
    return false
end

local function text_answer(req, status, text, ...)
    req:respond(status, { { "Content-Type", "text/plain; charset=utf-8" }, ... }, text .. "\n")
end

-- Hidden files and empty segments are not served: "a/.git/config", "a//b".
local function is_servable(rest)
    return not ("/" .. rest):find("/.", 1, true) and not ("/" .. rest):find("//", 1, true)
end

local function encode_path(path)
    return (path:gsub("[^%w%-._~/]", function(c)
        return ("%%%02X"):format(c:byte())
    end))
end

local function redirect_to_folder(req)
    local target = encode_path(req.path) .. "/"
    if req.raw_query and req.raw_query ~= "" then
        target = target .. "?" .. req.raw_query
    end
    text_answer(req, 301, "Moved Permanently", { "Location", target })
end

local function own_state(file)
    local modified = file.mtime // 1 | 0
    -- A date ahead of the clock must not be sent (RFC 9110 section 8.8.2.1), and so not compared.
    return { etag = etag.of_file(file.id, file.size, file.mtime), modified = modified <= os.time() and modified or nil }
end

local function send_file(req, file, name)
    local own = own_state(file)
    local headers = {
        { "ETag", own.etag },
        { "Cache-Control", "no-cache" },
        { "X-Content-Type-Options", "nosniff" },
    }
    local function add(field, value)
        headers[#headers + 1] = { field, value }
    end
    if own.modified then
        add("Last-Modified", date.format(own.modified))
    end
    local status = conditional.status(req.headers, own)
    if status then
        file:close()
        return req:respond(status, headers)
    end
    add("Accept-Ranges", "bytes")
    local asked = req.method == "GET" and req.headers["range"]
    if asked and conditional.range_allowed(req.headers, own) then
        local offset, length = range.parse(asked, file.size)
        if offset then
            add("Content-Type", media.of(name))
            add("Content-Range", ("bytes %d-%d/%d"):format(offset, offset + length - 1, file.size))
            return req:respond(206, headers, file, offset, length)
        elseif length == "unsatisfiable" then
            add("Content-Range", ("bytes */%d"):format(file.size))
            file:close()
            return req:respond(416, headers)
        end
    end
    add("Content-Type", media.of(name))
    req:respond(200, headers, file)
end

--- Makes serve(req) of a folder (core.folder). GET and HEAD; index.html for a folder; hidden files,
-- what does not exist and what lies outside are 404 or 403. An error that says nothing about the
-- request (no descriptors left) is raised.
function files.serve(folder)
    return function(req)
        if req.method ~= "GET" and req.method ~= "HEAD" then
            return text_answer(req, 405, "Method Not Allowed", { "Allow", "GET, HEAD" })
        end
        local rest = req.rest
        if not is_servable(rest) then
            return text_answer(req, 404, "Not Found")
        end
        -- Whether the request named the folder itself with or without its slash shows in the path.
        if rest == "" and req.path:sub(-1) ~= "/" then
            return redirect_to_folder(req)
        end
        local name = (rest == "" or rest:sub(-1) == "/") and rest .. "index.html" or rest
        local file, message, code = folder:open(name)
        if file then
            return send_file(req, file, name)
        elseif code == "directory" and name == rest then
            return redirect_to_folder(req)
        elseif code == "not_found" or code == "directory" then
            return text_answer(req, 404, "Not Found")
        elseif code == "forbidden" then
            return text_answer(req, 403, "Forbidden")
        end
        error("cannot open " .. message, 0)
    end
end

return files
