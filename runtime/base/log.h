/* The process's log: one line a record on a descriptor, usually stderr.
 *
 *   2026-11-22T12:00:00.123Z info  listening url=ws://127.0.0.1:8080 route="GET /"
 *
 * Whatever a peer or a script puts into a record, it stays one line: see log_format. */
#ifndef TIDEWIRE_BASE_LOG_H
#define TIDEWIRE_BASE_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RECORD_MAX 8192 /* bytes of a formatted record; longer ones end in " [cut]" */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
    int fd;
    enum log_level least; /* records below it are dropped */
    bool colour;          /* of the level */
    const char *file;     /* that fd is open on, see log_open; NULL: none */
};

struct log_field {
    const char *name;
    struct slice value;
};

struct log_record {
    enum log_level level;
    struct slice message;
    const struct log_field *fields; /* `count` of them */
    size_t count;
    struct slice detail; /* lines to follow, such as a traceback; may be empty */
};

/* Is fd a terminal that shows colours, and may it (NO_COLOR unset or empty)? */
bool log_may_colour(int fd);

/* From LOG_INFO up; in colour when it may be. */
void log_init(struct log *log, int fd);

/* Writes to the end of a file from now on, made if it is not there, without colour. `path` is
 * borrowed. false: errno tells why, and nothing has changed. */
bool log_open(struct log *log, const char *path);

/* Opens the file anew, under the same descriptor, after the one that was open has been renamed: no
 * record is lost. false: the log goes on in the old one, and says so. Without a file nothing
 * happens. */
bool log_reopen(const struct log *log);

/* "debug", "info", "warn" or "error". false: none of these, *level is as it was. */
bool log_level_parse(struct slice name, enum log_level *level);

/* Writes a record with one write(2), and with the time of day. A log that cannot be written to is
 * no reason to stop: failures are ignored. Leaves errno alone. */
void log_write(const struct log *log, const struct log_record *record);

/* A record that is only a message, made as by printf. */
void log_print(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(log, ...) log_print(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_print(log, LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_print(log, LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_print(log, LOG_ERROR, __VA_ARGS__)

/* What log_write writes; returns its length. `unix_ms` is in milliseconds since 1970.
 *
 * Control characters (C0, DEL, C1, and Unicode's line separators and direction overrides), bytes
 * that are not UTF-8, `"` and `\` are escaped in messages and values (\n, \r, \t, \", \\, \xHH). A
 * value is quoted unless it is of printable ASCII without space, `=`, `"` and `\`. In a name,
 * what is not a letter, digit, "_", "-" or "." becomes "_". The lines of a detail are indented by
 * four spaces, tabs, `"` and `\` in it stay. */
size_t log_format(char out[LOG_RECORD_MAX], const struct log_record *record, uint64_t unix_ms,
                  bool colour);

/* For what may happen very often. Zero-initialised before its first use; one for each kind. */
struct log_limit {
    uint64_t next;            /* ms */
    unsigned refused, missed; /* missed: how many were refused between the last two allowed */
};

/* true: write it; at most once a second. The clock is the caller's and never goes back. */
bool log_allow(struct log_limit *limit, uint64_t now_ms);

#endif
