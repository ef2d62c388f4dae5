local proxy = require "tidewire.proxy"
local url = require "tidewire.url"

describe("a proxy's URL", function()
    it("is taken apart", function()
        assert.same({ host = "proxy.example", port = 3128 }, proxy.parse "http://proxy.example:3128")
        assert.same({ host = "proxy.example", port = 3128 }, proxy.parse "HTTP://Proxy.example:3128/")
        assert.same({ host = "proxy.example", port = 1080 }, proxy.parse "proxy.example")
        assert.same({ host = "::1", port = 8888 }, proxy.parse "http://[::1]:8888")
        assert.same({ host = "p", port = 1, credentials = "ada:p:w@d" }, proxy.parse "http://ada:p%3Aw%40d@p:1")
    end)

    it("is refused when it is none, or of another kind", function()
        for text, wrong in pairs {
            ["socks5://p:1080"] = "only proxies that speak HTTP are supported, not socks5",
            ["https://p"] = "only proxies that speak HTTP are supported, not https",
            ["http://p/path"] = "a proxy has no path: http://HOST:PORT expected",
            ["http://p:0"] = "a port from 1 to 65535 expected behind the host",
            [""] = "a host's name or address expected",
            ["http://a%0Ab@p"] = "malformed user information",
        } do
            local found, message = proxy.parse(text)
            assert.is_nil(found)
            assert.equal(wrong, message)
        end
    end)
end)

describe("no_proxy", function()
    local function excepted(host, list)
        return proxy.is_excepted(host, list)
    end

    it("excepts a host and what is below it", function()
        for _, list in ipairs { "example.org", ".example.org", "a, example.org", "a example.org,b", "EXAMPLE.org." } do
            assert.is_true(excepted("example.org", list), list)
            assert.is_true(excepted("www.example.org", list), list)
            assert.is_false(excepted("notexample.org", list), list)
            assert.is_false(excepted("example.org.evil", list), list)
        end
        assert.is_true(excepted("example.org.", "example.org"))
        assert.is_false(excepted("org", "example.org"))
        assert.is_false(excepted("h", "."))
        assert.is_false(excepted("h", ""))
    end)

    it("excepts all with * alone", function()
        assert.is_true(excepted("anything", "*"))
        assert.is_true(excepted("::1", " * "))
        assert.is_false(excepted("anything", "*.example.org"))
    end)

    it("excepts addresses and networks", function()
        for _, case in ipairs {
            { "127.0.0.1", "127.0.0.1", true }, { "127.0.0.2", "127.0.0.1", false },
            { "10.1.2.3", "10.0.0.0/8", true }, { "11.1.2.3", "10.0.0.0/8", false },
            { "192.168.1.77", "192.168.1.64/26", true }, { "192.168.1.128", "192.168.1.64/26", false },
            { "1.2.3.4", "0.0.0.0/0", true }, { "1.2.3.4", "1.2.3.4/33", false }, { "1.2.3.4", "::/0", false },
            { "::1", "::1", true }, { "::1", "[::1]", true }, { "::2", "::1", false },
            { "2001:db8:1::5", "2001:db8::/32", true }, { "2001:db9::5", "2001:db8::/32", false },
            { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", true }, { "::ffff:1.2.3.4", "::ffff:102:304", true },
            { "10.1.2.3", "1.2.3", false }, { "10.1.2.3", "3", false }, { "1.2.3.4", "1.2.3.4.5", false },
        } do
            assert.equal(case[3], excepted(case[1], case[2]), case[1] .. " " .. case[2])
        end
    end)
end)

describe("the environment", function()
    local function chosen(address, variables)
        local found, wrong = proxy.from_environment(url.parse(address), function(name)
            return variables[name]
        end)
        return found and found.host, wrong
    end

    it("has a variable for each scheme, lower case first", function()
        assert.equal("a", chosen("ws://h/", { http_proxy = "http://a" }))
        assert.equal("b", chosen("wss://h/", { http_proxy = "http://a", https_proxy = "http://b" }))
        assert.equal("a", chosen("wss://h/", { https_proxy = "http://a", HTTPS_PROXY = "http://b" }))
        assert.equal("b", chosen("wss://h/", { https_proxy = "", HTTPS_PROXY = "http://b" }))
        assert.equal("c", chosen("ws://h/", { https_proxy = "http://a", all_proxy = "http://c" }))
        assert.equal("d", chosen("wss://h/", { ALL_PROXY = "http://d" }))
        assert.is_nil(chosen("ws://h/", {}))
    end)

    it("ignores HTTP_PROXY in upper case", function()
        assert.is_nil(chosen("ws://h/", { HTTP_PROXY = "http://a" }))
    end)

    it("obeys no_proxy, lower case first", function()
        assert.is_nil(chosen("ws://h/", { http_proxy = "a", no_proxy = "h" }))
        assert.is_nil(chosen("ws://h/", { http_proxy = "a", NO_PROXY = "h" }))
        assert.equal("a", chosen("ws://h/", { http_proxy = "a", no_proxy = "x", NO_PROXY = "h" }))
    end)

    it("is not for sockets", function()
        assert.is_nil(chosen("ws+unix:/s", { http_proxy = "a", all_proxy = "b" }))
    end)

    it("may be wrong, and then says where", function()
        local found, wrong = chosen("ws://h/", { all_proxy = "socks5://p" })
        assert.is_nil(found)
        assert.equal("the variable all_proxy of the environment: only proxies that speak HTTP are supported, "
            .. "not socks5", wrong)
        assert.is_nil((chosen("ws://h/", { all_proxy = "socks5://p", no_proxy = "h" })))
    end)
end)
