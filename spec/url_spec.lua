local url = require "tidewire.url"

local function parsed(text, redirect)
    return assert(url.parse(text, redirect))
end

local function refused(text, redirect)
    local u, wrong = url.parse(text, redirect)
    assert.is_nil(u)
    return wrong
end

describe("a URL", function()
    it("is taken apart", function()
        assert.same({ scheme = "ws", host = "example.org", port = 80, target = "/" }, parsed "ws://example.org")
        assert.same({ scheme = "wss", host = "example.org", port = 443, target = "/chat?a=b" },
            parsed "WSS://Example.ORG/chat?a=b")
        assert.same({ scheme = "ws", host = "::1", port = 9000, target = "/?x" }, parsed "ws://[::1]:9000?x")
        assert.same({ scheme = "ws", host = "h_1-a.b", port = 65535, target = "/" }, parsed "ws://h_1-a.b:65535/")
    end)

    it("may have user information, decoded", function()
        assert.equal("ada:pass:word", parsed("ws://ada:pass:word@h/").user)
        assert.equal("a@b:p/w", parsed("ws://a%40b:p%2fw@h/").user)
        assert.equal("ada:", parsed("ws://ada@h/").user)
        assert.equal("malformed user information", refused "ws://a%4:p@h/")
        assert.equal("malformed user information", refused "ws://a%0d%0ab:p@h/")
        assert.equal("malformed user information", refused "ws://a%3ab:p@h/")
    end)

    it("may lead to a Unix socket", function()
        assert.same({ scheme = "ws+unix", socket = "/run/app.sock", host = "localhost", target = "/" },
            parsed "ws+unix:/run/app.sock")
        assert.same({ scheme = "ws+unix", socket = "/run/app.sock", host = "localhost", target = "/a?b=c:d" },
            parsed "ws+unix:/run/app.sock:/a?b=c:d")
        assert.same("/run/app.sock", parsed("ws+unix:///run/app.sock:/").socket)
        assert.same("app.sock", parsed("ws+unix:app.sock").socket)
        assert.is_truthy(refused("ws+unix:"):find("a socket's path expected", 1, true))
        assert.is_truthy(refused("ws+unix:/a:b"):find("begins with a slash", 1, true))
    end)

    it("is refused when it is none", function()
        for _, text in ipairs { "http://h/", "h:80", "", "/x", "ws:h", "ftp://h" } do
            local wrong = refused(text)
            assert.is_truthy(wrong:find("ws://", 1, true), text)
        end
        for _, text in ipairs {
            "ws://", "ws:///x", "ws://:80/", "ws://a@", "ws://[::1", "ws://h%41/", "ws://a,b/", "ws://[::1]x",
        } do
            assert.equal("a host's name or address expected", refused(text), text)
        end
        for _, text in ipairs { "ws://h:", "ws://h:0", "ws://h:080", "ws://h:65536", "ws://h:1e1" } do
            assert.equal("a port from 1 to 65535 expected behind the host", refused(text), text)
        end
        for _, text in ipairs { "ws://h/a b", "ws://h/\r\nX: y", "ws://h/\0", "ws://h/\xC3\xA9", "ws://h\127/" } do
            assert.is_truthy(refused(text):find("must be percent-encoded", 1, true))
        end
        assert.is_truthy(refused("ws://h/#part"):find("no fragment", 1, true))
    end)

    it("is put together without user information, and for logs without the query", function()
        for _, text in ipairs {
            "ws://example.org/", "wss://example.org:8443/a?b", "ws://[::1]/", "ws://[::1]:81/", "ws+unix:/s:/a?b",
        } do
            assert.equal(text, url.format(parsed(text)))
        end
        assert.equal("ws://h/a?token=x", url.format(parsed "ws://u:p@h:80/a?token=x"))
        assert.equal("ws://h/a", url.place(parsed "ws://u:p@h:80/a?token=x"))
        assert.equal("ws://localhost/a?b", url.for_core(parsed "ws+unix:/s:/a?b"))
    end)
end)

describe("a text for a message", function()
    it("has no user information, whatever else is wrong with it", function()
        for text, shown in pairs {
            ["ws://ada:secret@h/"] = "ws://...@h/", ["ws:/ada:se/cr?e#t@h"] = "ws:/...@h",
            ["//ada:secret@h/"] = "...@h/",
            ["ada:secret@h"] = "ada:...@h", ["secret@h"] = "...@h", ["ws://h/a"] = "ws://h/a", [""] = "",
        } do
            assert.equal(shown, url.hide_user(text))
        end
    end)
end)

describe("a Location", function()
    local base = "wss://u:p@example.org:8443/a/b?q=1"

    local function leads(location, from)
        local to, wrong = url.resolve(parsed(from or base), location)
        return to and url.format(to), wrong
    end

    it("is resolved like any reference", function()
        for location, expected in pairs {
            [""] = "wss://example.org:8443/a/b?q=1",
            ["?x"] = "wss://example.org:8443/a/b?x",
            ["c"] = "wss://example.org:8443/a/c",
            ["/c?d#e"] = "wss://example.org:8443/c?d",
            ["../c"] = "wss://example.org:8443/c",
            ["../../../c"] = "wss://example.org:8443/c",
            ["./"] = "wss://example.org:8443/a/",
            ["/x/.."] = "wss://example.org:8443/",
            ["/x/y/."] = "wss://example.org:8443/x/y/",
            ["//other.example/c"] = "wss://other.example/c",
            ["wss://other.example"] = "wss://other.example/",
            ["https://other.example/c"] = "wss://other.example/c",
            ["http://other.example:81/c"] = "ws://other.example:81/c",
        } do
            assert.equal(expected, leads(location), location)
        end
        assert.equal("ws+unix:/s:/c", leads("/c", "ws+unix:/s:/a"))
    end)

    it("never carries the user information of the first URL on", function()
        assert.is_nil(url.resolve(parsed(base), "/c").user)
    end)

    it("is refused when it is none", function()
        assert.is_nil(leads "ftp://h/")
        assert.is_nil(leads "/a b")
        assert.is_nil(leads "wss://h:0/")
        assert.is_nil(leads("//h/", "ws+unix:/s:/a"))
    end)

    it("tells another server by scheme, host and port", function()
        local function same(a, b)
            return url.same_server(parsed(a), parsed(b))
        end
        assert.is_true(same("ws://h/a", "ws://H:80/b?c"))
        assert.is_false(same("ws://h/", "ws://h:81/"))
        assert.is_false(same("ws://h/", "wss://h:80/"))
        assert.is_false(same("ws://h/", "ws://a.h/"))
        assert.is_false(same("ws+unix:/a", "ws+unix:/b"))
    end)
end)
