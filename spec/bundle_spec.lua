require("support.core").install()
local bundle = require "tidewire.bundle"

describe("bundle", function()
    local contents = {
        entry = "apps/chat/app.lua", root = "apps/chat", state_version = 7,
        files = {
            ["apps/chat/app.lua"] = 'return require "b"', ["apps/chat/b.lua"] = "return {}\0\255\n",
            ["apps/chat/z.lua"] = "", ["apps/chat/late.lua"] = "return 1",
        },
        loaded = { "apps/chat/app.lua", "apps/chat/b.lua" },
    }

    it("gives back what went in, what ran in its order", function()
        local opened = assert(bundle.open(bundle.encode(contents)))
        assert.equal(64, #opened.hash)
        opened.hash = nil
        assert.same(contents, opened)
    end)

    it("has the form that is written down", function()
        assert.equal("TWB1" .. ("<s4s4I4I4"):pack("a.lua", ".", 1, 3) .. ("<s4I1s4s4I1s4s4I1s4"):pack("a.lua", 1, "A",
            "b.lua", 0, "B", "c.lua", 0, "C"), bundle.encode {
            entry = "a.lua", root = ".", state_version = 1, loaded = { "a.lua" },
            files = { ["c.lua"] = "C", ["a.lua"] = "A", ["b.lua"] = "B" },
        })
    end)

    it("has the same bytes for the same files, and other ones for others", function()
        assert.equal(bundle.encode(contents), bundle.encode(contents))
        local hash = bundle.open(bundle.encode(contents)).hash
        for _, change in ipairs { { "files", "apps/chat/z.lua", " " }, { "state_version", nil, 8 } } do
            local kept = change[2] and contents[change[1]][change[2]] or contents[change[1]]
            if change[2] then
                contents[change[1]][change[2]] = change[3]
            else
                contents[change[1]] = change[3]
            end
            assert.not_equal(hash, bundle.open(bundle.encode(contents)).hash)
            if change[2] then
                contents[change[1]][change[2]] = kept
            else
                contents[change[1]] = kept
            end
        end
        assert.equal(hash, bundle.open(bundle.encode(contents)).hash)
    end)

    it("is refused when it is none, or damaged, wherever it is cut", function()
        assert.same({ nil, "no bundle of an app" }, { bundle.open "" })
        assert.same({ nil, "no bundle of an app" }, { bundle.open "TWB2............" })
        local bytes = bundle.encode(contents)
        for length = 4, #bytes - 1 do
            local opened, message = bundle.open(bytes:sub(1, length))
            assert.is_nil(opened)
            assert.is_truthy(message:find("^a damaged bundle: "), message)
        end
        assert.same({ nil, "a damaged bundle: bytes behind its end" }, { bundle.open(bytes .. "x") })
        assert.same({ nil, "a damaged bundle: without its entry script" },
            { bundle.open("TWB1" .. ("<s4s4I4I4"):pack("a.lua", ".", 1, 0)) })
    end)
end)
