local report = require "tidewire.report"

local sources = {
    ["chat.lua"] = {
        path = "chat.lua",
        text = "local chat = {}\nfunction chat.message(ws)\n    ws.x.y = 1\nend\nreturn chat\n",
    },
    ["...ry/long/chat.lua"] = { path = "/a/very/long/chat.lua", text = "one()\ntwo()\n" },
    ["broken.lua"] = { path = "broken.lua", text = "return }\n" },
    ["open.lua"] = { path = "open.lua", text = "function f()\n\n\n\n    g()\n" },
}

local function texts(frames)
    local out = {}
    for i, frame in ipairs(frames) do
        out[i] = frame.text
    end
    return out
end

describe("report.frames", function()
    it("leaves out the runtime, and what called the app", function()
        assert.same({ "chat.lua:3: in upvalue 'f'", "[C]: in function 'table.sort'", "chat.lua:9: in main chunk" },
            texts(report.frames(table.concat({
                "boom",
                "stack traceback:",
                "\t[C]: in function 'error'",
                "\tlib/tidewire/report.lua:1: in metamethod 'index'",
                "\ttidewire/init.lua:1: in function 'tidewire.refuse'",
                "\tchat.lua:3: in upvalue 'f'",
                "\t[C]: in function 'table.sort'",
                "\tcoroutine.wrap:3: in function <coroutine.wrap:1>",
                "\tchat.lua:9: in main chunk",
                "\t(...tail calls...)",
                "\t[C]: in function 'xpcall'",
                "\ttidewire/report.lua:10: in function <tidewire/report.lua:3>",
                "\tmain.lua:4: in main chunk",
                "\t[C]: in ?",
            }, "\n"), sources)))
    end)

    it("keeps the function of C in which it happened", function()
        assert.same({ "[C]: in method 'send'", "chat.lua:3: in function <chat.lua:2>" },
            texts(report.frames("\t[C]: in method 'send'\n\tchat.lua:3: in function <chat.lua:2>", sources)))
    end)

    it("keeps an app's own file below a folder called tidewire", function()
        local own = { ["tidewire/chat.lua"] = { path = "tidewire/chat.lua", text = "" },
            ["tidewire/report.lua"] = { path = "tidewire/report.lua", text = "" } }
        assert.same({ "tidewire/report.lua:1: in main chunk", "tidewire/chat.lua:1: in main chunk" },
            texts(report.frames("\ttidewire/report.lua:1: in main chunk\n\ttidewire/chat.lua:1: in main chunk", own)))
    end)

    it("says when calls were skipped", function()
        assert.same({ "chat.lua:1: in f", "...\t(skipping 200 levels)", "chat.lua:2: in f" },
            texts(report.frames("\tchat.lua:1: in f\n\t...\t(skipping 200 levels)\n\tchat.lua:2: in f", sources)))
    end)

    it("has none without a traceback", function()
        assert.same({}, report.frames(nil, sources))
    end)
end)

describe("report.failure", function()
    it("shows place, source and caret of a syntax error, and no calls", function()
        local text, told = report.failure("broken.lua:1: unexpected symbol near '}'", "\tchat.lua:1: in main chunk\n"
            .. "\tchat.lua:2: in main chunk", sources)
        assert.equal("tidewire: broken.lua:1: unexpected symbol near '}'\n\n"
            .. "    > 1 | return }\n"
            .. "        |        ^\n", text)
        assert.equal("broken.lua", told.file)
        assert.equal(1, told.line)
        assert.equal("broken.lua:1: unexpected symbol near '}'", told.message)
    end)

    it("shows where it began what is not closed", function()
        assert.equal("tidewire: open.lua:6: 'end' expected (to close 'function' at line 1) near <eof>\n\n"
            .. "    > 1 | function f()\n"
            .. "      ...\n"
            .. "      4 |\n"
            .. "      5 |     g()\n"
            .. "    > 6 |\n"
            .. "        | ^\n",
            (report.failure("open.lua:6: 'end' expected (to close 'function' at line 1) near <eof>", nil, sources)))
    end)

    it("shows the calls of an error at run time when there is more than one", function()
        local message = "chat.lua:3: attempt to index a nil value (field 'x')"
        local excerpt = "\n"
            .. "      1 | local chat = {}\n"
            .. "      2 | function chat.message(ws)\n"
            .. "    > 3 |     ws.x.y = 1\n"
            .. "        |        ^\n"
            .. "      4 | end\n"
            .. "      5 | return chat\n"
        assert.equal("tidewire: " .. message .. "\n" .. excerpt,
            (report.failure(message, "\tchat.lua:3: in main chunk", sources)))
        assert.equal("tidewire: " .. message .. "\n" .. excerpt .. "\nstack traceback:\n"
            .. "    chat.lua:3: in upvalue 'f'\n"
            .. "    chat.lua:5: in main chunk\n",
            (report.failure(message, "\tchat.lua:3: in upvalue 'f'\n\tchat.lua:5: in main chunk", sources)))
    end)

    it("shows a single call when the message has no place", function()
        assert.equal("tidewire: boom\n\n      3 |     ws.x.y = 1\n      4 | end\n    > 5 | return chat\n"
            .. "\nstack traceback:\n    chat.lua:5: in main chunk\n",
            (report.failure("boom", "\tchat.lua:5: in main chunk", sources)))
    end)

    it("finds the place in the calls when the message has none", function()
        local text, told = report.failure("boom", "\t[C]: in method 'send'\n\tchat.lua:5: in main chunk", sources)
        assert.equal("tidewire: boom\n\n"
            .. "      3 |     ws.x.y = 1\n"
            .. "      4 | end\n"
            .. "    > 5 | return chat\n"
            .. "\nstack traceback:\n"
            .. "    [C]: in method 'send'\n"
            .. "    chat.lua:5: in main chunk\n", text)
        assert.equal(5, told.line)
    end)

    it("writes out a name that Lua shortened", function()
        assert.equal("tidewire: /a/very/long/chat.lua:2: boom\n\n      1 | one()\n    > 2 | two()\n",
            (report.failure("...ry/long/chat.lua:2: boom", nil, sources)))
    end)

    it("tells errors that are no strings", function()
        assert.equal("tidewire: (error object is a table value)\n", (report.failure({}, nil, sources)))
        assert.equal("tidewire: (error object is a nil value)\n", (report.failure(nil, nil, sources)))
        assert.equal("tidewire: 42\n", (report.failure(42, nil, sources)))
        assert.equal("tidewire: mine\n", (report.failure(setmetatable({}, {
            __tostring = function()
                return "mine"
            end,
        }), nil, sources)))
        assert.equal("tidewire: (error object is a table value)\n", (report.failure(setmetatable({}, {
            __tostring = function()
                error "in error"
            end,
        }), nil, sources)))
    end)

    it("keeps further lines of a message", function()
        assert.equal("tidewire: one\ntwo\nthree\n", (report.failure("one\ntwo\nthree", nil, sources)))
    end)
end)

describe("local variables", function()
    local frames = { { source = "chat.lua", line = 3, locals = { { "ws", 7 } } } }

    it("stand between the source and the calls", function()
        local text = report.failure("chat.lua:3: boom", "\tchat.lua:3: in f\n\tchat.lua:5: in g", sources, frames)
        assert.is_truthy(text:find("\n\nlocal variables:\n    ws = 7\n\nstack traceback:\n", 1, true), text)
        local _, details = report.entry("chat.lua:3: boom", "\tchat.lua:3: in f\n\tchat.lua:5: in g", sources, frames)
        local told = table.concat(details, "\n")
        assert.is_truthy(told:find("return chat\nlocal variables:\n    ws = 7\nstack traceback:\n", 1, true), told)
    end)

    it("are not told of a syntax error: they are those of who requires the file", function()
        local text = report.failure("broken.lua:1: unexpected symbol near '}'", "\tchat.lua:3: in f", sources, frames)
        assert.is_nil(text:find("local variables", 1, true))
    end)
end)

describe("report.entry", function()
    it("gives the message and further lines", function()
        local traceback = "\tchat.lua:5: in local 'f'\n\tchat.lua:4: in function <chat.lua:2>"
        local message, details = report.entry("chat.lua:5: boom\nmore", traceback, sources)
        assert.equal("chat.lua:5: boom", message)
        local lines = {
            "more",
            "  3 |     ws.x.y = 1",
            "  4 | end",
            "> 5 | return chat",
            "stack traceback:",
            "    chat.lua:5: in local 'f'",
            "    chat.lua:4: in function <chat.lua:2>",
        }
        assert.same(lines, details)
    end)
end)

describe("report.plain", function()
    it("is a whole message", function()
        local text, told = report.plain "cannot open x"
        assert.equal("tidewire: cannot open x\n", text)
        assert.same({ message = "cannot open x" }, told)
    end)
end)
