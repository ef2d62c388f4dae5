local words = require "tidewire.cli.words"

describe("words", function()
    it("separate thousands", function()
        for n, text in pairs {
            [0] = "0", [7] = "7", [999] = "999", [1000] = "1,000", [12345] = "12,345", [123456] = "123,456",
            [1234567] = "1,234,567",
        } do
            assert.equal(text, words.number(n))
        end
    end)

    it("count", function()
        assert.same({ "no files", "1 file", "2 files", "1,000 files" },
            { words.count(0, "file"), words.count(1, "file"), words.count(2, "file"), words.count(1000, "file") })
    end)

    it("tell how long something has lasted", function()
        for seconds, text in pairs {
            [0] = "0 s", [0.9] = "0 s", [75] = "75 s", [119.9] = "119 s", [120] = "2 min", [7199] = "119 min",
            [7200] = "2 h", [172799] = "47 h", [172800] = "2 days",
        } do
            assert.equal(text, words.duration(seconds))
        end
    end)

    it("tell how long something took", function()
        for seconds, text in pairs {
            [0] = "0.0 ms", [0.00042] = "0.4 ms", [0.0018] = "1.8 ms", [0.00994] = "9.9 ms", [0.00996] = "10 ms",
            [0.024] = "24 ms", [0.9994] = "999 ms", [0.9996] = "1.0 s", [2.44] = "2.4 s", [9.94] = "9.9 s",
            [9.96] = "10 s", [31.2] = "31 s",
        } do
            assert.equal(text, words.span(seconds))
        end
    end)

    it("tell sizes", function()
        assert.same({ "0 B", "1023 B", "1.0 KiB", "34.1 KiB", "2.5 MiB" },
            { words.bytes(0), words.bytes(1023), words.bytes(1024), words.bytes(34918), words.bytes(2621440) })
    end)

    it("tell files in few words", function()
        assert.is_nil(words.files({}, {}, {}))
        assert.equal("a", words.files({}, { "a" }))
        assert.equal("a and 1 other", words.files({ "a" }, { "b" }))
        assert.equal("a and 3 others", words.files({ "a", "b" }, { "c" }, { "d" }))
    end)

    it("stand in columns, by characters", function()
        assert.same({ "\195\164     b   c", "aa b", "a     bb" }, words.columns {
            { "\195\164", "b", "c" }, { "aa b" }, { "a", "bb", "" },
        })
    end)
end)
