/* wire/deflater both ways: messages compressed with any window, level and takeover are inflated
 * again by one that knows no more than that window. */
#include "fuzz.h"
#include "wire/deflater.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MOST 20000

/* The next message: runs of the input's own bytes, and copies of what came before at distances up
 * to 65,535, so that matches lie around every size of a window. */
static void make_message(struct fuzz_input *in, struct buf *past, struct buf *message)
{
    message->len = 0;
    while (fuzz_left(in) && message->len < MESSAGE_MOST) {
        uint8_t op = fuzz_byte(in);
        if (op == 0)
            return;
        size_t n = op < 128 ? op : (size_t)(op - 127) * 2;
        size_t distance = op < 128 ? 0 : (size_t)fuzz_number(in, 2);
        for (size_t i = 0; i < n; i++) {
            unsigned char c = 'a';
            if (op < 128)
                c = fuzz_byte(in);
            else if (distance && distance <= past->len)
                c = past->data[past->len - distance];
            CHECK(buf_append(message, &c, 1) && buf_append(past, &c, 1));
        }
    }
}

/* With one byte of room at a time: then zlib has nothing but the window to look back into. */
static void inflate_all(struct inflater *i, const unsigned char *bytes, size_t n, struct buf *out)
{
    int rc = INFLATE_AGAIN;
    while (rc == INFLATE_AGAIN) {
        unsigned char byte;
        size_t written;
        rc = inflater_step(i, &bytes, &n, &byte, 1, &written);
        CHECK(rc >= 0 && buf_append(out, &byte, written));
    }
}

static void check_message(struct deflater *d, struct inflater *i, const struct buf *message)
{
    static const unsigned char front[] = {'k', 'e', 'p', 't'};
    struct buf packed = {0}, out = {0};
    unsigned char *copy = fuzz_copy(message->data, message->len);
    CHECK(buf_append(&packed, front, sizeof front));
    CHECK(deflater_message(d, &packed, copy, message->len));
    size_t n = packed.len - sizeof front;
    CHECK(memcmp(packed.data, front, sizeof front) == 0);
    CHECK(n > 0 && n <= message->len + message->len / 8 + 16);
    unsigned char *exact = fuzz_copy(packed.data + sizeof front, n);
    inflate_all(i, exact, n, &out);
    size_t tail_size;
    const unsigned char *tail = inflater_tail(i, &tail_size);
    if (tail_size)
        inflate_all(i, tail, tail_size, &out);
    CHECK(inflater_is_whole(i) && out.len == message->len);
    CHECK(out.len == 0 || memcmp(out.data, message->data, out.len) == 0);
    free(copy);
    free(exact);
    buf_free(&packed);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    unsigned bits = 8 + fuzz_byte(&in) % 8, level = 1 + fuzz_byte(&in) % 9;
    uint8_t flags = fuzz_byte(&in);
    bool takeover = flags & 1, mixed = flags & 2, resets = flags & 4;
    struct deflater *d = deflater_new(bits, level, takeover);
    struct deflater *other = deflater_new(bits, level, false);
    struct inflater *i = inflater_new(bits);
    struct buf past = {0}, message = {0};
    CHECK(d && other && i);
    size_t held = deflater_held(d);
    for (unsigned count = 0; fuzz_left(&in) && count < 8; count++) {
        bool shared = mixed && count % 2;
        make_message(&in, &past, &message);
        if (resets || (mixed && !shared))
            deflater_reset(d); /* one that another deflater made came between */
        if (!takeover && !mixed)
            inflater_reset(i);
        check_message(shared ? other : d, i, &message);
    }
    CHECK(deflater_held(d) == held);
    deflater_free(d);
    deflater_free(other);
    inflater_free(i);
    buf_free(&past);
    buf_free(&message);
    return 0;
}
