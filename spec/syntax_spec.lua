local syntax = require "tidewire.syntax"

-- Compiles a text that must fail. Returns the byte that syntax.column finds, and Lua's message.
local function column(text)
    local _, message = load(text, "@x.lua", "t")
    assert.is_string(message)
    return syntax.column(text, "x.lua", message), message
end

describe("syntax.column", function()
    local function finds(byte, text)
        it(("finds byte %s of %s"):format(byte, text:gsub("%c", "~")), function()
            assert.equal(byte, (column(text)))
        end)
    end
    finds(8, "return }")
    finds(9, "x = 1\ny = 2 + / 3\nz = 3")
    finds(17, "f = function( a b) end")
    -- of several equal tokens the one at which it goes wrong
    finds(21, "local t = { a = 1 } } }")
    finds(24, "f({ a = { b = 1 }, c = } )")
    finds(24, "local function f() end end end")
    -- whatever ends a line
    finds(8, "local a = 1\r\nlocal b = 2\r\nreturn } }")
    finds(8, "local a = 1\rreturn } }")
    -- behind the last character
    finds(14, "local x = f(1")
    finds(10, "if x then  ")
    finds(1, "if x then\n")
    -- tokens that Lua gives up on
    finds(5, "x = 'a\nb'")
    finds(5, "x = 3x")
    finds(5, "x = '\\q'")
    -- no single place
    finds(nil, "x = [[\nabc\n]] [[\ndef]] y")
    finds(nil, "x = \1")
    finds(nil, "local x <const> = 1 x = 2")
end)

describe("syntax", function()
    it("knows a syntax error from an error at run time", function()
        local _, message = column "return }"
        assert.is_true(syntax.is_error("return }", "x.lua", message))
        assert.is_false(syntax.is_error("return }", "x.lua", "x.lua:1: boom"))
        assert.is_false(syntax.is_error("return 1", "x.lua", "x.lua:1: boom"))
    end)

    it("finds what is not closed", function()
        local _, message = column "function f()\n\n\n\nif x then end\n"
        assert.equal(1, syntax.opened(message))
        assert.is_nil(syntax.opened "x.lua:1: unexpected symbol near '}'")
    end)

    it("finds the name that an error at run time is about, if it is there once", function()
        assert.equal(15, syntax.name_column("local x = t.a.b + ab", "x:1: attempt to index a nil value (field 'b')"))
        assert.equal(7, syntax.name_column("print(mesage)", "x:1: undeclared global `mesage`"))
        assert.is_nil(syntax.name_column("a.b = b", "x:1: attempt to index a nil value (field 'b')"))
        assert.is_nil(syntax.name_column("return f()", "x:1: attempt to index a nil value (field 'b')"))
        assert.is_nil(syntax.name_column("return f()", "x:1: boom"))
    end)
end)
