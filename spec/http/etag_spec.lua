local etag = require "tidewire.http.etag"

describe("etag", function()
    it("of a file differs with inode, size and time", function()
        local tag = etag.of_file("7", 100, 1700000000.25)
        assert.equal('"7-64-60a2418221090"', tag)
        assert.not_equal(tag, etag.of_file("8", 100, 1700000000.25))
        assert.not_equal(tag, etag.of_file("7", 101, 1700000000.25))
        assert.not_equal(tag, etag.of_file("7", 100, 1700000000.250001))
    end)

    it("parses lists", function()
        assert.equal("*", etag.parse " * ")
        assert.same({ { weak = false, tag = '"a"' } }, etag.parse '"a"')
        assert.same({ { weak = true, tag = '"a"' }, { weak = false, tag = '"b,c"' }, { weak = false, tag = '""' } },
            etag.parse 'W/"a", "b,c" ,, ""')
    end)

    for _, text in ipairs { "", "a", '"a', 'w/"a"', 'W"a"', '/"a"', '"a" "b"', '"a";', '"a b"', "*, \"a\"" } do
        it("refuses " .. text, function()
            assert.is_nil(etag.parse(text))
            assert.is_false(etag.matches(text, '"a"'))
        end)
    end

    it("matches weakly and strongly", function()
        assert.is_true(etag.matches('"x", "a"', '"a"'))
        assert.is_true(etag.matches('W/"a"', '"a"'))
        assert.is_false(etag.matches('W/"a"', '"a"', true))
        assert.is_true(etag.matches('"a"', '"a"', true))
        assert.is_false(etag.matches('"b"', '"a"'))
        assert.is_true(etag.matches("*", '"a"'))
        assert.is_true(etag.matches("*", '"a"', true))
    end)
end)
