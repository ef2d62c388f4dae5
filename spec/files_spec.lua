local date = require "tidewire.http.date"
local files = require "tidewire.files"
local folder_of_files = require "support.folder"
local lfs = require "lfs"
local request = require "support.request"
local source = require "tidewire.source"
local support = require "support.core"
local variables = require "support.variables"

local mtime = 784111777.5
local modified = "Sun, 06 Nov 1994 08:49:37 GMT"

-- A folder double: names with contents, or with "directory" or "forbidden" as what open says.
local function folder_of(contents)
    local opened = {}
    return {
        opened = opened,
        open = function(_, rest)
            opened[#opened + 1] = rest
            local content = contents[rest]
            if content == nil then
                return nil, "No such file or directory", "not_found"
            elseif type(content) == "table" then
                return nil, content[1], content[2]
            end
            return {
                content = content, size = #content, mtime = contents.mtime or mtime, id = "7",
                close = function(self)
                    self.closed = true
                end,
            }
        end,
    }
end

local folder = folder_of {
    ["index.html"] = "<h1>", ["app.js"] = "0123456789", ["docs/index.html"] = "docs", ["empty.txt"] = "",
    ["docs"] = { "Is a directory", "directory" }, ["no index"] = { "Is a directory", "directory" },
    ["out"] = { "Invalid cross-device link", "forbidden" }, ["busy"] = { "busy: Too many open files" },
    ["odd/index.html"] = { "Is a directory", "directory" },
}

local function get(path, headers, fields)
    local req = request.new { path = path, rest = path:gsub("^/", ""), headers = headers }
    for name, value in pairs(fields or {}) do
        req[name] = value
    end
    files.serve(folder)(req)
    assert.is_table(req.answer)
    return req.answer
end

local tag = get("/app.js").headers.ETag

describe("files.serve", function()
    it("serves a file with type, tag and date", function()
        local answer = get "/app.js"
        assert.equal(200, answer.status)
        assert.equal("0123456789", answer.body.content)
        assert.is_nil(answer.offset)
        assert.is_nil(answer.body.closed)
        assert.same({
            ["Content-Type"] = "text/javascript; charset=utf-8", ETag = tag, ["Last-Modified"] = modified,
            ["Cache-Control"] = "no-cache", ["X-Content-Type-Options"] = "nosniff", ["Accept-Ranges"] = "bytes",
        }, answer.headers)
        assert.is_truthy(tag:match('^"7%-a%-%x+"$'))
    end)

    it("serves index.html for a folder", function()
        assert.equal("<h1>", get("/").body.content)
        local answer = get "/docs/"
        assert.equal("docs", answer.body.content)
        assert.equal("text/html; charset=utf-8", answer.headers["Content-Type"])
    end)

    it("redirects to a folder's slash, and keeps the query", function()
        local answer = get("/docs", nil, { raw_query = "a=1&b=%20" })
        assert.same({ 301, "/docs/?a=1&b=%20", "Moved Permanently\n" },
            { answer.status, answer.headers.Location, answer.body })
        assert.equal("/no%20index/", get("/no index").headers.Location)
        assert.equal("/static/", get("/static", nil, { rest = "" }).headers.Location)
        assert.equal("<h1>", get("/static/", nil, { rest = "" }).body.content)
    end)

    it("never redirects to another host", function()
        for _, path in ipairs { "//evil.example", "//evil.example/", "/a//b", "//docs" } do
            local answer = get(path)
            assert.equal(404, answer.status)
            assert.is_nil(answer.headers.Location)
        end
        assert.equal("/%0D%0Ax%22/", get("/\r\nx\"", nil, { rest = "docs" }).headers.Location)
    end)

    it("answers 404, 403, or raises", function()
        local answer = get "/none"
        assert.same({ 404, "Not Found\n", "text/plain; charset=utf-8" },
            { answer.status, answer.body, answer.headers["Content-Type"] })
        assert.equal(404, get("/no index/").status)
        assert.equal(404, get("/odd/").status)
        assert.equal(404, get("/app.js/").status)
        assert.equal(403, get("/out").status)
        assert.has_error(function()
            get "/busy"
        end, "cannot open busy: Too many open files")
    end)

    it("does not so much as look at hidden files", function()
        local before = #folder.opened
        for _, path in ipairs { "/.git/config", "/.env", "/docs/.hidden", "/..", "/docs/../app.js", "/./app.js" } do
            assert.equal(404, get(path).status)
        end
        assert.equal(before, #folder.opened)
    end)

    it("answers GET and HEAD alone", function()
        for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS" } do
            local answer = get("/app.js", nil, { method = method })
            assert.same({ 405, "GET, HEAD" }, { answer.status, answer.headers.Allow })
        end
        local answer = get("/app.js", { Range = "bytes=0-1" }, { method = "HEAD" })
        assert.same({ 200, "0123456789" }, { answer.status, answer.body.content })
    end)

    it("answers 304 without body to who has it, and closes the file", function()
        for _, headers in ipairs { { ["If-None-Match"] = tag }, { ["If-Modified-Since"] = modified } } do
            local answer = get("/app.js", headers)
            assert.equal(304, answer.status)
            assert.is_nil(answer.body)
            assert.equal(tag, answer.headers.ETag)
            assert.equal("no-cache", answer.headers["Cache-Control"])
            assert.is_nil(answer.headers["Content-Type"])
        end
        assert.equal(200, get("/app.js", { ["If-None-Match"] = '"other"' }).status)
        assert.equal(412, get("/app.js", { ["If-Match"] = '"other"' }).status)
    end)

    it("answers a range with 206", function()
        local answer = get("/app.js", { Range = "bytes=2-4" })
        assert.same({ 206, "bytes 2-4/10", 2, 3, tag, "text/javascript; charset=utf-8" }, {
            answer.status, answer.headers["Content-Range"], answer.offset, answer.length, answer.headers.ETag,
            answer.headers["Content-Type"],
        })
        assert.equal("bytes 7-9/10", get("/app.js", { Range = "bytes=-3" }).headers["Content-Range"])
    end)

    it("answers 416 to a range that is not there", function()
        local answer = get("/app.js", { Range = "bytes=10-" })
        assert.same({ 416, "bytes */10" }, { answer.status, answer.headers["Content-Range"] })
        assert.is_nil(answer.body)
    end)

    it("answers several or bad ranges with the whole", function()
        for _, asked in ipairs { "bytes=0-1,3-4", "bytes=x", "lines=1-2" } do
            local answer = get("/app.js", { Range = asked })
            assert.equal(200, answer.status)
            assert.is_nil(answer.headers["Content-Range"])
        end
    end)

    it("honours If-Range", function()
        assert.equal(206, get("/app.js", { Range = "bytes=0-1", ["If-Range"] = tag }).status)
        assert.equal(206, get("/app.js", { Range = "bytes=0-1", ["If-Range"] = modified }).status)
        assert.equal(200, get("/app.js", { Range = "bytes=0-1", ["If-Range"] = '"old"' }).status)
        assert.equal(200, get("/app.js", { Range = "bytes=99-", ["If-Range"] = '"old"' }).status)
    end)

    it("prefers a condition over a range", function()
        assert.equal(304, get("/app.js", { Range = "bytes=0-1", ["If-None-Match"] = tag }).status)
    end)

    it("serves an empty file", function()
        local answer = get "/empty.txt"
        assert.same({ 200, 0 }, { answer.status, answer.body.size })
        assert.equal(416, get("/empty.txt", { Range = "bytes=0-" }).status)
    end)

    it("sends no date that is ahead of the clock", function()
        local ahead = os.time() + 3600
        local req = request.new {
            rest = "a.txt", path = "/a.txt", headers = { ["If-Modified-Since"] = date.format(ahead) },
        }
        files.serve(folder_of { ["a.txt"] = "x", mtime = ahead })(req)
        assert.equal(200, req.answer.status)
        assert.is_nil(req.answer.headers["Last-Modified"])
    end)

    it("closes a file that it does not send", function()
        for _, headers in ipairs { { ["If-None-Match"] = "*" }, { Range = "bytes=50-" } } do
            local file = { size = 10, mtime = mtime, id = "7" }
            function file.close(self)
                self.closed = true
            end
            local req = request.new { rest = "a", path = "/a", headers = headers }
            files.serve({ open = function() return file end })(req)
            assert.is_true(file.closed)
        end
    end)
end)

describe("files.holds_entry", function()
    local core = support.new()
    local before = lfs.currentdir()
    local dir

    setup(function()
        dir = folder_of_files.new {
            ["site/app/app.lua"] = "return {}", ["site/app/public/index.html"] = "",
            ["site/app/.x/app.lua"] = "return 1", ["other/app.lua"] = "return {}",
        }
        assert(lfs.link(dir.path .. "/site", dir.path .. "/link", true))
    end)

    after_each(function()
        assert(lfs.chdir(before))
        variables.restore()
    end)

    teardown(function()
        assert(os.remove(dir.path .. "/link"))
        dir:remove()
    end)

    -- For an app that is started in the folder `at`, as `root`.
    local function holds(path, at, root)
        assert(lfs.chdir(dir.path .. at))
        variables.replace().PWD = lfs.currentdir()
        local opened = assert(core.folder(source.join(root, path)))
        return files.holds_entry(opened, path, {
            file = source.join(root, "app.lua"), root = root, folder = core.folder,
        })
    end

    it("finds the script in the folder, or in one below", function()
        for _, path in ipairs { ".", "./", "..", "../..", "../app", "../../site", "public/.." } do
            assert.is_true(holds(path, "/site/app", "."), path)
            assert.is_true(holds(path, "/site", "app"), path)
            assert.is_true(holds(path, "", dir.path .. "/site/app"), path)
        end
        for _, path in ipairs { "", "/", "/site", "/site/app", "/link", "/link/app" } do
            assert.is_true(holds(dir.path .. path, "/site/app", "."), path)
            assert.is_true(holds(dir.path .. path, "/site", "app"), path)
        end
        assert.is_true(holds("/", "/site", "app"))
    end)

    it("takes nothing else for it", function()
        for _, path in ipairs { "public", "./public", ".x", "../../other" } do
            assert.is_false(holds(path, "/site/app", "."), path)
        end
        assert.is_false(holds(dir.path .. "/other", "/site/app", "."))
    end)
end)

describe("files.declare", function()
    it("keeps the path", function()
        local value = files.declare "public"
        assert.is_true(files.is_declared(value))
        assert.equal("public", value.path)
        assert.is_false(files.is_declared { path = "public" })
        assert.is_false(files.is_declared(nil))
        assert.is_false(files.is_declared "public")
    end)

    it("refuses misuse", function()
        local function says(message, ...)
            local ok, said = pcall(files.declare, ...)
            assert.is_false(ok)
            assert.equal(message, said)
        end
        says("bad argument #1 to 'files' (a folder's path expected, got nil)")
        says("bad argument #1 to 'files' (a folder's path expected, got table)", {})
        says("bad argument #1 to 'files' (a folder's path expected, got an empty string)", "")
        says("bad argument #2 to 'files' (nothing expected after the path)", "public", {})
    end)
end)
