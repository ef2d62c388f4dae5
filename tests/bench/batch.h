/* The messages of a run, framed ahead: a client that builds frames while it measures measures
 * itself.
 *
 * All connections send the messages of one batch, round and round, each from a place of its own.
 * The messages are all different, and there are more than can be in flight on a connection, so an
 * answer that is lost, doubled or out of order differs from the one expected. Of short messages
 * there are thousands, since real ones seldom repeat, and a server in a language that keeps one
 * copy of equal strings would have less to do. Of long ones there are just enough, which keeps
 * the batch in the CPU's cache.
 *
 * All frames of a batch share one masking key. A real client takes a fresh random one for each
 * frame (RFC 6455 section 10.3); here the key only has to make the server unmask. */
#ifndef TIDEWIRE_BENCH_BATCH_H
#define TIDEWIRE_BENCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch {
    unsigned depth;        /* messages in flight on a connection, at most */
    unsigned count;        /* different messages */
    size_t size;           /* payload bytes of each */
    size_t header_len;     /* of an answer's frame */
    size_t answer_len;     /* bytes of an answer: its header and the payload */
    size_t frame_len;      /* bytes of a message as it is sent */
    unsigned char *frames; /* and the first `depth` again: any `depth` in a row lie side by side */
    unsigned char *answers;
};

enum batch_kind { BATCH_TEXT = 0x1, BATCH_BINARY = 0x2 }; /* opcodes of RFC 6455 */

/* `raw`: the peer echoes bytes without a protocol. What is sent is then an answer's bytes: without
 * the masking key, 4 bytes less than a WebSocket client sends. */
struct batch *batch_new(unsigned depth, size_t size, enum batch_kind kind, bool raw);
void batch_free(struct batch *b);

#endif
