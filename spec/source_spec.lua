local folder = require "support.folder"
local source = require "tidewire.source"

describe("source", function()
    it("reads a file, or says why not", function()
        local dir = folder.new { ["x"] = "text\0\r\n" }
        finally(function()
            dir:remove()
        end)
        assert.equal("text\0\r\n", source.read(dir.path .. "/x"))
        assert.same({ nil, "No such file or directory", source.ENOENT }, { source.read(dir.path .. "/y") })
        assert.same({ nil, "Not a directory", source.ENOTDIR }, { source.read(dir.path .. "/x/y") })
        assert.same({ nil, "Is a directory", source.EISDIR }, { source.read(dir.path) })
    end)

    it("joins paths", function()
        assert.equal("a.lua", source.join(".", "a.lua"))
        assert.equal("apps/a.lua", source.join("apps", "a.lua"))
        assert.equal("/a.lua", source.join("/", "a.lua"))
        assert.equal("/abs", source.join("apps", "/abs"))
    end)
end)
