local banner = require "tidewire.banner"

local routes = {
    { pattern = "/", mount = true, kind = "files", detail = "public", page = true },
    { pattern = "/chat/:room", mount = false, kind = "websocket", detail = "chat.v2, chat", page = false },
    { pattern = "/health", mount = false, kind = "http", detail = "", page = true },
    { pattern = "/static", mount = true, kind = "files", detail = "s", page = false },
}

describe("banner", function()
    it("shows listeners, routes and the page", function()
        assert.equal(table.concat({
            "listening ws://127.0.0.1:8080",
            "listening unix:/run/x.sock",
            "routes    /*           files      public",
            "          /chat/:room  WebSocket  chat.v2, chat",
            "          /health      HTTP",
            "          /static/*    files      s",
            "page      http://127.0.0.1:8080/",
            "",
        }, "\n"), banner.text({ "ws://127.0.0.1:8080", "unix:/run/x.sock" }, routes))
    end)

    it("counts characters when it aligns", function()
        assert.same({ "/\u{e4}    HTTP", "/abc  HTTP" }, banner.routes {
            { pattern = "/\u{e4}", kind = "http", detail = "" }, { pattern = "/abc", kind = "http", detail = "" },
        })
    end)

    it("gives the page's URL as a browser on this machine takes it", function()
        local function page(...)
            return banner.page({ ... }, routes)
        end
        assert.equal("https://[::1]:8443/", page "wss://[::]:8443?cert=F&key=F")
        assert.equal("http://127.0.0.1:8080/", page "ws://0.0.0.0:8080")
        assert.equal("http://localhost:80/", page("unix:/run/x.sock", "ws://localhost:80/"))
        assert.is_nil(page "unix:/run/x.sock")
        assert.is_nil(page())
    end)

    it("has no page when nothing answers GET /", function()
        for _, without in ipairs {
            { pattern = "/", mount = true, kind = "websocket", detail = "", page = false },
            { pattern = "/health", mount = false, kind = "http", detail = "", page = true },
        } do
            assert.is_nil(banner.page({ "ws://127.0.0.1:8080" }, { without }))
            assert.is_nil(banner.text({ "ws://127.0.0.1:8080" }, { without }):find("page"))
        end
    end)
end)
