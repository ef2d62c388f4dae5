/* What happens in a session, written down as text to be compared: "text(Hello) ping() ". */
#ifndef TIDEWIRE_TESTS_UNIT_SESSION_LOG_H
#define TIDEWIRE_TESTS_UNIT_SESSION_LOG_H

/* cmocka.h and what it asks for come before this header */
#include "support.h"
#include "wire/session.h"

#include <stdio.h>
#include <string.h>

/* A payload; of a long one its size and a hash (FNV-1a). */
static inline void note(struct buf *log, const char *what, const unsigned char *data, size_t n)
{
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ data[i]) * 1099511628211U;
    if (n > 130)
        assert_true(buf_printf(log, "%s(%zu bytes, %016jx) ", what, n, (uintmax_t)hash));
    else
        assert_true(buf_printf(log, "%s(", what) && buf_append(log, data, n) &&
                    buf_append_str(log, ") "));
}

static inline void note_event(struct buf *log, const struct session_event *e)
{
    assert_non_null(e->data);
    char what[16];
    if (e->type == SESSION_CLOSE)
        snprintf(what, sizeof what, "close %u", e->code);
    else if (e->type == SESSION_MESSAGE)
        snprintf(what, sizeof what, "%s", e->kind == FRAME_TEXT ? "text" : "binary");
    else
        snprintf(what, sizeof what, "%s", e->type == SESSION_PING ? "ping" : "pong");
    assert_true(e->type != SESSION_MESSAGE || e->kind == FRAME_TEXT || e->kind == FRAME_BINARY);
    note(log, what, e->data, e->len);
}

/* Neither in the midst of a message nor of a frame, nor of a frame's header. */
static inline bool is_idle(const struct session *s)
{
    return !s->in_frame && !s->kind && !s->head_len;
}

/* Feeds and drains: SESSION_MORE or an error. */
static inline int feed(struct session *s, unsigned char *bytes, size_t n, struct buf *log)
{
    struct session_event e;
    int rc;
    session_feed(s, bytes, n);
    while ((rc = session_next(s, &e)) == SESSION_EVENT)
        note_event(log, &e);
    assert_int_equal(session_unread(s), 0);
    return rc;
}

/* For bytes that are not to be changed. */
static inline int feed_copy(struct session *s, const void *bytes, size_t n, struct buf *log)
{
    unsigned char *copy = guard_copy(bytes, n);
    int rc = feed(s, copy, n, log);
    guard_free(copy, n);
    return rc;
}

static inline void assert_log(struct buf *log, const char *expected, size_t n, const char *where)
{
    if (log->len != n || (n && memcmp(log->data, expected, n) != 0))
        fail_msg("%s: %.*s\n  instead of: %.*s", where, (int)log->len, (char *)log->data, (int)n,
                 expected);
    buf_free(log);
}

#endif
