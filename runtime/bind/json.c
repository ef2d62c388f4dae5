/* JSON between Lua values and text: strict UTF-8, 64-bit integers exact. Jansson reads it. */
#include "bind/core.h"
#include "wire/utf8.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY "tidewire.json.array" /* metatable of tables that are arrays also when empty */
#define HOLDER "tidewire.json.value"
#define DEPTH_MAX 128

/* json_null is a light userdata: equal to itself in every generation and every table. */
static const char NULL_VALUE = 0;

/* A json_t that an error of Lua must not leak belongs to a userdata. */
static json_t **holder_new(lua_State *L)
{
    json_t **holder = lua_newuserdatauv(L, sizeof *holder, 0);
    *holder = NULL;
    luaL_setmetatable(L, HOLDER);
    return holder;
}

static int holder_gc(lua_State *L)
{
    json_t **holder = luaL_checkudata(L, 1, HOLDER);
    json_decref(*holder);
    *holder = NULL;
    return 0;
}

/* --- text to Lua ------------------------------------------------------------------------------ */

static void push_value(lua_State *L, json_t *value, int depth);

static void push_array(lua_State *L, json_t *array, int depth)
{
    size_t n = json_array_size(array);
    lua_createtable(L, n < 1 << 16 ? (int)n : 1 << 16, 0);
    for (size_t i = 0; i < n; i++) {
        push_value(L, json_array_get(array, i), depth);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    luaL_setmetatable(L, ARRAY);
}

static void push_object(lua_State *L, json_t *object, int depth)
{
    lua_newtable(L);
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        lua_pushstring(L, json_object_iter_key(i));
        push_value(L, json_object_iter_value(i), depth);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, json_t *value, int depth)
{
    if (depth >= DEPTH_MAX && (json_is_object(value) || json_is_array(value)))
        luaL_error(L, "nested deeper than %d levels", DEPTH_MAX);
    luaL_checkstack(L, 4, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value, depth + 1);
        break;
    case JSON_ARRAY:
        push_array(L, value, depth + 1);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    default:
        lua_pushlightuserdata(L, (void *)&NULL_VALUE);
    }
}

static int push_tree(lua_State *L)
{
    json_t **holder = lua_touserdata(L, 1);
    push_value(L, *holder, 0);
    return 1;
}

/* decode(text): the value; or nil, message, "json" */
int json_decode(lua_State *L)
{
    size_t n;
    json_error_t error;
    const char *text = luaL_checklstring(L, 1, &n);
    if (memchr(text, '\0', n)) { /* Jansson would take one at the very end for the end */
        lua_pushnil(L);
        lua_pushliteral(L, "a NUL byte is no JSON; in a string it is written \\u0000");
        lua_pushliteral(L, "json");
        return 3;
    }
    json_t **holder = holder_new(L);
    /* \u0000 in a string is text like any other; in a name it would cut it short, so Jansson
     * refuses it there */
    *holder =
        json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!*holder) {
        lua_pushnil(L);
        lua_pushfstring(L, "line %d, column %d: %s", error.line, error.column, error.text);
        lua_pushliteral(L, "json");
        return 3;
    }
    lua_pushcfunction(L, push_tree);
    lua_pushvalue(L, -2);
    int status = lua_pcall(L, 1, 1, 0); /* a value too deep is bad text, not misuse */
    json_decref(*holder);
    *holder = NULL;
    if (status == LUA_OK)
        return 1;
    if (status == LUA_ERRMEM)
        return lua_error(L);
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushliteral(L, "json");
    return 3;
}

/* --- Lua to text ------------------------------------------------------------------------------ */

/* Written straight into a buffer: Jansson would need a tree first, and writes 0.1 as
 * 0.10000000000000001. */
struct writer {
    lua_State *L;
    struct buf *out;
    bool pretty, sorted;
    bool telling; /* texts of others, whatever bytes they have: see json_tell */
    int depth;
};

static void encode_value(struct writer *w);

static void add(struct writer *w, const void *bytes, size_t n)
{
    if (!buf_append(w->out, bytes, n))
        luaL_error(w->L, "out of memory");
}

static void add_text(struct writer *w, const char *text)
{
    add(w, text, strlen(text));
}

static void add_line(struct writer *w)
{
    if (!w->pretty)
        return;
    add_text(w, "\n");
    for (int i = 0; i < w->depth; i++)
        add_text(w, "  ");
}

static const char *escape_of(unsigned char c, char room[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(room, 8, "\\u%04x", c);
        return room;
    }
}

/* Bytes of the character that begins here; 0: none does. */
static size_t character_length(const char *s, size_t n)
{
    for (size_t length = 1; length <= 4 && length <= n; length++)
        if (utf8_valid((const unsigned char *)s, length))
            return length;
    return 0;
}

/* The string on top of the stack. */
static void encode_string(struct writer *w)
{
    size_t n, from = 0;
    char room[8];
    const char *s = lua_tolstring(w->L, -1, &n);
    bool valid = utf8_valid((const unsigned char *)s, n);
    if (!valid && !w->telling)
        luaL_error(w->L, "json.encode: a string that is no UTF-8");
    add_text(w, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        size_t length = valid ? 1 : character_length(s + i, n - i);
        if (length > 1 || (length && c >= 0x20 && c != '"' && c != '\\')) {
            i += length - 1;
            continue;
        }
        add(w, s + from, i - from);
        add_text(w, length == 0 || (w->telling && c == 0) ? "?" : escape_of(c, room));
        from = i + 1;
    }
    add(w, s + from, n - from);
    add_text(w, "\"");
}

/* The shortest decimal that reads back as the same number. */
static void encode_float(struct writer *w, double n)
{
    char text[40];
    if (!isfinite(n))
        luaL_error(w->L, "json.encode: %f is no number of JSON", n);
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, n);
        if (strtod(text, NULL) == n)
            break;
    }
    if (!strpbrk(text, ".e"))
        strcat(text, ".0"); /* a float stays one */
    add_text(w, text);
}

static void encode_number(struct writer *w)
{
    char text[24];
    if (!lua_isinteger(w->L, -1)) {
        encode_float(w, lua_tonumber(w->L, -1));
        return;
    }
    snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(w->L, -1));
    add_text(w, text);
}

/* A table is an array when json.array or json.decode made it one, or when its keys are 1 to n and
 * n is above 0. */
static bool is_array(lua_State *L, lua_Integer *n)
{
    bool marked = false;
    if (lua_getmetatable(L, -1)) {
        luaL_getmetatable(L, ARRAY);
        marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    *n = (lua_Integer)lua_rawlen(L, -1);
    if (marked)
        return true;
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (!lua_isinteger(L, -2)) {
            lua_pop(L, 2);
            return false; /* the names are judged one by one */
        }
        count++;
    }
    if (count != *n)
        luaL_error(L, "json.encode: a table whose keys are integers but not 1 to n is neither "
                      "array nor object");
    return count > 0;
}

static void encode_array(struct writer *w, lua_Integer n)
{
    add_text(w, "[");
    w->depth++;
    for (lua_Integer i = 1; i <= n; i++) {
        add_text(w, i > 1 ? "," : "");
        add_line(w);
        lua_rawgeti(w->L, -1, i);
        encode_value(w);
        lua_pop(w->L, 1);
    }
    w->depth--;
    if (n)
        add_line(w);
    add_text(w, "]");
}

static void check_name(struct writer *w, int index)
{
    if (lua_type(w->L, index) != LUA_TSTRING)
        luaL_error(w->L, "json.encode: the names of an object must be strings, got a %s",
                   luaL_typename(w->L, index));
}

/* Name at -2, value at -1; the value is taken. */
static void encode_member(struct writer *w, bool first)
{
    add_text(w, first ? "" : ",");
    add_line(w);
    lua_pushvalue(w->L, -2);
    encode_string(w);
    lua_pop(w->L, 1);
    add_text(w, w->pretty ? ": " : ":");
    encode_value(w);
    lua_pop(w->L, 1);
}

/* The names of the table on top, sorted, in a table above it. */
static lua_Integer push_sorted_names(struct writer *w)
{
    lua_State *L = w->L;
    lua_Integer n = 0;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
        check_name(w, -2);
        lua_pushvalue(L, -2);
        lua_rawseti(L, -4, ++n);
    }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    return n;
}

static void encode_sorted(struct writer *w)
{
    lua_Integer n = push_sorted_names(w);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(w->L, -1, i);
        lua_pushvalue(w->L, -1);
        lua_rawget(w->L, -4);
        encode_member(w, i == 1);
        lua_pop(w->L, 1);
    }
    lua_pop(w->L, 1);
}

static void encode_unsorted(struct writer *w)
{
    bool first = true;
    for (lua_pushnil(w->L); lua_next(w->L, -2); first = false) {
        check_name(w, -2);
        encode_member(w, first);
    }
}

static void encode_object(struct writer *w)
{
    size_t before = w->out->len;
    add_text(w, "{");
    w->depth++;
    if (w->sorted)
        encode_sorted(w);
    else
        encode_unsorted(w);
    w->depth--;
    if (w->out->len > before + 1)
        add_line(w);
    add_text(w, "}");
}

static void encode_table(struct writer *w)
{
    lua_Integer n;
    if (w->depth >= DEPTH_MAX)
        luaL_error(w->L, "json.encode: nested deeper than %d levels, or a table inside itself",
                   DEPTH_MAX);
    luaL_checkstack(w->L, 12, "JSON");
    if (is_array(w->L, &n))
        encode_array(w, n);
    else
        encode_object(w);
}

/* The value on top of the stack, which stays. */
static void encode_value(struct writer *w)
{
    lua_State *L = w->L;
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING)
        encode_string(w);
    else if (type == LUA_TNUMBER)
        encode_number(w);
    else if (type == LUA_TTABLE)
        encode_table(w);
    else if (type == LUA_TBOOLEAN)
        add_text(w, lua_toboolean(L, -1) ? "true" : "false");
    else if (type == LUA_TNIL || lua_touserdata(L, -1) == (void *)&NULL_VALUE)
        add_text(w, "null");
    else
        luaL_error(L, "json.encode: a %s has no form in JSON", luaL_typename(L, -1));
}

static void check_options(struct writer *w, int arg)
{
    lua_State *L = w->L;
    if (lua_isnoneornil(L, arg))
        return;
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "pretty") == 0)
            w->pretty = lua_toboolean(L, -1);
        else if (strcmp(name, "sorted") == 0)
            w->sorted = lua_toboolean(L, -1);
        else
            luaL_argerror(L, arg, "unknown option; known are pretty and sorted");
    }
}

static int encode(struct writer *w)
{
    lua_State *L = w->L;
    w->out = vm_push_buffer(L);
    lua_pushvalue(L, 1);
    encode_value(w);
    lua_pop(L, 1);
    vm_buffer_to_string(L);
    return 1;
}

/* encode(value [, { pretty = true, sorted = true }]): the text; throws what has no form in JSON */
int json_encode(lua_State *L)
{
    struct writer w = {.L = L};
    luaL_checkany(L, 1);
    check_options(&w, 2);
    return encode(&w);
}

/* What a process of ours tells another one holds messages and paths of the app's, and arrives
 * whatever is in them: what is no UTF-8, and NUL (which Jansson does not read), is "?". */
int json_tell(lua_State *L)
{
    struct writer w = {.L = L, .telling = true};
    luaL_checkany(L, 1);
    return encode(&w);
}

/* ---------------------------------------------------------------------------------------------- */

/* array([t]): marks t, or a new table, as an array */
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_setmetatable(L, ARRAY);
    return 1;
}

void json_open(lua_State *L)
{
    luaL_newmetatable(L, HOLDER);
    lua_pushcfunction(L, holder_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, ARRAY);
    lua_pop(L, 2);
    lua_pushlightuserdata(L, (void *)&NULL_VALUE);
    lua_setfield(L, -2, "json_null");
    lua_pushcfunction(L, l_array);
    lua_setfield(L, -2, "json_array");
}
