local expect = require "tidewire.expect"
local support = require "support.core"

describe("proxies", function()
    local proxies

    before_each(function()
        support.install()
        expect = require "tidewire.expect"
        proxies = require "tidewire.proxies"
    end)

    local function refused(value)
        local result, message = expect.catch(proxies.check, value, "proxies")
        assert.is_nil(result)
        return message
    end

    it("copies the list", function()
        local list = { "127.0.0.1", "10.0.0.0/8", "unix" }
        local got = proxies.check(list, "proxies")
        assert.same(list, got)
        assert.are_not.equal(list, got)
        assert.same({}, proxies.check({}, "proxies"))
    end)

    it("tells what is wrong", function()
        assert.equal('proxies[2]: "example.org": no network', refused { "127.0.0.1", "example.org" })
        assert.equal('proxies[1]: expected an address or a network such as "10.0.0.0/8", got a number', refused { 10 })
        local what = 'proxies: expected a list of addresses and networks such as '
            .. '{ "127.0.0.1", "10.0.0.0/8", "unix" }, got '
        assert.equal(what .. "a string", refused "127.0.0.1")
        assert.equal(what .. 'a table with the key "a"', refused { a = 1 })
    end)

    it("reads a text of the environment", function()
        assert.same({ "127.0.0.1", "10.0.0.0/8", "unix" }, proxies.from_text("127.0.0.1, 10.0.0.0/8 unix", "NAME"))
        local result, message = expect.catch(proxies.from_text, "unix, x", "TIDEWIRE_PROXIES")
        assert.is_nil(result)
        assert.equal('TIDEWIRE_PROXIES[2]: "x": no network', message)
    end)

    it("takes false as an option of a route", function()
        assert.same({}, proxies.check_option(false, "proxy"))
        assert.same({ "unix" }, proxies.check_option({ "unix" }, "proxy"))
    end)
end)
