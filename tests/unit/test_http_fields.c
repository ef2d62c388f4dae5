/* wire/http: fields of a parsed head, lists in them, and what is written. */
#include "support.h"
#include "wire/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

/* RFC 9110 section 5.6.2, written down a second time. */
static bool is_token_byte(unsigned char c)
{
    return c && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                 (c >= 'a' && c <= 'z'));
}

static bool is_value_byte(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

static struct http_head parsed(const char *text)
{
    struct http_head head;
    assert_int_equal(http_parse_request(text, strlen(text), HTTP_HEADERS_MAX, &head), 0);
    return head;
}

static void finds_fields(void **state)
{
    (void)state;
    struct http_head head = parsed(HEAD "A: 1\r\nB: 2\r\na: 3\r\n\r\n");
    assert_true(slice_is(http_find(&head, "a")->value, "1"));
    assert_true(slice_is(http_find(&head, "B")->value, "2"));
    assert_null(http_find(&head, "AB"));
    assert_null(http_find(&head, ""));
    assert_int_equal(http_count(&head, "A"), 2);
    assert_int_equal(http_count(&head, "b"), 1);
    assert_int_equal(http_count(&head, "c"), 0);
}

static void reads_content_length(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int result;
        uint64_t length;
    } cases[] = {
        {"", 0, 0},
        {"Content-Length: 0\r\n", 0, 0},
        {"content-length:  42 \r\n", 0, 42},
        {"Content-Length: 007\r\n", 0, 7},
        {"Content-Length: 18446744073709551615\r\n", 0, UINT64_MAX},
        {"Content-Length: 18446744073709551616\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 18446744073709551620\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 99999999999999999999999\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length:\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: +5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: -5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5 5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5, 5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 0x5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5.0\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: \xD9\xA5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5\r\nCONTENT-LENGTH: 6\r\n", HTTP_ERR_LENGTH, 0},
        {"Transfer-Encoding: chunked\r\n", HTTP_ERR_ENCODING, 0},
        {"Transfer-Encoding: identity\r\n", HTTP_ERR_ENCODING, 0},
        {"Transfer-Encoding:\r\n", HTTP_ERR_ENCODING, 0},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", HTTP_ERR_LENGTH, 0},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HTTP_ERR_LENGTH, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        uint64_t length = 99;
        snprintf(text, sizeof text, HEAD "%s\r\n", cases[i].fields);
        struct http_head head = parsed(text);
        if (http_body_length(&head, &length) != cases[i].result || length != cases[i].length)
            fail_msg("%s: %llu", cases[i].fields, (unsigned long long)length);
    }
}

static void knows_the_length_of_a_response(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int result;
        uint64_t length;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n", 0, HTTP_UNTIL_CLOSE},
        {"HTTP/1.0 502 x\r\nConnection: close\r\n", 0, HTTP_UNTIL_CLOSE},
        {"HTTP/1.1 403 x\r\nContent-Length: 0\r\n", 0, 0},
        {"HTTP/1.1 403 x\r\nContent-Length: 9\r\n", 0, 9},
        {"HTTP/1.1 403 x\r\nContent-Length: 9\r\nContent-Length: 9\r\n", HTTP_ERR_LENGTH, 0},
        {"HTTP/1.1 403 x\r\nContent-Length: -9\r\n", HTTP_ERR_LENGTH, 0},
        {"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n", HTTP_ERR_ENCODING, 0},
        {"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n", HTTP_ERR_LENGTH,
         0},
        /* these have none, whatever they say */
        {"HTTP/1.1 100 x\r\nContent-Length: 9\r\n", 0, 0},
        {"HTTP/1.1 199 x\r\nTransfer-Encoding: chunked\r\n", 0, 0},
        {"HTTP/1.1 204 x\r\nContent-Length: 9\r\n", 0, 0},
        {"HTTP/1.1 304 x\r\nContent-Length: 9\r\n", 0, 0},
        {"HTTP/1.1 205 x\r\nContent-Length: 9\r\n", 0, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        uint64_t length = 99;
        struct http_head head;
        int n = snprintf(text, sizeof text, "%s\r\n", cases[i].head);
        assert_int_equal(http_parse_response(text, (size_t)n, HTTP_HEADERS_MAX, &head), 0);
        if (http_response_length(&head, &length) != cases[i].result || length != cases[i].length)
            fail_msg("%s: %llu", cases[i].head, (unsigned long long)length);
    }
}

static void knows_interim_responses(void **state)
{
    (void)state;
    for (unsigned status = 100; status <= 999; status++) {
        struct http_head head = {.status = status};
        assert_int_equal(http_is_interim(&head), status < 200 && status != 101);
    }
}

static void check_list(struct feed *f, void *context)
{
    const char *expected = context;
    unsigned char *bytes = NULL;
    size_t n = 0;
    char joined[256] = "";
    /* lists do not stream: shorter ones only have to do no harm */
    while (feed_next_prefix(f, &bytes, &n)) {
        struct slice rest = {(const char *)bytes, n}, element;
        joined[0] = '\0';
        while (http_list_next(&rest, &element))
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "<%.*s>",
                     SLICE_ARG(element));
        assert_int_equal(rest.len, 0);
    }
    assert_string_equal(joined, expected);
}

static void walks_lists(void **state)
{
    (void)state;
    static const char *cases[][2] = {
        {"", ""},
        {"a", "<a>"},
        {"a,b", "<a><b>"},
        {" a\t,\t b , c d ", "<a><b><c d>"},
        {",,a,, ,b,", "<a><b>"},
        {",", ""},
        {" \t ", ""},
        {"\"a,b\",c", "<\"a,b\"><c>"},
        {"p; q=\"x,\\\"y,\\\\\", z", "<p; q=\"x,\\\"y,\\\\\"><z>"},
        {"\"a,b", "<\"a,b>"},
        {"\"a\\", "<\"a\\>"},
        {"a\\,b", "<a\\><b>"},
        {"\x80,\xFF", "<\x80><\xFF>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "%s", cases[i][1]);
        feed_every_way(cases[i][0], strlen(cases[i][0]), check_list, expected);
    }
}

static void finds_tokens_in_lists(void **state)
{
    (void)state;
    struct http_head head = parsed(HEAD "Connection: keep-alive, upGRADE\r\n"
                                        "Upgrade: h2c\r\nUpgrade: x, WebSocket\r\n"
                                        "A: \"b, c\", websocket/13\r\n\r\n");
    assert_true(http_has_token(&head, "connection", "Upgrade"));
    assert_true(http_has_token(&head, "Connection", "keep-alive"));
    assert_true(http_has_token(&head, "Upgrade", "websocket"));
    assert_false(http_has_token(&head, "Connection", "keep"));
    assert_false(http_has_token(&head, "Connection", "alive"));
    assert_false(http_has_token(&head, "Upgrade", "h2"));
    assert_false(http_has_token(&head, "A", "c"));
    assert_false(http_has_token(&head, "A", "websocket"));
    assert_false(http_has_token(&head, "B", "c"));
}

static void tells_tokens_and_values(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        struct slice s = {text, 3};
        assert_int_equal(http_is_token(s), is_token_byte((unsigned char)c));
        assert_int_equal(http_is_field_value(s), is_value_byte((unsigned char)c));
    }
    assert_false(http_is_token(slice_of("")));
    assert_true(http_is_field_value(slice_of("")));
}

static void writes_lines(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_true(http_write_status(&out, 404));
    assert_true(http_write_status(&out, 299));
    assert_true(http_write_header(&out, "A", slice_of("b c")));
    assert_true(http_write_header(&out, "Empty", slice_of("")));
    assert_true(
        slice_is((struct slice){(char *)out.data, out.len},
                 "HTTP/1.1 404 Not Found\r\nHTTP/1.1 299 Unknown\r\nA: b c\r\nEmpty: \r\n"));
    buf_free(&out);
}

/* CR, LF or NUL from a script: no setter lets them through. */
static void writes_no_forged_lines(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct slice value;
    } cases[] = {
        {"A", {"b\r\nSet-Cookie: c", 16}},
        {"A", {"b\nc", 3}},
        {"A", {"b\rc", 3}},
        {"A", {"b\0c", 3}},
        {"A", {"\x7F", 1}},
        {"A\r\nB", {"c", 1}},
        {"A B", {"c", 1}},
        {"A:", {"c", 1}},
        {"", {"c", 1}},
        {"\xC3\xA9", {"c", 1}},
    };
    struct buf out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(http_write_header(&out, cases[i].name, cases[i].value));
        assert_int_equal(out.len, 0);
    }
    buf_free(&out);
}

static void writes_nothing_when_memory_is_short(void **state)
{
    (void)state;
    struct buf out = {0};
    allocations_fail_after(0);
    assert_false(http_write_status(&out, 200));
    assert_false(http_write_header(&out, "A", slice_of("b")));
    allocations_succeed();
    assert_int_equal(out.len, 0);
    assert_true(http_write_header(&out, "A", slice_of("b")));
    buf_free(&out);
}

static void has_words_for_statuses_and_errors(void **state)
{
    (void)state;
    static const struct {
        int error;
        unsigned status;
    } cases[] = {
        {HTTP_ERR_LINE, 400},     {HTTP_ERR_NEWLINE, 400}, {HTTP_ERR_HEADER, 400},
        {HTTP_ERR_HEADERS, 431},  {HTTP_ERR_VERSION, 505}, {HTTP_ERR_LENGTH, 400},
        {HTTP_ERR_ENCODING, 501}, {HTTP_ERR_HOST, 400},    {0, 400},
    };
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(http_error_status(cases[i].error), cases[i].status);
        assert_string_not_equal(http_status_text(cases[i].status), "Unknown");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(http_error_text(cases[i].error),
                                    http_error_text(cases[j].error));
    }
    assert_string_equal(http_status_text(101), "Switching Protocols");
    assert_string_equal(http_status_text(426), "Upgrade Required");
    assert_string_equal(http_status_text(0), "Unknown");
    assert_string_equal(http_status_text(600), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_fields),
        cmocka_unit_test(reads_content_length),
        cmocka_unit_test(knows_the_length_of_a_response),
        cmocka_unit_test(knows_interim_responses),
        cmocka_unit_test(walks_lists),
        cmocka_unit_test(finds_tokens_in_lists),
        cmocka_unit_test(tells_tokens_and_values),
        cmocka_unit_test(writes_lines),
        cmocka_unit_test(writes_no_forged_lines),
        cmocka_unit_test(writes_nothing_when_memory_is_short),
        cmocka_unit_test(has_words_for_statuses_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
