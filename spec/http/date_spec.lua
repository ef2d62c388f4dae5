local date = require "tidewire.http.date"

describe("date.format", function()
    it("writes IMF-fixdate", function()
        assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", date.format(784111777))
        assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", date.format(0))
        assert.equal("Thu, 29 Feb 2024 23:59:59 GMT", date.format(1709251199.9))
    end)
end)

describe("date.parse", function()
    it("reads the three forms", function()
        assert.equal(784111777, date.parse "Sun, 06 Nov 1994 08:49:37 GMT")
        assert.equal(784111777, date.parse "Sunday, 06-Nov-94 08:49:37 GMT")
        assert.equal(784111777, date.parse "Sun Nov  6 08:49:37 1994")
    end)

    it("reads what format writes", function()
        for t = 0, 4102444800, 86400 * 17 + 3601 do
            assert.equal(t, date.parse(date.format(t)))
        end
    end)

    it("puts a year of two digits that is far ahead into the past", function()
        local now = 1700000000 -- 2023
        assert.equal(date.parse "Mon, 06 Nov 2073 08:49:37 GMT", date.parse("Monday, 06-Nov-73 08:49:37 GMT", now))
        assert.equal(date.parse "Wed, 06 Nov 1974 08:49:37 GMT", date.parse("Wednesday, 06-Nov-74 08:49:37 GMT", now))
    end)

    it("takes a leap second, and 29 February in leap years alone", function()
        assert.equal(1709164800, date.parse "Thu, 29 Feb 2024 00:00:00 GMT")
        assert.is_nil(date.parse "Wed, 29 Feb 2023 00:00:00 GMT")
        assert.is_nil(date.parse "Thu, 29 Feb 2100 00:00:00 GMT")
        assert.equal(date.parse "Sat, 31 Dec 2016 23:59:59 GMT" + 1, date.parse "Sat, 31 Dec 2016 23:59:60 GMT")
    end)

    for _, text in ipairs {
        "", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06-Nov-94 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
    } do
        it("refuses " .. text, function()
            assert.is_falsy(date.parse(text))
        end)
    end
end)
