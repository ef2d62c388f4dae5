local compression = require "tidewire.compression"
local expect = require "tidewire.expect"

local function check(value)
    return expect.catch(compression.check, value, "compression")
end

describe("the option compression", function()
    it("is off with false", function()
        assert.is_false(check(false))
    end)

    it("is shared and without takeover with true", function()
        assert.same({ takeover = false, window_bits = 15, level = 6, min_size = 64 }, check(true))
    end)

    it("takes each of its fields", function()
        assert.same({ takeover = true, window_bits = 8, level = 9, min_size = 0 },
            check { takeover = true, window_bits = 8, level = 9, min_size = 0 })
    end)

    it("takes a size with a unit", function()
        assert.equal(2048, check { min_size = "2 KiB" }.min_size)
    end)

    for text, value in pairs {
        ["compression: expected true, false or a table such as { takeover = true }, got a string"] = "yes",
        ["compression.takover: unknown field (did you mean `takeover`?)"] = { takover = true },
        ["compression.takeover: expected true or false, got a number"] = { takeover = 1 },
        ["compression.window_bits: expected a whole number from 8 to 15, got 7"] = { window_bits = 7 },
        ["compression.window_bits: expected a whole number from 8 to 15, got 16"] = { window_bits = 16 },
        ["compression.window_bits: expected a whole number from 8 to 15, got 9.5"] = { window_bits = 9.5 },
        ["compression.level: expected a whole number from 1 to 9, got 0"] = { level = 0 },
        ["compression.level: expected a whole number from 1 to 9, got 10"] = { level = 10 },
        ["compression.level: expected a whole number from 1 to 9, got \"6\""] = { level = "6" },
        ['compression.min_size: expected a size such as 65536 or "64 KiB", got a boolean'] = { min_size = true },
    } do
        it("refuses: " .. text, function()
            local checked, message = check(value)
            assert.is_nil(checked)
            assert.equal(text, message)
        end)
    end
end)
