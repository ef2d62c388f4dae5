local certificates = require "tidewire.certificates"
local expect = require "tidewire.expect"

describe("the setting tls", function()
    local pair = { cert = "a.pem", key = "a.key" }

    it("is certificates with their keys, and whether clients show theirs", function()
        assert.same({ certificates = { pair } }, certificates.check({ certificates = { pair } }, "tls"))
        local whole = {
            certificates = { pair, { cert = "b.pem", key = "b.key" } }, client_ca = "ca.pem", client = "optional",
        }
        assert.same(whole, certificates.check(whole, "tls"))
    end)

    it("tells what is wrong", function()
        for message, value in pairs {
            ["tls: expected a table with `certificates`, got nil"] = false,
            ["tls.cert: unknown field; known are certificates, client, client_ca"] = { cert = "a.pem" },
            ["tls.certificates: expected a list of { cert = FILE, key = FILE }, got an empty table"] =
                { certificates = {} },
            ["tls.certificates[1]: expected a table such as { cert = FILE, key = FILE }, got a string"] =
                { certificates = { "a.pem" } },
            ["tls.certificates[1].key: expected the path of the certificate's key in PEM, got nil"] =
                { certificates = { { cert = "a.pem" } } },
            ['tls.certificates[2].cert: expected the path of a certificate in PEM, got ""'] =
                { certificates = { pair, { cert = "", key = "x" } } },
            ['tls.client: expected "required" or "optional", got "yes"'] =
                { certificates = { pair }, client_ca = "ca.pem", client = "yes" },
            ["tls.client_ca: expected the path of clients' authorities in PEM, got nil"] =
                { certificates = { pair }, client = "required" },
        } do
            local got, said = expect.catch(certificates.check, value or nil, "tls")
            assert.is_nil(got)
            assert.equal(message, said)
        end
    end)

    it("is counted from the folder of its file", function()
        assert.same({
            certificates = { { cert = "app/a.pem", key = "/etc/a.key" } },
            client_ca = "app/ca.pem", client = "optional",
        }, certificates.from_folder({
            certificates = { { cert = "a.pem", key = "/etc/a.key" } }, client_ca = "ca.pem", client = "optional",
        }, "app"))
    end)
end)
