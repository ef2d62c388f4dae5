local support = require "support.core"

local core, tidewire, client
local variables

before_each(function()
    core = support.install()
    tidewire = require "tidewire"
    client = require "tidewire.client"
    variables = {}
    client.getenv = function(name)
        return variables[name]
    end
end)

local opened = { "a ws" }

-- Connects with one outcome; returns what core.connect got.
local function asked(address, opts)
    core.outcomes = { opened }
    assert.equal("a ws", tidewire.connect(address, opts))
    return core.attempts[#core.attempts]
end

local function misuse(...)
    local ok, message = pcall(function(...)
        local ws = tidewire.connect(...)
        return ws
    end, ...)
    assert.is_false(ok)
    assert.equal(0, #core.attempts)
    local place, text = message:match("^(.-:%d+): (.*)$")
    assert.is_truthy(place:find("client_spec.lua", 1, true), message)
    return text
end

local function answer(status, headers)
    return { nil, "answered " .. status, "status", { status = status, headers = headers or {}, body = "" } }
end

describe("tidewire.connect", function()
    it("makes one attempt with the defaults", function()
        local it = asked "ws://example.org/chat?token=x"
        assert.equal("ws://example.org/chat?token=x", it.url)
        assert.equal("ws://example.org/chat?token=x", it.shown_url)
        assert.equal("ws://example.org/chat", it.pattern)
        assert.equal(10, it.timeout)
        assert.equal(1048576, it.limits.message)
        assert.same({}, it.fields)
        assert.equal(0, it.reconnects)
        for _, name in ipairs { "unix", "protocols", "proxy", "tls", "handler", "compression", "again" } do
            assert.is_nil(it[name], name)
        end
    end)

    it("passes options on", function()
        local it = asked("wss://example.org/", {
            protocols = { "chat.v2", "chat" }, origin = "https://app.example", timeout = "5 s", compression = true,
            limits = { message = "2 MiB" }, tls = { ca = "ca.pem", cert = "c.pem", key = "k.pem", name = "other" },
            headers = { ["X-A"] = "1", ["x-b"] = { "2", 3 } }, proxy = "http://u:p@proxy.example:3128",
        })
        assert.same({ "chat.v2", "chat" }, it.protocols)
        assert.equal(5, it.timeout)
        assert.equal(15, it.compression.window_bits)
        assert.equal(2097152, it.limits.message)
        assert.equal(2097152, it.limits.send_queue)
        assert.same({ ca = "ca.pem", cert = "c.pem", key = "k.pem", name = "other", verify = true }, it.tls)
        assert.same({ { "X-A", "1" }, { "x-b", "2" }, { "x-b", "3" }, { "Origin", "https://app.example" } }, it.fields)
        assert.same({ host = "proxy.example", port = 3128, credentials = "u:p" }, it.proxy)
        assert.is_false(asked("wss://h/", { tls = { verify = false } }).tls.verify)
        assert.is_false(asked("wss://h/", { compression = false }).compression)
    end)

    it("takes what a handler carries, unless there is an option", function()
        local handler = { message = print, protocols = { "chat" }, limits = { message = "2 MiB" } }
        local it = asked("ws://h/", { handler = handler })
        assert.equal(handler, it.handler)
        assert.same({ "chat" }, it.protocols)
        assert.equal(2097152, it.limits.message)
        assert.same({ "other" }, asked("ws://h/", { handler = handler, protocols = { "other" } }).protocols)
    end)

    it("sends user information as Basic credentials", function()
        local it = asked "wss://ada:open%20sesame@h/"
        assert.same({ { "Authorization", "Basic YWRhOm9wZW4gc2VzYW1l" } }, it.fields)
        assert.equal("wss://h/", it.url)
        assert.equal("wss://h/", it.shown_url)
        -- the three lengths of the last group
        assert.equal("Basic YTo=", asked("ws://a@h/").fields[1][2])
        assert.equal("Basic YTpi", asked("ws://a:b@h/").fields[1][2])
        assert.equal("Basic YTpiYw==", asked("ws://a:bc@h/").fields[1][2])
    end)

    it("reaches a Unix socket, without proxy", function()
        variables.http_proxy = "http://proxy.example"
        local it = asked "ws+unix:/run/app.sock:/chat"
        assert.equal("/run/app.sock", it.unix)
        assert.equal("ws://localhost/chat", it.url)
        assert.equal("ws+unix:/run/app.sock:/chat", it.shown_url)
        assert.is_nil(it.proxy)
    end)

    it("takes the proxy of the environment, unless told not to", function()
        variables.https_proxy = "http://proxy.example:3128"
        assert.equal("proxy.example", asked("wss://h/").proxy.host)
        assert.is_nil(asked("ws://h/").proxy)
        assert.is_nil(asked("wss://h/", { proxy = false }).proxy)
        assert.equal("other", asked("wss://h/", { proxy = "other" }).proxy.host)
        variables.https_proxy = "socks5://h"
        local ws, message, code = tidewire.connect "wss://h/"
        assert.is_nil(ws)
        assert.is_truthy(message:find("^the variable https_proxy of the environment: only proxies that speak HTTP"))
        assert.equal("proxy", code)
    end)

    it("returns a failure as it is", function()
        core.outcomes = { answer(403) }
        local ws, message, code, details = tidewire.connect "ws://h/"
        assert.same({ "answered 403", "status", 403 }, { message, code, details.status })
        assert.is_nil(ws)
    end)

    it("tells misuse where it is", function()
        assert.equal("bad argument #1 to 'connect' (a URL expected, got nil)", misuse())
        assert.equal("bad argument #1 to 'connect' (a URL expected, got a table)", misuse {})
        assert.equal("bad argument #2 to 'connect' (timeout: expected more than 0)", misuse("no URL", { timeout = 0 }))
        local many = {}
        for i = 1, 91 do
            many[i] = tostring(i)
        end
        assert.equal("bad argument #2 to 'connect' (expected a table of options, got a number)", misuse("ws://h", 5))
        for text, opts in pairs {
            ["timout: unknown field (did you mean `timeout`?)"] = { timout = 5 },
            ["timeout: expected more than 0"] = { timeout = 0 },
            ['protocols[2]: "a" is there twice'] = { protocols = { "a", "a" } },
            ['headers["X A"]: expected a field\'s name, got "X A"'] = { headers = { ["X A"] = "1" } },
            ['headers.X: "a\\13\\10B: c" contains a control character'] = { headers = { X = "a\r\nB: c" } },
            ['headers.X: "\\0" contains a control character'] = { headers = { X = "\0" } },
            ["headers.Upgrade: this field is the runtime's to set"] = { headers = { Upgrade = "x" } },
            ["headers.connection: this field is the runtime's to set"] = { headers = { connection = "x" } },
            ['headers["Sec-WebSocket-Key"]: this field is the runtime\'s to set'] =
                { headers = { ["Sec-WebSocket-Key"] = "x" } },
            ["headers.Host: the URL names the host: a server that is asked for under one name and reached under "
                .. "another could not be verified"] = { headers = { Host = "h" } },
            ['headers.origin: there is an option for it: origin = "https://h"'] =
                { headers = { origin = "https://h" } },
            ["headers.Expect: a request without a body has nothing to announce"] =
                { headers = { Expect = "100-continue" } },
            ["protocols: at most 64 can be offered, got 91"] = { protocols = many },
            ["headers: at most 90 fields can be sent, got 91"] = { headers = { X = many } },
            ["sensitive: expected a list of names of headers, got a string"] = { sensitive = "X" },
            ['origin: expected an origin such as "https://app.example", got "a\\13\\10b"'] = { origin = "a\r\nb" },
            ["tls.verfy: unknown field (did you mean `verify`?)"] = { tls = { verfy = false } },
            ["tls: cert and key go together"] = { tls = { cert = "c.pem" } },
            ["tls.verify: expected true or false, got a string"] = { tls = { verify = "no" } },
            ["tls.ca: expected a file's name, got true"] = { tls = { ca = true } },
            ["proxy: only proxies that speak HTTP are supported, not socks5"] = { proxy = "socks5://h" },
            ["redirects: expected a whole number from 0 to 20, got true"] = { redirects = true },
            ["handler: expected a handler (a table with message, open, ... or run), got a function"] =
                { handler = print },
            ["handler.upgrade: this is for connections that are accepted, not made"] =
                { handler = { open = print, upgrade = print } },
            ["compression.levl: unknown field (did you mean `level`?)"] = { compression = { levl = 1 } },
            ["limits.mesage: unknown limit (did you mean `message`?)"] = { limits = { mesage = 1 } },
            ["limits.drain: this limit concerns the whole process: set it in tidewire.lua"] =
                { limits = { drain = 1 } },
            ["reconnect.mx: unknown field; known are attempts, gave_up, max, min"] = { reconnect = { mx = 1 } },
            ["reconnect.gave_up: expected a function, got a boolean"] = { reconnect = { gave_up = true } },
            ["reconnect.gave_up: without a handler, connect itself returns why it gave up"] =
                { reconnect = { gave_up = print } },
            ["reconnect.min: 40 is above max, 30"] = { reconnect = { min = 40 } },
            ["reconnect.attempts: expected at least 1"] = { reconnect = { attempts = 0 } },
        } do
            assert.equal("bad argument #2 to 'connect' (" .. text .. ")", misuse("ws://h", opts))
        end
    end)

    it("returns what is wrong with a URL, which may come from a user", function()
        local function refused(address, opts)
            local ws, message, code, details = tidewire.connect(address, opts)
            assert.is_nil(ws)
            assert.same({ "url" }, { code, details })
            assert.equal(0, #core.attempts)
            return message
        end
        assert.equal('ws://, wss:// or ws+unix: expected, got "http://h"', refused "http://h")
        assert.equal('ws://, wss:// or ws+unix: expected, got ""', refused("", { reconnect = true }))
        assert.equal('a WebSocket URL has no fragment; in a path write %23, got "wss://...@h/"',
            refused "wss://user:pa#ss@h/")
        assert.equal('with the option tls a wss: URL expected, got "ws://h"', refused("ws://h", { tls = { ca = "a" } }))
        assert.equal('with the option tls a wss: URL expected, got "ws+unix:/s"', refused("ws+unix:/s", { tls = {} }))
        assert.equal('with the option proxy no socket of this machine expected, got "ws+unix:/s"',
            refused("ws+unix:/s", { proxy = "http://p" }))
        assert.equal("user information is sent as Authorization, which is among the headers already, got "
            .. '"ws://...@h"', refused("ws://u:p@h", { headers = { authorization = "Bearer x" } }))
    end)

    it("returns what only C finds wrong with a URL", function()
        core.outcomes = { { nil, "a character must be percent-encoded", "url" } }
        assert.same({ n = 4, nil, 'a character must be percent-encoded, got "ws://...@h/a|b"', "url", nil },
            table.pack(tidewire.connect "ws://u:p@h/a|b"))
    end)

    it("tells that it cannot wait, whatever the URL is", function()
        core.blocked = "connect is not allowed while the app loads; do it in start(app)"
        assert.equal(core.blocked, misuse "ws://h")
        assert.equal(core.blocked, misuse "no URL")
    end)
end)

describe("redirects", function()
    local opts

    before_each(function()
        opts = {
            redirects = 2, sensitive = { "X-Key" }, tls = { ca = "ca.pem", cert = "c.pem", key = "k.pem", name = "n" },
            headers = {
                Authorization = "Bearer x", cookie = "a=b", ["Proxy-Authorization"] = "y", ["x-key"] = "z",
                ["X-Plain"] = "1",
            },
            origin = "https://app.example",
        }
    end)

    local function names(attempt)
        local out = {}
        for i, pair in ipairs(attempt.fields) do
            out[i] = pair[1]
        end
        return table.concat(out, " ")
    end

    it("are not followed unless asked for", function()
        core.outcomes = { answer(302, { location = "/b" }) }
        local _, message, code = tidewire.connect "ws://h/a"
        assert.same({ "answered 302", "status", 1 }, { message, code, #core.attempts })
    end)

    it("are followed for their statuses, with all fields on the same server", function()
        for _, status in ipairs { 301, 302, 303, 307, 308 } do
            core.attempts, core.outcomes = {}, { answer(status, { location = "b?c" }), opened }
            assert.equal("a ws", tidewire.connect("wss://h/a/x", opts))
            assert.equal("wss://h/a/b?c", core.attempts[2].url)
            assert.equal(names(core.attempts[1]), names(core.attempts[2]))
            assert.equal("Authorization Proxy-Authorization X-Plain cookie x-key Origin", names(core.attempts[2]))
            assert.equal("n", core.attempts[2].tls.name)
        end
        for _, status in ipairs { 300, 304, 305, 200, 401 } do
            core.attempts, core.outcomes = {}, { answer(status, { location = "b" }) }
            assert.is_nil(tidewire.connect("wss://h/a", opts))
            assert.equal(1, #core.attempts)
        end
    end)

    it("never take credentials to another server, nor back", function()
        for _, to in ipairs { "wss://other/b", "wss://h:444/b", "https://sub.h/" } do
            core.attempts, core.outcomes = {},
                { answer(302, { location = to }), answer(302, { location = "wss://h/c" }), opened }
            assert.equal("a ws", tidewire.connect("wss://h/a", opts))
            for i = 2, 3 do
                assert.equal("X-Plain Origin", names(core.attempts[i]))
                assert.same({ ca = "ca.pem", verify = true }, core.attempts[i].tls)
            end
        end
    end)

    it("never take the URL's user information to another server", function()
        core.outcomes = { answer(302, { location = "/b" }), answer(302, { location = "wss://other/c" }), opened }
        tidewire.connect("wss://u:p@h/a", { redirects = 5 })
        assert.equal("Authorization", names(core.attempts[2]))
        assert.equal("", names(core.attempts[3]))
    end)

    it("choose the proxy anew", function()
        variables.http_proxy, variables.no_proxy = "http://p", "other"
        core.outcomes = { answer(302, { location = "ws://other/" }), opened }
        tidewire.connect("ws://h/a", { redirects = 1 })
        assert.equal("p", core.attempts[1].proxy.host)
        assert.is_nil(core.attempts[2].proxy)
    end)

    it("are refused where they must not lead", function()
        local function refused(from, location)
            core.attempts, core.outcomes = {}, { answer(302, { location = location }), opened }
            local ws, message, code, details = tidewire.connect(from, { redirects = 2 })
            assert.is_nil(ws)
            assert.same({ "status", 302, 1 }, { code, details.status, #core.attempts })
            return message
        end
        local prefix = "answered 302; the redirect is not followed: "
        assert.equal(prefix .. "it leads from wss to ws", refused("wss://h/", "ws://h/"))
        assert.equal(prefix .. "it leads from wss to ws", refused("wss://h/", "http://other/"))
        assert.equal(prefix .. "it leads from wss to ws+unix", refused("wss://h/", "ws+unix:/s"))
        assert.equal(prefix .. "it leads to a socket of this machine", refused("ws://h/", "ws+unix:/s"))
        assert.equal(prefix .. "it does not say where to", refused("ws://h/", nil))
        assert.equal(prefix .. 'ws://, wss:// or ws+unix: expected, got "mailto:x"', refused("ws://h/", "mailto:x"))
    end)

    it("have an end", function()
        core.outcomes = {}
        for i, location in ipairs { "b", "c", "d" } do
            core.outcomes[i] = answer(302, { location = location })
        end
        local ws, message = tidewire.connect("ws://h/a", { redirects = 2 })
        assert.is_nil(ws)
        assert.equal("answered 302; the redirect is not followed: these were 2 already", message)
        assert.equal(3, #core.attempts)
    end)
end)
