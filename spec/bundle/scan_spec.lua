local scan = require "tidewire.bundle.scan"

describe("the search for required names", function()
    -- What is found as "name:line", "?" before those whose errors are caught; then the line of a computed one.
    local function found(text)
        local list, computed = scan.requires(text)
        local out = {}
        for i, required in ipairs(list) do
            out[i] = (required.caught and "?" or "") .. required.name .. ":" .. required.line
        end
        out[#out + 1] = computed
        return table.concat(out, " ", 1, #list), computed
    end

    local function names(text)
        local list, computed = found(text)
        assert.is_nil(computed, text)
        return list
    end

    it("finds literal names in all forms", function()
        assert.equal("a:1", names 'local a = require "a"')
        assert.equal("a.b:1", names "require 'a.b'.c()")
        assert.equal("a:1", names "require[[a]]")
        assert.equal("a:1", names "require [==[a]==]")
        assert.equal("a:1 b:2", names 'f(require("a"),\n  (require ( "b" )))')
        assert.equal("a:1", names 'require("a", 5)')
        assert.equal("a:1", names 'require --[[ the ]] ( --x\n "a")')
        assert.equal("ab:1", names 'require "\\x61\\98"')
        assert.equal("a:1", names '_G.require "a"')
        assert.equal("?a:1 ?b:2", names 'pcall(require, "a")\nselect(2, pcall(require,"b", 1))')
        assert.equal("a:1 a:1", names 'require "a" require "a"')
    end)

    it("finds them in functions, behind strings of all forms and a first line for the shell", function()
        assert.equal("late:3", names 'return function()\n    if x then\n        return require "late"\n    end\nend')
        assert.equal("a:2", names "#!/usr/bin/env tidewire 'it\"s\nlocal a = require 'a'")
        for _, text in ipairs {
            [["\""]], [['\'']], [['"']], [["\\"]], '"a\\\nb"', "[[ ]=] ']]", "[=[ ]] ]=]", "1..2", "0x1p-4", "a--[[x]]",
            "a[b[1]]", "{ [ [[k]] ] = 1 }" } do
            local list, computed = found("x = " .. text .. ' require "a"')
            assert.is_truthy(list:find("^a:%d$"), text)
            assert.is_nil(computed)
        end
    end)

    it("leaves out comments, strings, and what is another `require`", function()
        for _, text in ipairs {
            '-- require "a"', '--[[\nrequire "a"\n]] x = 1', '--[==[ ]] require "a" ]==]', "x = 'require \"a\"'",
            'x = [[require "a"]]', 'x = "require \\"a\\""', 'x.require "a"', 'x:require "a"', "x.require(name)",
            'requires "a"', 'my_require "a"', "local function require(name) end", "function require(name) end",
            "local require = require", "--[[ never ended\nrequire 'a'", "x = 'never ended require \"a\"", "",
        } do
            assert.equal("", names(text))
        end
    end)

    it("notices names that are computed", function()
        for _, text in ipairs {
            "require(name)", 'require("a" .. name)', "require(...)", 'require ("a" or b)', "pcall(require, name)",
            'xpcall(require, print, "a")', "local load = require", "for_each(names, require)",
            "return { require = f, g = require }",
            "_ENV.require(x)", "require [[a]] == require(b)", "x = require",
        } do
            local _, computed = found("\n" .. text)
            assert.equal(2, computed, text)
        end
        assert.same({ "a:1", 2 }, { found 'local x = require "a"\nreturn require(x)' })
    end)

    it("reads long texts", function()
        local text = ("local a = require 'a' -- [[ \n"):rep(20000)
        local list = scan.requires(text)
        assert.equal(20000, #list)
        assert.equal(20000, list[20000].line)
    end)
end)
