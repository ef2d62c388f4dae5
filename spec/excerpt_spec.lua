local excerpt = require "tidewire.excerpt"

local text = "local a\nlocal b\nlocal c\nlocal d\nlocal e\nlocal f\n"

describe("excerpt", function()
    it("shows two lines before and after, the line marked", function()
        assert.same({
            "  2 | local b", "  3 | local c", "> 4 | local d", "  5 | local e", "  6 | local f",
        }, excerpt.render(text, 4))
    end)

    it("stops at the beginning and at the end", function()
        assert.same({ "> 1 | local a", "  2 | local b", "  3 | local c" }, excerpt.render(text, 1))
        assert.same({ "  4 | local d", "  5 | local e", "> 6 | local f" }, excerpt.render(text, 6))
    end)

    it("puts a caret under a byte", function()
        assert.same({ "> 4 | local d", "    |       ^" }, excerpt.render(text, 4, 7, 0))
    end)

    it("aligns numbers of different length", function()
        local lines = excerpt.render(("x\n"):rep(12), 9, 1, 1)
        assert.same({ "   8 | x", ">  9 | x", "     | ^", "  10 | x" }, lines)
    end)

    it("shows the line after the last line feed when it is the one", function()
        assert.same({ "  5 | local e", "  6 | local f", "> 7 |", "    | ^" }, excerpt.render(text, 7, 1))
    end)

    it("has nothing for a line that is not there", function()
        assert.same({}, excerpt.render(text, 8))
        assert.same({}, excerpt.render("", 2))
    end)

    it("counts characters, not bytes, and spreads tabs", function()
        assert.same({ "> 1 | \u{e4}\u{f6} x", "    |    ^" }, excerpt.render("\u{e4}\u{f6} x", 1, 6, 0))
        assert.same({ ">" .. " 1 |     x   y", "    |         ^" }, excerpt.render("\tx\ty", 1, 4, 0))
    end)

    it("prints no control characters", function()
        assert.same({ "> 1 | a?[31mb", "    |       ^" }, excerpt.render("a\27[31mb", 1, 7, 0))
    end)

    it("counts every kind of line end once", function()
        assert.equal("c", excerpt.line("a\r\nb\rc\n\rd", 3))
        assert.equal("d", excerpt.line("a\r\nb\rc\n\rd", 4))
    end)

    it("cuts long lines, and drops a caret beyond the cut", function()
        local lines = excerpt.render(("x"):rep(500), 1, 400, 0)
        assert.same({ "> 1 | " .. ("x"):rep(157) .. "..." }, lines)
        assert.same({ "> 1 | " .. ("\u{e4}"):rep(157) .. "..." }, excerpt.render(("\u{e4}"):rep(500), 1, nil, 0))
    end)
end)
