/* wire/deflater, the inflating half, on any bytes: bounded steps, the same result however the bytes
 * come and however little room there is, and what zlib makes of them at once. */
#include "fuzz.h"
#include "wire/deflater.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST ((size_t)1 << 18) /* bytes of output; what gives more is left there */
#define HELD_MOST 49152        /* window and state */

struct result {
    struct buf out;
    int rc; /* INFLATE_DONE, an error, or INFLATE_AGAIN: left at MOST */
    bool whole;
};

/* All of a piece, or up to MOST. */
static int step_through(struct inflater *i, const unsigned char *bytes, size_t n, size_t room,
                        struct buf *out)
{
    int rc = INFLATE_AGAIN;
    while (rc == INFLATE_AGAIN && out->len < MOST) {
        const unsigned char *before = bytes;
        size_t left = n, written = SIZE_MAX;
        unsigned char *place = malloc(room);
        CHECK(place != NULL);
        rc = inflater_step(i, &bytes, &n, place, room, &written);
        CHECK(written <= room && (size_t)(bytes - before) == left - n);
        CHECK(rc != INFLATE_DONE || n == 0);
        CHECK(rc != INFLATE_AGAIN || written || n < left); /* it gets on */
        CHECK(rc != INFLATE_ERR_MEMORY);
        CHECK(buf_append(out, place, written));
        free(place);
    }
    return rc;
}

static void inflate_pieces(struct inflater *i, const unsigned char *bytes, size_t n,
                           struct fuzz_chop chop, size_t room, struct result *r)
{
    r->rc = INFLATE_DONE;
    for (size_t at = 0; at < n && r->rc == INFLATE_DONE;) {
        size_t piece = fuzz_piece(&chop, n - at);
        unsigned char *copy = fuzz_copy(bytes + at, piece);
        r->rc = step_through(i, copy, piece, room, &r->out);
        free(copy);
        at += piece;
    }
    size_t tail_size;
    const unsigned char *tail = inflater_tail(i, &tail_size);
    if (r->rc == INFLATE_DONE && tail_size)
        r->rc = step_through(i, tail, tail_size, room, &r->out);
    r->whole = r->rc == INFLATE_DONE && inflater_is_whole(i);
}

/* An inflater may be used again after anything. */
static void check_reset(struct inflater *i)
{
    static const unsigned char hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}; /* 7.2.3.1 */
    struct result r = {.rc = INFLATE_DONE};
    inflater_reset(i);
    inflate_pieces(i, hello, sizeof hello, fuzz_chop_of(1), 3, &r);
    CHECK(r.rc == INFLATE_DONE && r.whole && r.out.len == 5 && !memcmp(r.out.data, "Hello", 5));
    buf_free(&r.out);
}

static void run(unsigned bits, const unsigned char *bytes, size_t n, struct fuzz_chop chop,
                size_t room, struct result *r)
{
    size_t before = fuzz_heap();
    struct inflater *i = inflater_new(bits);
    CHECK(i != NULL);
    inflate_pieces(i, bytes, n, chop, room, r);
    CHECK(inflater_held(i) <= HELD_MOST);
    CHECK(!fuzz_heap() || fuzz_heap() - before - r->out.cap == inflater_held(i));
    check_reset(i);
    inflater_free(i);
    CHECK(!fuzz_heap() || fuzz_heap() - before == r->out.cap);
}

static bool begins_with(const struct buf *all, const unsigned char *start, size_t n)
{
    return n <= all->len && (n == 0 || memcmp(all->data, start, n) == 0);
}

/* As far as both go, and no further than MOST, behind which each step may end elsewhere. */
static bool agree(const struct result *a, const struct result *b)
{
    size_t n = a->out.len < b->out.len ? a->out.len : b->out.len;
    return begins_with(&a->out, b->out.data, n);
}

/* zlib, all at once, up to the first block with BFINAL. */
static void compare_with_zlib(const unsigned char *bytes, size_t n, const struct result *r)
{
    static const unsigned char tail[] = {0, 0, 0xFF, 0xFF};
    z_stream z = {0};
    struct buf all = {0};
    unsigned char *out = malloc(MOST);
    CHECK(out && buf_append(&all, bytes, n) && buf_append(&all, tail, sizeof tail));
    CHECK(inflateInit2(&z, -15) == Z_OK);
    z.next_in = all.data;
    z.avail_in = (uInt)all.len;
    z.next_out = out;
    z.avail_out = MOST;
    int rc = inflate(&z, Z_SYNC_FLUSH);
    size_t made = MOST - z.avail_out;
    CHECK(begins_with(&r->out, out, made) || n == 0);
    CHECK(r->out.len < MOST || made >= MOST || rc == Z_STREAM_END); /* behind which we go on */
    if (rc == Z_DATA_ERROR)
        CHECK(r->rc == INFLATE_ERR_DATA || r->whole);
    if (rc == Z_OK && z.avail_out && z.avail_in == 0)
        CHECK(r->rc == INFLATE_DONE && r->out.len == made);
    inflateEnd(&z);
    buf_free(&all);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    unsigned bits = 8 + fuzz_byte(&in) % 8;
    struct fuzz_chop chop = fuzz_chop_of(fuzz_byte(&in));
    size_t room = 1 + fuzz_byte(&in) * 7u, n = fuzz_left(&in);
    struct result whole = {.rc = 0}, chopped = {.rc = 0};
    run(15, in.at, n, fuzz_chop_of(0), 65536, &whole);
    run(bits, in.at, n, chop, room, &chopped);
    CHECK(agree(&whole, &chopped));
    /* a small window may not know what the large one does */
    bool unknown = bits < 15 && chopped.rc == INFLATE_ERR_DATA;
    if (!unknown && whole.out.len < MOST) {
        CHECK(whole.rc == chopped.rc && whole.whole == chopped.whole);
        CHECK(whole.rc == INFLATE_ERR_DATA || whole.out.len == chopped.out.len);
    }
    compare_with_zlib(in.at, n, &whole);
    buf_free(&whole.out);
    buf_free(&chopped.out);
    return 0;
}
