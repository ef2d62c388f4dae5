/* The two session targets, one for each role, and the plain model that they are compared with. */
#ifndef TIDEWIRE_TESTS_FUZZ_SESSION_H
#define TIDEWIRE_TESTS_FUZZ_SESSION_H

#include "fuzz.h"
#include "wire/deflate.h"
#include "wire/session.h"

/* An input starts with six bytes of settings, then come the bytes of the connection. */
struct session_settings {
    enum session_role role;
    struct session_limits limits;
    bool compression;
    struct deflate_params params;
    struct fuzz_chop chop;
    uint8_t stop; /* every so many events, what is unread is taken back and fed again; 0: never */
};

/* The same two as the session knows them: of what the peer sends. */
static inline bool settings_takeover(const struct session_settings *s)
{
    return s->role == SESSION_SERVER ? s->params.client_takeover : s->params.server_takeover;
}

static inline unsigned settings_bits(const struct session_settings *s)
{
    return s->role == SESSION_SERVER ? s->params.client_bits : s->params.server_bits;
}

/* One event after the other, as bytes to compare, and how it ended: 0 or an enum session_error. */
struct session_record {
    struct buf events;
    int rc;
    bool idle;       /* at the end: neither in a message nor in a frame */
    bool over_ratio; /* of the model: a message that limits.inflate_ratio forbids */
};

void record_event(struct session_record *r, const struct session_event *event);

/* What RFC 6455 and RFC 7692 say of these bytes, all of them at hand. The ratio is judged of whole
 * messages only. */
void model_run(const struct session_settings *settings, const unsigned char *bytes, size_t n,
               struct session_record *out);

/* A whole target. */
void session_fuzz(enum session_role role, const uint8_t *data, size_t size);

#endif
