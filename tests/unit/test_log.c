/* Log records: their exact bytes, what cannot be forged, cutting, and what reaches the descriptor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOON 1795348800123 /* 2026-11-22T12:00:00.123Z */
#define STAMP "2026-11-22T12:00:00.123Z "
#define SLICE(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void formats_in(const struct log_record *record, bool colour, const char *expected)
{
    char out[LOG_RECORD_MAX + 1];
    size_t len = log_format(out, record, NOON, colour);
    assert_true(len <= LOG_RECORD_MAX);
    out[len] = '\0';
    assert_string_equal(out, expected);
    assert_int_equal(len, strlen(expected)); /* no NUL inside */
}

static void formats(const struct log_record *record, const char *expected)
{
    formats_in(record, false, expected);
}

static void message_gives(struct slice message, const char *expected)
{
    char line[512];
    snprintf(line, sizeof(line), STAMP "info  %s\n", expected);
    formats(&(struct log_record){.level = LOG_INFO, .message = message}, line);
}

static void value_gives(struct slice value, const char *expected)
{
    char line[512];
    struct log_field field = {"key", value};
    snprintf(line, sizeof(line), STAMP "info  m key=%s\n", expected);
    formats(
        &(struct log_record){
            .level = LOG_INFO, .message = SLICE("m"), .fields = &field, .count = 1},
        line);
}

static void name_gives(const char *name, const char *expected)
{
    char line[512];
    struct log_field field = {name, SLICE("1")};
    snprintf(line, sizeof(line), STAMP "info  m %s=1\n", expected);
    formats(
        &(struct log_record){
            .level = LOG_INFO, .message = SLICE("m"), .fields = &field, .count = 1},
        line);
}

static void detail_gives(struct slice detail, const char *expected)
{
    char text[512];
    snprintf(text, sizeof(text), STAMP "info  m\n%s", expected);
    formats(&(struct log_record){.level = LOG_INFO, .message = SLICE("m"), .detail = detail}, text);
}

#define MESSAGE(text, expected) message_gives((struct slice)SLICE(text), expected)
#define VALUE(text, expected) value_gives((struct slice)SLICE(text), expected)
#define DETAIL(text, expected) detail_gives((struct slice)SLICE(text), expected)

static void a_record_is_a_line(void **state)
{
    struct log_field fields[] = {{"url", SLICE("ws://127.0.0.1:8080")}, {"note", SLICE("a b")}};
    (void)state;
    formats(
        &(struct log_record){
            .level = LOG_INFO, .message = SLICE("listening now"), .fields = fields, .count = 2},
        STAMP "info  listening now url=ws://127.0.0.1:8080 note=\"a b\"\n");
}

static void levels_line_up(void **state)
{
    (void)state;
    formats(&(struct log_record){.level = LOG_DEBUG, .message = SLICE("m")}, STAMP "debug m\n");
    formats(&(struct log_record){.level = LOG_INFO, .message = SLICE("m")}, STAMP "info  m\n");
    formats(&(struct log_record){.level = LOG_WARN, .message = SLICE("m")}, STAMP "warn  m\n");
    formats(&(struct log_record){.level = LOG_ERROR, .message = SLICE("m")}, STAMP "error m\n");
}

static void colour_is_of_the_level_alone(void **state)
{
    (void)state;
    formats_in(&(struct log_record){.level = LOG_INFO, .message = SLICE("m")}, true,
               STAMP "\x1b[32minfo \x1b[0m m\n");
    formats_in(&(struct log_record){.level = LOG_ERROR, .message = SLICE("m")}, true,
               STAMP "\x1b[31merror\x1b[0m m\n");
}

static void times(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.999Z"},
        {951782399007, "2000-02-28T23:59:59.007Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {NOON, "2026-11-22T12:00:00.123Z"},
        {4294967296000, "2106-02-07T06:28:16.000Z"},
    };
    char out[LOG_RECORD_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        log_format(out, &(struct log_record){.message = SLICE("m")}, cases[i].ms, false);
        assert_memory_equal(out, cases[i].text, strlen(cases[i].text));
        assert_int_equal(out[24], ' ');
    }
    log_format(out, &(struct log_record){.message = SLICE("m")}, UINT64_MAX, false);
}

static void messages_stay_in_their_line(void **state)
{
    (void)state;
    MESSAGE("", "");
    MESSAGE("a b=c", "a b=c");
    MESSAGE("a\nb", "a\\nb");
    MESSAGE("a\r\nb\tc", "a\\r\\nb\\tc");
    MESSAGE("say \"hi\"", "say \\\"hi\\\"");
    MESSAGE("C:\\new", "C:\\\\new");
    MESSAGE("a\0b", "a\\x00b");
    MESSAGE("\x1b[2J\a\x7f", "\\x1b[2J\\x07\\x7f");
    MESSAGE("\n" STAMP "info  forged", "\\n" STAMP "info  forged");
}

static void every_ascii_character(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 128; c++) {
        char text = (char)c, expected[8];
        if (c == '\n' || c == '\r' || c == '\t')
            snprintf(expected, sizeof(expected), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x20 || c == 0x7f)
            snprintf(expected, sizeof(expected), "\\x%02x", c);
        else if (c == '"' || c == '\\')
            snprintf(expected, sizeof(expected), "\\%c", (int)c);
        else
            snprintf(expected, sizeof(expected), "%c", (int)c);
        message_gives((struct slice){&text, 1}, expected);
    }
}

static void text_in_utf8_stays(void **state)
{
    (void)state;
    MESSAGE("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8a", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac "
                                                                "\xf0\x9f\x8c\x8a");
    MESSAGE("\xc2\xa0\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
            "\xc2\xa0\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
    MESSAGE("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
            "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa"); /* beside those below */
}

static void controls_of_unicode_are_escaped(void **state)
{
    (void)state;
    MESSAGE("\xc2\x80", "\\xc2\\x80");
    MESSAGE("\xc2\x85", "\\xc2\\x85"); /* next line */
    MESSAGE("\xc2\x9b"
            "31m",
            "\\xc2\\x9b31m"); /* control sequence introducer */
    MESSAGE("\xc2\x9f", "\\xc2\\x9f");
    MESSAGE("\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"); /* separators */
    MESSAGE("\xe2\x80\xae", "\\xe2\\x80\\xae");                            /* right to left */
    MESSAGE("\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9");
}

static void bytes_that_are_not_utf8_are_escaped(void **state)
{
    (void)state;
    MESSAGE("\x80 \xbf \xff \xfe", "\\x80 \\xbf \\xff \\xfe");
    MESSAGE("\xc0\x8a", "\\xc0\\x8a"); /* an overlong newline */
    MESSAGE("\xe0\x80\x8a \xf0\x80\x80\x8a", "\\xe0\\x80\\x8a \\xf0\\x80\\x80\\x8a");
    MESSAGE("\xc1\xbf \xe0\x9f\xbf \xf0\x8f\xbf\xbf",
            "\\xc1\\xbf \\xe0\\x9f\\xbf \\xf0\\x8f\\xbf\\xbf"); /* the longest overlong */
    MESSAGE("\xed\xa0\x80", "\\xed\\xa0\\x80");                 /* a surrogate */
    MESSAGE("\xf4\x90\x80\x80 \xf8\x88\x80\x80\x80",
            "\\xf4\\x90\\x80\\x80 \\xf8\\x88\\x80\\x80\\x80");
    MESSAGE("\xe2\x82", "\\xe2\\x82"); /* cut short */
    MESSAGE("\xe2\x82z", "\\xe2\\x82z");
    MESSAGE("\xe2\xc3\xbc", "\\xe2\xc3\xbc");
}

static void values_are_quoted_when_needed(void **state)
{
    (void)state;
    VALUE("plain", "plain");
    VALUE("ws://[::1]:80/a?b&c'!~", "ws://[::1]:80/a?b&c'!~");
    VALUE("", "\"\"");
    VALUE("a b", "\"a b\"");
    VALUE("a=b", "\"a=b\"");
    VALUE("a\"b", "\"a\\\"b\"");
    VALUE("a\\b", "\"a\\\\b\"");
    VALUE("a\nb", "\"a\\nb\"");
    VALUE("\x7f", "\"\\x7f\"");
    VALUE("\xc3\xbc", "\"\xc3\xbc\"");
    VALUE("\xff", "\"\\xff\"");
    VALUE("1\" admin=\"1", "\"1\\\" admin=\\\"1\"");
}

static void names_are_made_plain(void **state)
{
    (void)state;
    name_gives("remote_address.v6-2", "remote_address.v6-2");
    name_gives("AZaz09", "AZaz09");
    name_gives("a b=\"c\"\n", "a_b__c__");
    name_gives("\xc3\xbc", "__");
    name_gives("", "_");
}

static void details_are_indented(void **state)
{
    (void)state;
    DETAIL("", "");
    DETAIL("one", "    one\n");
    DETAIL("one\n", "    one\n");
    DETAIL("one\n\ttwo \"q\" \\\n\nthree\n\n", "    one\n    \ttwo \"q\" \\\n    \n    three\n");
    DETAIL("a\r\nb\x1b[m\0", "    a\\r\n    b\\x1b[m\\x00\n");
    DETAIL("a\n" STAMP "info  forged", "    a\n    " STAMP "info  forged\n");
    DETAIL("\xc0\x8a\xc0\x89\xe2\x80\xa8", "    \\xc0\\x8a\\xc0\\x89\\xe2\\x80\\xa8\n");
}

static void reads_only_what_it_was_given(void **state)
{
    static const char text[] = "caf\xc3\xa9 \xf0\x9f\x8c\x8a";
    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        char out[LOG_RECORD_MAX];
        const char *copy = (char *)guard_copy(text, n);
        struct slice slice = {copy, n};
        struct log_field field = {"f", slice};
        log_format(
            out,
            &(struct log_record){.message = slice, .fields = &field, .count = 1, .detail = slice},
            NOON, false);
        guard_free((unsigned char *)copy, n);
    }
}

static char long_text[3 * LOG_RECORD_MAX];

static struct slice filled(const char *unit, size_t n)
{
    size_t len = strlen(unit);
    for (size_t i = 0; i < n; i++)
        long_text[i] = unit[i % len];
    return (struct slice){long_text, n};
}

/* At most LOG_RECORD_MAX bytes, near to that, ending as told. */
static void is_cut(const struct log_record *record, const char *end)
{
    char *out = (char *)guard_copy(long_text, LOG_RECORD_MAX);
    size_t len = log_format(out, record, NOON, false), n = strlen(end);
    assert_true(len <= LOG_RECORD_MAX);
    assert_true(len > LOG_RECORD_MAX - 32);
    assert_memory_equal(out + len - n, end, n);
    guard_free((unsigned char *)out, LOG_RECORD_MAX);
}

static void long_records_are_cut_with_a_mark(void **state)
{
    struct log_field fields[] = {{"f", SLICE("")}, {"g", SLICE("never seen")}};
    struct log_record record = {.message = filled("x", 2 * LOG_RECORD_MAX), .fields = fields};
    (void)state;
    is_cut(&record, "x [cut]\n");
    record.count = 2;
    is_cut(&record, "x [cut]\n");

    record.message = slice_of("m");
    fields[0].value = filled("x", 2 * LOG_RECORD_MAX);
    is_cut(&record, "x [cut]\n");
    fields[0].value = filled("x y ", 2 * LOG_RECORD_MAX);
    for (size_t i = 0; i < 4; i++) { /* the quote is closed wherever it is cut */
        is_cut(&record, "\" [cut]\n");
        record.message.ptr = "mmmm";
        record.message.len++;
    }

    fields[0].value = slice_of("");
    fields[0].name = filled("n", 2 * LOG_RECORD_MAX).ptr;
    is_cut(&record, "n [cut]\n");

    record.count = 0;
    record.detail = filled("line\n", 2 * LOG_RECORD_MAX);
    is_cut(&record, " [cut]\n");
}

/* Whatever the offset, no escape, character or indent is torn. */
static void cuts_between_characters(void **state)
{
    static const char *const units[] = {"\x01", "\xf0\x9f\x8c\x8a", "\xe2\x80\xa8", "\n"};
    static const char *const ends[] = {"\\x01 [cut]\n", "\xf0\x9f\x8c\x8a [cut]\n",
                                       "\\xe2\\x80\\xa8 [cut]\n", "\\n [cut]\n"};
    (void)state;
    for (size_t unit = 0; unit < 4; unit++) {
        for (size_t offset = 0; offset < 16; offset++) {
            size_t len = strlen(units[unit]);
            struct slice text = filled("x", offset);
            for (size_t i = 0; i < 2 * LOG_RECORD_MAX / len * len; i++)
                long_text[text.len++] = units[unit][i % len];
            /* nor is there anything else in what room is left */
            is_cut(&(struct log_record){.message = text, .detail = SLICE("d")}, ends[unit]);
        }
    }
    for (size_t offset = 0; offset < 8; offset++) {
        struct slice text = filled("x", offset);
        for (size_t i = 0; i < 2 * LOG_RECORD_MAX; i++)
            long_text[text.len++] = '\n';
        long_text[text.len++] = 'x';
        is_cut(&(struct log_record){.message = SLICE("m"), .detail = text}, "\n     [cut]\n");
    }
}

/* What fits to the last byte has no mark; one byte more has. Any length keeps the limit. */
static void cuts_only_what_is_too_long(void **state)
{
    char out[LOG_RECORD_MAX];
    size_t longest = 0, others = strlen(STAMP "debug \n");
    (void)state;
    for (size_t n = LOG_RECORD_MAX - 100; n < LOG_RECORD_MAX + 100; n++) {
        struct log_record record = {.message = filled("x", n)};
        size_t len = log_format(out, &record, NOON, false);
        assert_true(len <= LOG_RECORD_MAX);
        if (len == n + others && out[len - 2] == 'x')
            longest = n;
        else
            assert_memory_equal(out + len - 7, " [cut]\n", 7);
    }
    assert_in_range(longest + others, LOG_RECORD_MAX - 8, LOG_RECORD_MAX);
}

/* Datagrams keep the borders of writes: one read gives what one write(2) wrote. */
static size_t one_write(int fd, char *out)
{
    ssize_t n = recv(fd, out, LOG_RECORD_MAX, MSG_DONTWAIT);
    assert_true(n > 0);
    out[n] = '\0';
    return (size_t)n;
}

static void no_more_writes(int fd)
{
    char byte;
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void a_record_is_one_write(void **state)
{
    int fds[2];
    struct log log;
    char out[LOG_RECORD_MAX + 1];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    log_init(&log, fds[0]);
    assert_int_equal(log.fd, fds[0]);
    assert_int_equal(log.least, LOG_INFO);
    assert_false(log.colour);

    struct log_field field = {"k", SLICE("v")};
    log_write(&log, &(struct log_record){.level = LOG_WARN,
                                         .message = SLICE("m"),
                                         .fields = &field,
                                         .count = 1,
                                         .detail = SLICE("a\nb")});
    size_t len = one_write(fds[1], out);
    assert_int_equal(len, strlen(STAMP "warn  m k=v\n    a\n    b\n"));
    assert_string_equal(out + strlen(STAMP), "warn  m k=v\n    a\n    b\n");
    log_write(&log,
              &(struct log_record){.level = LOG_WARN, .message = filled("x", 2 * LOG_RECORD_MAX)});
    assert_true(one_write(fds[1], out) > LOG_RECORD_MAX - 32);
    no_more_writes(fds[1]);
    log.colour = true;
    log_info(&log, "m");
    one_write(fds[1], out);
    assert_string_equal(out + strlen(STAMP), "\x1b[32minfo \x1b[0m m\n");
    close(fds[0]);
    close(fds[1]);
}

static void the_time_is_that_of_the_clock(void **state)
{
    int fds[2];
    char out[LOG_RECORD_MAX + 1], before[LOG_RECORD_MAX], after[LOG_RECORD_MAX];
    struct timespec now;
    struct log_record record = {.message = SLICE("m")};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    struct log log = {.fd = fds[0]};
    clock_gettime(CLOCK_REALTIME, &now);
    log_format(before, &record, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
               false);
    log_write(&log, &record);
    clock_gettime(CLOCK_REALTIME, &now);
    log_format(after, &record, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
               false);
    one_write(fds[1], out);
    assert_true(memcmp(before, out, strlen(STAMP)) <= 0);
    assert_true(memcmp(out, after, strlen(STAMP)) <= 0);
    close(fds[0]);
    close(fds[1]);
}

static void lower_levels_are_dropped(void **state)
{
    int fds[2];
    char out[LOG_RECORD_MAX + 1];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    struct log log = {.fd = fds[0], .least = LOG_WARN};
    log_debug(&log, "no");
    log_info(&log, "no");
    log_write(&log, &(struct log_record){.level = LOG_INFO, .message = SLICE("no")});
    no_more_writes(fds[1]);
    log_warn(&log, "%d of %s\n", 3, "four");
    one_write(fds[1], out);
    assert_string_equal(out + strlen(STAMP), "warn  3 of four\\n\n");
    log_error(&log, "e");
    one_write(fds[1], out);
    assert_string_equal(out + strlen(STAMP), "error e\n");
    log.least = LOG_DEBUG;
    log_debug(&log, "d");
    one_write(fds[1], out);
    assert_string_equal(out + strlen(STAMP), "debug d\n");
    log_info(&log, "%s", filled("x", sizeof(long_text) - 1).ptr);
    assert_memory_equal(out + one_write(fds[1], out) - 8, "x [cut]\n", 8);
    close(fds[0]);
    close(fds[1]);
}

static void a_dead_log_is_no_failure(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
    struct log log = {.fd = fds[0]};
    errno = ERANGE;
    for (int i = 0; i < 1000; i++) /* until the socket is full, and then some */
        log_info(&log, "%s", filled("x", LOG_RECORD_MAX / 2).ptr);
    assert_int_equal(errno, ERANGE);
    log.fd = -1;
    log_info(&log, "m");
    assert_int_equal(errno, ERANGE);
    close(fds[0]);
    close(fds[1]);
}

/* The messages of a file's records, each with a space behind it. */
static void file_has(const char *path, const char *expected)
{
    char line[256], found[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        assert_true(strlen(line) > sizeof(STAMP "info  ") - 1);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s ",
                 line + sizeof(STAMP "info  ") - 1);
    }
    fclose(file);
    assert_string_equal(found, expected);
}

static void a_file_is_appended_to_and_opened_anew(void **state)
{
    char folder[] = "/tmp/test_log.XXXXXX", path[64], old[64];
    struct log log = {.fd = -1, .least = LOG_INFO, .colour = true};
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(old, sizeof old, "%s/old", folder);
    assert_true(log_reopen(&log)); /* there is none */
    assert_false(log_open(&log, folder));
    assert_int_equal(errno, EISDIR);
    assert_int_equal(log.fd, -1);
    assert_true(log_open(&log, path));
    struct log again;
    log_init(&again, -1);
    assert_true(log_open(&again, path));
    assert_int_equal(fcntl(log.fd, F_GETFD), FD_CLOEXEC);
    log_info(&log, "a");
    log_info(&again, "b");
    assert_int_equal(rename(path, old), 0);
    log_info(&log, "c");
    int fd = log.fd;
    assert_true(log_reopen(&log));
    assert_int_equal(log.fd, fd);
    assert_int_equal(fcntl(log.fd, F_GETFD), FD_CLOEXEC);
    log_info(&log, "d");
    log_info(&again, "e");
    file_has(old, "a b c e ");
    file_has(path, "d ");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(log_reopen(&again)); /* and says so, in the old one */
    char expected[256];
    snprintf(expected, sizeof expected,
             "a b c e the log goes on in the old file: cannot open %s: Is a directory ", path);
    file_has(old, expected);
    close(log.fd);
    close(again.fd);
    unlink(old);
    rmdir(path);
    rmdir(folder);
}

static void colour_only_on_a_terminal(void **state)
{
    struct log log;
    int fds[2], terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    (void)state;
    assert_true(terminal >= 0);
    assert_int_equal(pipe(fds), 0);
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    log_init(&log, terminal);
    assert_true(log.colour);
    log_init(&log, fds[1]);
    assert_false(log.colour);
    setenv("NO_COLOR", "1", 1);
    log_init(&log, terminal);
    assert_false(log.colour);
    setenv("NO_COLOR", "", 1);
    log_init(&log, terminal);
    assert_true(log.colour);
    setenv("TERM", "dumb", 1);
    log_init(&log, terminal);
    assert_false(log.colour);
    close(terminal);
    close(fds[0]);
    close(fds[1]);
}

static void level_names(void **state)
{
    enum log_level level = LOG_WARN;
    (void)state;
    assert_false(log_level_parse(slice_of("INFO"), &level));
    assert_false(log_level_parse(slice_of("info "), &level));
    assert_false(log_level_parse(slice_of(""), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse(slice_of("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse(slice_of("info"), &level));
    assert_int_equal(level, LOG_INFO);
    assert_true(log_level_parse(slice_of("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse(slice_of("error"), &level));
    assert_int_equal(level, LOG_ERROR);
}

static void one_a_second_is_allowed(void **state)
{
    struct log_limit limit = {0};
    (void)state;
    assert_true(log_allow(&limit, 5));
    assert_int_equal(limit.missed, 0);
    for (uint64_t ms = 5; ms < 1005; ms += 10)
        assert_false(log_allow(&limit, ms));
    assert_false(log_allow(&limit, 1004));
    assert_true(log_allow(&limit, 1005));
    assert_int_equal(limit.missed, 101);
    assert_false(log_allow(&limit, 2004));
    assert_int_equal(limit.missed, 101); /* for whoever writes that line */
    assert_true(log_allow(&limit, 90000));
    assert_int_equal(limit.missed, 1);
    assert_true(log_allow(&limit, 91000));
    assert_int_equal(limit.missed, 0);
    assert_true(log_allow(&(struct log_limit){0}, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_a_line),
        cmocka_unit_test(levels_line_up),
        cmocka_unit_test(colour_is_of_the_level_alone),
        cmocka_unit_test(times),
        cmocka_unit_test(messages_stay_in_their_line),
        cmocka_unit_test(every_ascii_character),
        cmocka_unit_test(text_in_utf8_stays),
        cmocka_unit_test(controls_of_unicode_are_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_are_escaped),
        cmocka_unit_test(values_are_quoted_when_needed),
        cmocka_unit_test(names_are_made_plain),
        cmocka_unit_test(details_are_indented),
        cmocka_unit_test(reads_only_what_it_was_given),
        cmocka_unit_test(long_records_are_cut_with_a_mark),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(cuts_only_what_is_too_long),
        cmocka_unit_test(a_record_is_one_write),
        cmocka_unit_test(the_time_is_that_of_the_clock),
        cmocka_unit_test(lower_levels_are_dropped),
        cmocka_unit_test(a_dead_log_is_no_failure),
        cmocka_unit_test(a_file_is_appended_to_and_opened_anew),
        cmocka_unit_test(colour_only_on_a_terminal),
        cmocka_unit_test(level_names),
        cmocka_unit_test(one_a_second_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
