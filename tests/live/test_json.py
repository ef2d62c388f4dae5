"""tidewire.json by tables of cases: what is read, what is written, and what is refused."""

import json

import pytest
from live import LiveServer, write_app
from peer import request

# The body of a request is Lua; the answer is what it returns, or "raised: " and the error.
APP = """
local json = tidewire.json
local function show(value)
    if value == json.null then return "null" end
    if math.type(value) == "float" then return ("%.17g float"):format(value) end
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
end
local function read(text)
    local value, message, code = json.decode(text)
    return value == nil and code .. ": " .. message or value
end
return tidewire.app { routes = { ["/"] = function(req)
    local names = { json = json, show = show, read = read, encode = json.encode, rep = string.rep }
    local case = assert(load(req.body, "=case", "t", setmetatable(names, { __index = _ENV })))
    local ok, result = pcall(case)
    return ok and tostring(result) or "raised: " .. result
end } }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """run(LUA) -> what it returns, in an app."""
    with LiveServer(write_app(tmp_path_factory.mktemp("json"), APP)) as server:
        peer = server.peer()

        def ask(lua):
            peer.send(request(method="POST", body=lua.encode() if isinstance(lua, str) else lua))
            answer = peer.answer()
            assert answer.status == 200, server.report()
            return answer.body.decode("utf-8", "surrogateescape")
        yield ask


def quoted(text):
    """A string of Lua, byte by byte."""
    text = text.encode() if isinstance(text, str) else text
    return '"' + "".join(f"\\x{byte:02x}" for byte in text) + '"'


@pytest.mark.parametrize("text, value", [
    ("null", "null"),
    (" true ", "true"),
    ("false", "false"),
    ("0", "0"),
    ("-0", "0"),
    ("1.0", "1 float"),
    ("1e2", "100 float"),
    ("0.1", "0.10000000000000001 float"),
    ("9223372036854775807", "9223372036854775807"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("9007199254740993", "9007199254740993"),  # 2^53 + 1: no double holds it
    ('""', '""'),
    (r'"\"\\\/\b\f\n\r\t"', '"\\"\\\\/\\8\\12\\\n\\13\\9"'),
    (r'"\u00e4\ud83d\ude00"', '"ä😀"'),
    ('"ä😀"', '"ä😀"'),
    (r'"a\u0000b"', r'"a\0b"'),
])
def test_reads_a_value(run, text, value):
    assert run(f"return show(json.decode({quoted(text)}))") == value


@pytest.mark.parametrize("text, told", [
    ("", ""),
    ("  ", ""),
    ("nul", ""),
    ("NaN", ""),
    ("Infinity", ""),
    ("01", ""),
    ("+1", ""),
    (".5", ""),
    ("1.", ""),
    ("0x10", ""),
    ("9223372036854775808", "too big"),
    ("-9223372036854775809", "too big"),
    ("1e999", "overflow"),
    ("'a'", ""),
    ('"a', ""),
    ('"a\tb"', "control character"),
    (r'"\x41"', "escape"),
    (r'"\ud83d"', "invalid Unicode"),  # half a pair, in all ways
    (r'"\ude00"', "invalid Unicode"),
    (r'"\ud83dx"', "invalid Unicode"),
    (r'"\ude00\ud83d"', "invalid Unicode"),
    (b'"\xff"', "unable to decode byte"),
    (b'"\xc0\xaf"', "unable to decode byte"),
    (b'"\xed\xa0\xbd"', "unable to decode byte"),
    ("[1,]", ""),
    ("[1 2]", ""),
    ("[1", ""),
    ('{"a":1,}', ""),
    ("{a:1}", ""),
    ('{1:1}', ""),
    ('{"a" 1}', ""),
    ("1 2", "end of file expected"),
    ("[] // comment", "end of file expected"),
    (b"\xef\xbb\xbf1", ""),  # a byte order mark
    ('{"a":1,"a":2}', "duplicate"),
    ('[{"b":{"a":1,"c":2,"a":1}}]', "duplicate"),
    (r'{"a":1,"\u0061":2}', "duplicate"),
    (r'{"a\u0000b":1}', "NUL"),
])
def test_refuses_what_is_no_json_and_what_is_ambiguous(run, text, told):
    answer = run(f"return read({quoted(text)})")
    assert answer.startswith("json: line ") and told in answer


@pytest.mark.parametrize("lua, result", [
    # 128 levels either way
    ("return #read(rep('[', 128) .. rep(']', 128))", "1"),
    ("return #read(rep('[', 128) .. '1' .. rep(']', 128))", "1"),
    ("return read('null' .. string.char(0))", "json: a NUL byte is no JSON; in a string it is written \\u0000"),
    ("return read(rep('[', 129) .. rep(']', 129))", "json: nested deeper than 128 levels"),
    ("return read(rep('{\"a\":', 128) .. '{}' .. rep('}', 128))", "json: nested deeper than 128 levels"),
    ("return read(rep('[', 1000) .. rep(']', 1000))", "json: nested deeper than 128 levels"),
    ("return read(rep('[', 1000000)):match('^json: line')", "json: line"),
    ("local t = {} for _ = 1, 127 do t = { t } end return encode(t) == rep('[', 127) .. '{}' .. rep(']', 127)", "true"),
    ("local t = {} for _ = 1, 128 do t = { t } end return encode(t)",
     "raised: case:1: json.encode: nested deeper than 128 levels, or a table inside itself"),
    ("local t = {} t.t = t return encode(t)",
     "raised: case:1: json.encode: nested deeper than 128 levels, or a table inside itself"),
    ("local shared = { 1 } return encode({ shared, shared })", "[[1],[1]]"),
    # a table that is read is written as it was
    ("return encode(read('[]'))", "[]"),
    ("return encode(read('{}'))", "{}"),
    ("return encode(read('[[],{},[null],{\"a\":[]}]'))", '[[],{},[null],{"a":[]}]'),
    ("return encode(read('[null,null]'))", "[null,null]"),
    ("return encode({ a = read('null') })", '{"a":null}'),
    ("return read('null') == json.null and json.null ~= nil", "true"),
    ("return #read('[null,1,null]')", "3"),
    # array or object
    ("return encode({})", "{}"),
    ("return encode(json.array())", "[]"),
    ("return encode(json.array({}))", "[]"),
    ("local t = {} return json.array(t) == t", "true"),
    ("return encode({ 1, 2, 3 })", "[1,2,3]"),
    ("return encode({ json.null, json.null })", "[null,null]"),
    # values
    ("return encode(nil)", "null"),
    ("return encode(true) .. encode(false) .. encode(json.null)", "truefalsenull"),
    ("return encode(math.maxinteger) .. encode(math.mininteger)", "9223372036854775807-9223372036854775808"),
    ("return encode(2.0)", "2.0"),
    ("return encode(0.1)", "0.1"),
    ("return encode(1 / 3)", "0.3333333333333333"),
    ("return encode(5e-324)", "4.94065645841247e-324"),
    ("return encode(1e300)", "1e+300"),
    (r'return encode("\"\\/\n\r\t\0\31\127ä😀")', r'"\"\\/\n\r\t\u0000\u001f' + "\x7fä😀\""),
    (r'return encode({ ["a\0\n"] = 1 })', r'{"a\u0000\n":1}'),
    # sorted, pretty
    ("return encode({ b = 1, a = 2, C = 3, [''] = 4, aa = 5 }, { sorted = true })", '{"":4,"C":3,"a":2,"aa":5,"b":1}'),
    ("return encode({ b = { d = 1, c = 2 }, a = { 1, {} }, e = json.array() }, { sorted = true, pretty = true })",
     '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": {\n    "c": 2,\n    "d": 1\n  },\n  "e": []\n}'),
    ("return encode({ 1, 2 }, { pretty = false, sorted = false })", "[1,2]"),
])
def test_reads_and_writes(run, lua, result):
    assert run(lua) == result


@pytest.mark.parametrize("lua, told", [
    ("encode()", "value expected"),
    ("encode(print)", "a function has no form in JSON"),
    ("encode(coroutine.create(print))", "a thread has no form in JSON"),
    ("encode({ a = { print } })", "a function has no form in JSON"),
    ("encode(0 / 0)", "is no number of JSON"),
    ("encode(1 / 0)", "is no number of JSON"),
    ("encode({ -1 / 0 })", "is no number of JSON"),
    (r'encode("\xff")', "no UTF-8"),
    (r'encode({ ["\xed\xa0\x80"] = 1 })', "no UTF-8"),
    ("encode({ [1] = 1, [3] = 3 })", "neither array nor object"),
    ("encode({ [0] = 1 })", "neither array nor object"),
    ("encode({ 1, a = 2 })", "the names of an object must be strings, got a number"),
    ("encode({ 1, a = 2 }, { sorted = true })", "the names of an object must be strings, got a number"),
    ("encode({ [1.5] = 1 })", "the names of an object must be strings, got a number"),
    ("encode({ [true] = 1 })", "the names of an object must be strings, got a boolean"),
    ("encode(1, { prety = true })", "unknown option; known are pretty and sorted"),
    ("encode(1, 'pretty')", "table expected"),
    ("json.decode()", "string expected"),
    ("json.decode({})", "string expected"),
    ("json.array(1)", "table expected"),
])
def test_misuse_is_raised(run, lua, told):
    answer = run(lua)
    assert answer.startswith("raised: ") and told in answer


def test_every_text_that_is_read_is_written_back(run):
    value = {"text": "ä\u2028\0\"", "numbers": [0, -1, 2**63 - 1, -2**63, 0.1, 1e-9, 123456789.125],
             "nested": [[], {}, [[None, True, False]], {"": {"a": []}}]}
    assert json.loads(run(f"return encode(read({quoted(json.dumps(value))}))")) == value
