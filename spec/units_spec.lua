local units = require "tidewire.units"

describe("units.bytes", function()
    it("reads numbers and units", function()
        local cases = {
            [65536] = 65536, [0] = 0, ["100"] = 100, ["500 B"] = 500, ["64 KiB"] = 65536, ["64KiB"] = 65536,
            ["1 MiB"] = 1048576, ["2 GiB"] = 2147483648, ["10 kB"] = 10000, ["3 MB"] = 3000000, ["1.5 KiB"] = 1536,
            [" 1 MiB "] = 1048576,
        }
        for given, wanted in pairs(cases) do
            local n = units.bytes(given)
            assert.equal(wanted, n)
            assert.equal("integer", math.type(n))
        end
        assert.equal(65536, units.bytes(65536.0))
    end)

    local function refused(given, message)
        it("refuses " .. tostring(given), function()
            local n, said = units.bytes(given)
            assert.is_nil(n)
            assert.equal(message, said)
        end)
    end
    refused("64 kib", 'expected a size such as 65536 or "64 KiB", got "64 kib": unknown unit `kib` '
        .. "(did you mean `KiB`?); units are B, kB, KiB, MB, MiB, GB, GiB")
    refused("64 KB", 'expected a size such as 65536 or "64 KiB", got "64 KB": unknown unit `KB` '
        .. "(did you mean `kB`?); units are B, kB, KiB, MB, MiB, GB, GiB")
    refused("much", 'expected a size such as 65536 or "64 KiB", got "much"')
    refused("", 'expected a size such as 65536 or "64 KiB", got ""')
    refused("-1 KiB", 'expected a size such as 65536 or "64 KiB", got "-1 KiB"')
    refused(-1, 'expected a size such as 65536 or "64 KiB", got -1')
    refused(1 / 0, "expected at most 1024 GiB, got inf")
    refused(0 / 0, ('expected a size such as 65536 or "64 KiB", got %s'):format(0 / 0))
    refused("2000 GiB", 'expected at most 1024 GiB, got "2000 GiB"')
    refused(true, 'expected a size such as 65536 or "64 KiB", got a boolean')
    refused(1.5, "expected a whole number of bytes, got 1.5")
    refused("0.3 KiB", 'expected a whole number of bytes, got "0.3 KiB"')
end)

describe("units.seconds", function()
    it("reads numbers and units", function()
        local cases = {
            [30] = 30, [0] = 0, [0.25] = 0.25, ["10"] = 10, ["2 min"] = 120, ["500 ms"] = 0.5, ["1 h"] = 3600,
            ["1.5 s"] = 1.5, ["2d"] = 172800, ["1 ms"] = 0.001, ["30 d"] = 2592000,
        }
        for given, wanted in pairs(cases) do
            assert.equal(wanted, units.seconds(given))
        end
    end)

    local function refused(given, message)
        it("refuses " .. tostring(given), function()
            local n, said = units.seconds(given)
            assert.is_nil(n)
            assert.equal(message, said)
        end)
    end
    refused("2 mins", 'expected a duration such as 30, "2 min" or "500 ms", got "2 mins": unknown unit `mins` '
        .. "(did you mean `min`?); units are ms, s, min, h, d")
    refused({}, 'expected a duration such as 30, "2 min" or "500 ms", got a table')
    refused(-5, 'expected a duration such as 30, "2 min" or "500 ms", got -5')
    refused("31 d", 'expected at most 30 d, got "31 d"')
    refused("0.1 ms", 'expected at least 1 ms, got "0.1 ms"')
end)

describe("units.count", function()
    it("reads whole numbers", function()
        assert.equal(5, units.count(5))
        assert.equal(5, units.count(5.0))
        assert.equal(0, units.count(0))
    end)

    it("refuses everything else", function()
        for given, shown in pairs { ["5"] = '"5"', [5.5] = "5.5", [-1] = "-1", [2 ^ 31] = "2147483648" } do
            local n, said = units.count(given)
            assert.is_nil(n)
            assert.equal("expected a whole number, got " .. shown, said)
        end
    end)
end)

describe("units.format_bytes", function()
    it("uses the largest unit that divides", function()
        assert.equal("64 KiB", units.format_bytes(65536))
        assert.equal("1 MiB", units.format_bytes(1048576))
        assert.equal("3 GiB", units.format_bytes(3 * 2 ^ 30 // 1 | 0))
        assert.equal("1025 B", units.format_bytes(1025))
        assert.equal("0 B", units.format_bytes(0))
    end)
end)
