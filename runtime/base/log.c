#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CUT_MARK " [cut]"
#define DETAIL_INDENT "    "

/* Room that is kept for the end of a record: the quote of an open value, the mark, the newline. */
#define ENDING (sizeof(CUT_MARK) - 1 + 2)

struct out {
    char *data;
    size_t len;
    bool cut; /* something did not fit; nothing is added any more */
};

enum place { IN_LINE, IN_DETAIL };

static const struct {
    const char *name, *padded, *colour;
} levels[] = {
    [LOG_DEBUG] = {"debug", "debug", "\x1b[2m"},
    [LOG_INFO] = {"info", "info ", "\x1b[32m"},
    [LOG_WARN] = {"warn", "warn ", "\x1b[33m"},
    [LOG_ERROR] = {"error", "error", "\x1b[31m"},
};

/* All of it or nothing, so that no escape, character or line's indent is cut in two. */
static void put(struct out *o, const char *bytes, size_t n)
{
    if (o->cut || n > LOG_RECORD_MAX - ENDING - o->len) {
        o->cut = true;
        return;
    }
    memcpy(o->data + o->len, bytes, n);
    o->len += n;
}

static void put_str(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

/* Length of the UTF-8 sequence at the start of n > 0 bytes and its code point; 0: it is none.
 * (The validator of floor 1 is out of reach from here, and finds no borders.) */
static size_t sequence(const unsigned char *p, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *code = c;
    return len;
}

/* What a terminal or a log viewer may take for more than a character. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* The letter behind the backslash; 0: there is none, \xHH it is. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char)c;
    default:
        return 0;
    }
}

static void put_escaped(struct out *o, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char escape[4 * 4];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char letter = short_escape(p[i]);
        escape[len++] = '\\';
        escape[len++] = letter ? letter : 'x';
        if (!letter) {
            escape[len++] = digits[p[i] >> 4];
            escape[len++] = digits[p[i] & 15];
        }
    }
    put(o, escape, len);
}

static void put_text(struct out *o, struct slice text, enum place place)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    for (size_t left = text.len, len; left && !o->cut; p += len, left -= len) {
        uint32_t c = 0;
        len = sequence(p, left, &c);
        if (len == 0)
            len = 1; /* a stray byte; c is still 0, a control */
        if (c == '\n' && place == IN_DETAIL)
            put_str(o, "\n" DETAIL_INDENT);
        else if (c == '\t' && place == IN_DETAIL)
            put(o, "\t", 1);
        else if (is_control(c) || (place == IN_LINE && (c == '"' || c == '\\')))
            put_escaped(o, p, len);
        else
            put(o, (const char *)p, len);
    }
}

static void put_name(struct out *o, const char *name)
{
    if (!*name)
        put(o, "_", 1);
    for (; *name && !o->cut; name++) {
        char lower = ascii_lower(*name);
        bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                     lower == '_' || lower == '-' || lower == '.';
        put(o, plain ? name : "_", 1);
    }
}

static bool needs_quotes(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c > '~' || c == '=' || c == '"' || c == '\\')
            return true;
    }
    return value.len == 0;
}

static void put_field(struct out *o, const struct log_field *field)
{
    bool quoted = needs_quotes(field->value);
    put(o, " ", 1);
    put_name(o, field->name);
    put_str(o, quoted ? "=\"" : "=");
    if (o->cut)
        return;
    put_text(o, field->value, IN_LINE);
    if (quoted)
        o->data[o->len++] = '"'; /* when the value was cut, too: ENDING has room for it */
}

static void put_time(struct out *o, uint64_t unix_ms)
{
    char text[64];
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    put(o, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm));
    put(o, text, (size_t)snprintf(text, sizeof(text), ".%03uZ ", (unsigned)(unix_ms % 1000)));
}

static struct slice without_newlines_at_end(struct slice text)
{
    while (text.len && text.ptr[text.len - 1] == '\n')
        text.len--;
    return text;
}

size_t log_format(char out[LOG_RECORD_MAX], const struct log_record *record, uint64_t unix_ms,
                  bool colour)
{
    struct out o = {.data = out};
    struct slice detail = without_newlines_at_end(record->detail);

    put_time(&o, unix_ms);
    put_str(&o, colour ? levels[record->level].colour : "");
    put_str(&o, levels[record->level].padded);
    put_str(&o, colour ? "\x1b[0m " : " ");
    put_text(&o, record->message, IN_LINE);
    for (size_t i = 0; i < record->count && !o.cut; i++)
        put_field(&o, &record->fields[i]);
    if (detail.len)
        put_str(&o, "\n" DETAIL_INDENT);
    put_text(&o, detail, IN_DETAIL);
    if (o.cut) {
        memcpy(out + o.len, CUT_MARK, sizeof(CUT_MARK) - 1);
        o.len += sizeof(CUT_MARK) - 1;
    }
    out[o.len++] = '\n';
    return o.len;
}

bool log_may_colour(int fd)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return isatty(fd) && !(term && strcmp(term, "dumb") == 0) && !(no && *no);
}

void log_init(struct log *log, int fd)
{
    *log = (struct log){.fd = fd, .least = LOG_INFO, .colour = log_may_colour(fd)};
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

bool log_open(struct log *log, const char *path)
{
    int fd = open_file(path);
    if (fd < 0)
        return false;
    log->fd = fd;
    log->file = path;
    log->colour = false;
    return true;
}

bool log_reopen(const struct log *log)
{
    if (!log->file)
        return true;
    int fd = open_file(log->file);
    bool ok = fd >= 0 && dup3(fd, log->fd, O_CLOEXEC) >= 0;
    if (!ok)
        log_warn(log, "the log goes on in the old file: cannot open %s: %s", log->file,
                 strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
        if (slice_is(name, levels[i].name)) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_write(const struct log *log, const struct log_record *record)
{
    if (record->level < log->least)
        return;
    int error = errno;
    char out[LOG_RECORD_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    size_t len = log_format(out, record, ms, log->colour);
    /* One call, as a rule; what a signal cut short is finished, so that lines stay lines. */
    for (size_t at = 0; at < len;) {
        ssize_t n = write(log->fd, out + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    errno = error;
}

void log_print(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level < log->least)
        return;
    /* As long as a record: if vsnprintf has to cut it, so has log_format, which marks it. */
    char message[LOG_RECORD_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (n >= 0)
        log_write(log, &(struct log_record){.level = level, .message = slice_of(message)});
}

bool log_allow(struct log_limit *limit, uint64_t now_ms)
{
    if (now_ms < limit->next) {
        limit->refused++;
        return false;
    }
    limit->missed = limit->refused;
    limit->refused = 0;
    limit->next = now_ms + 1000;
    return true;
}
