local nearest = require "tidewire.nearest"

describe("nearest", function()
    local names = { "close", "drain", "message", "open", "send_queue" }

    it("finds a name with a letter missing, added, wrong or swapped", function()
        assert.equal("message", nearest.find("mesage", names))
        assert.equal("message", nearest.find("messsage", names))
        assert.equal("message", nearest.find("messige", names))
        assert.equal("message", nearest.find("messaeg", names))
    end)

    it("takes case, dashes and camel case for the same name", function()
        assert.equal("send_queue", nearest.find("sendQueue", names))
        assert.equal("send_queue", nearest.find("SEND-QUEUE", names))
    end)

    it("takes another case for the same name, however short", function()
        assert.equal("kB", nearest.find("KB", { "B", "kB", "KiB" }))
        assert.equal("min", nearest.find("MIN", { "ms", "min" }))
    end)

    it("finds nothing where nothing is near", function()
        assert.is_nil(nearest.find("colour", names))
        assert.is_nil(nearest.find("x", { "y" }))
        assert.is_nil(nearest.find("abc", { "xyz" }))
        assert.is_nil(nearest.find(7, names))
        assert.is_nil(nearest.find("message", {}))
    end)

    it("allows one error in a short name", function()
        assert.equal("open", nearest.find("opne", names))
        assert.is_nil(nearest.find("oqqn", names))
    end)

    it("prefers the nearer name, and of equally near ones the first in the alphabet", function()
        assert.equal("timer", nearest.find("timers", { "times_ago", "timer" }))
        assert.equal("cat", nearest.find("bat", { "rat", "hat", "cat" }))
    end)

    it("writes a hint, or nothing", function()
        assert.equal(" (did you mean `open`?)", nearest.hint("opne", names))
        assert.equal("", nearest.hint("colour", names))
    end)
end)
