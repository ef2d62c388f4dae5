--- The setting `tls`: certificates for wss listeners whose URL names none.
--
--   tls = { certificates = { { cert = FILE, key = FILE }, ... }, client_ca = FILE, client = "optional" }
local expect = require "tidewire.expect"
local source = require "tidewire.source"

local certificates = {}

local function check_file(value, path, what)
    if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
        expect.fail(path, "expected the path of %s, got %s", what, expect.show(value))
    end
    return value
end

local function check_pair(value, path)
    expect.type(value, "table", path, "a table such as { cert = FILE, key = FILE }")
    expect.only(value, { "cert", "key" }, path)
    return {
        cert = check_file(value.cert, expect.field(path, "cert"), "a certificate in PEM"),
        key = check_file(value.key, expect.field(path, "key"), "the certificate's key in PEM"),
    }
end

local function check_client(value, path)
    if value ~= nil and value ~= "required" and value ~= "optional" then
        expect.fail(path, 'expected "required" or "optional", got %s', expect.show(value))
    end
    return value
end

--- Checks the setting; a mistake raises (see expect). Returns a copy.
function certificates.check(value, path)
    expect.type(value, "table", path, "a table with `certificates`")
    expect.only(value, { "certificates", "client", "client_ca" }, path)
    local list = expect.field(path, "certificates")
    expect.list(value.certificates, list, "a list of { cert = FILE, key = FILE }")
    local out = { certificates = {}, client = check_client(value.client, expect.field(path, "client")) }
    for i, pair in ipairs(value.certificates) do
        out.certificates[i] = check_pair(pair, expect.field(list, i))
    end
    if value.client_ca ~= nil or value.client then
        out.client_ca = check_file(value.client_ca, expect.field(path, "client_ca"), "clients' authorities in PEM")
    end
    return out
end

--- What was checked, with its paths counted from a folder instead of the working directory.
function certificates.from_folder(tls, folder)
    local out = { certificates = {}, client = tls.client }
    for i, pair in ipairs(tls.certificates) do
        out.certificates[i] = { cert = source.join(folder, pair.cert), key = source.join(folder, pair.key) }
    end
    out.client_ca = tls.client_ca and source.join(folder, tls.client_ca)
    return out
end

return certificates
