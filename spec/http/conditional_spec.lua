local conditional = require "tidewire.http.conditional"

local own = { etag = '"a"', modified = 784111777 }
local same, before, after =
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"

describe("conditional.status", function()
    local function gives(status, headers, name)
        it(name, function()
            assert.equal(status, conditional.status(headers, own))
        end)
    end
    gives(nil, {}, "goes on without a condition")
    gives(304, { ["if-none-match"] = '"a"' }, "answers 304 to the same tag")
    gives(304, { ["if-none-match"] = 'W/"a"' }, "answers 304 to the same tag, weak")
    gives(304, { ["if-none-match"] = "*" }, "answers 304 to any tag")
    gives(nil, { ["if-none-match"] = '"b"' }, "goes on with another tag")
    gives(304, { ["if-modified-since"] = same }, "answers 304 to the same date")
    gives(304, { ["if-modified-since"] = after }, "answers 304 to a later date")
    gives(nil, { ["if-modified-since"] = before }, "goes on with an earlier date")
    gives(nil, { ["if-modified-since"] = "yesterday" }, "goes on with a bad date")
    gives(nil, { ["if-none-match"] = '"b"', ["if-modified-since"] = after }, "lets the tag decide over the date")
    gives(nil, { ["if-match"] = '"a"' }, "goes on with the tag that is wanted")
    gives(412, { ["if-match"] = '"b"' }, "answers 412 without the tag that is wanted")
    gives(412, { ["if-match"] = 'W/"a"' }, "answers 412 when a weak tag is wanted")
    gives(412, { ["if-unmodified-since"] = before }, "answers 412 when it changed since")
    gives(nil, { ["if-unmodified-since"] = same }, "goes on when it did not change since")
    gives(nil, { ["if-unmodified-since"] = "x" }, "goes on with a bad date to be unmodified since")
    gives(nil, { ["if-match"] = '"a"', ["if-unmodified-since"] = before }, "lets If-Match decide over the date")
    gives(412, { ["if-match"] = '"b"', ["if-none-match"] = '"a"' }, "asks If-Match first")

    it("goes on with a date when the content has none", function()
        assert.is_nil(conditional.status({ ["if-modified-since"] = after }, { etag = '"a"' }))
        assert.is_nil(conditional.status({ ["if-unmodified-since"] = before }, { etag = '"a"' }))
    end)
end)

describe("conditional.range_allowed", function()
    local function allowed(if_range, state)
        return conditional.range_allowed({ ["if-range"] = if_range }, state or own)
    end

    it("wants exactly this content", function()
        assert.is_true(allowed(nil))
        assert.is_true(allowed '"a"')
        assert.is_false(allowed '"b"')
        assert.is_false(allowed 'W/"a"')
        assert.is_true(allowed(same))
        assert.is_false(allowed(before))
        assert.is_false(allowed(after))
        assert.is_false(allowed "yesterday")
        assert.is_false(allowed(same, { etag = '"a"' }))
        assert.is_false(allowed("yesterday", { etag = '"a"' }))
    end)
end)
