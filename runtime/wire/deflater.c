#include "wire/deflater.h"

#define ZLIB_CONST
#include <stdlib.h>
#include <zlib.h>

/* Messages go to zlib in parts of this size, whose lengths its 32 bits always hold. */
#define PART ((size_t)1 << 20)

/* Least room for compressed bytes: with six or less, flushes would be repeated (deflate() in zlib.h
 * on Z_SYNC_FLUSH). */
#define ROOM 64

static const unsigned char tail[4] = {0x00, 0x00, 0xFF, 0xFF};

/* `opaque` counts the bytes. All is freed at once, so nothing has to be subtracted. */
static voidpf allocate(voidpf opaque, uInt items, uInt size)
{
    size_t *held = opaque, n = (size_t)items * size;
    void *memory = malloc(n);
    if (memory)
        *held += n;
    return memory;
}

static void release(voidpf opaque, voidpf memory)
{
    (void)opaque;
    free(memory);
}

/* --- compressing ------------------------------------------------------------------------------ */

struct deflater {
    z_stream z;
    size_t held;
    bool takeover;
};

/* zlib's raw deflate refuses 8. With 9 its window has 512 bytes, but it reaches back by at most
 * 512 - 262 = 250 of them (MIN_LOOKAHEAD in its deflate.h), in all its strategies and levels: that
 * keeps the promise of 256. */
static int zlib_bits(unsigned bits)
{
    return bits == 8 ? 9 : (int)bits;
}

/* The hash table and the list of symbols shrink with the window. zlib's 8 of 9 goes with 15 bits;
 * below 4, blocks would be so short that their own headers cost more than is won. */
static int memory_level(unsigned bits)
{
    return bits >= 14 ? 8 : bits <= 10 ? 4 : (int)bits - 6;
}

struct deflater *deflater_new(unsigned bits, unsigned level, bool takeover)
{
    struct deflater *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->takeover = takeover;
    d->held = sizeof *d;
    d->z.zalloc = allocate;
    d->z.zfree = release;
    d->z.opaque = &d->held;
    if (deflateInit2(&d->z, (int)level, Z_DEFLATED, -zlib_bits(bits), memory_level(bits),
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(d);
        return NULL;
    }
    return d;
}

void deflater_free(struct deflater *d)
{
    if (d)
        deflateEnd(&d->z);
    free(d);
}

void deflater_reset(struct deflater *d)
{
    deflateReset(&d->z);
}

/* One part: as much output as it gives is appended. */
static bool compress_part(struct deflater *d, struct buf *out, const unsigned char *data, size_t n,
                          int flush)
{
    z_stream *z = &d->z;
    z->next_in = data;
    z->avail_in = (uInt)n;
    do {
        if (!buf_reserve(out, ROOM))
            return false;
        size_t room = out->cap - out->len;
        room = room < PART ? room : PART;
        z->next_out = out->data + out->len;
        z->avail_out = (uInt)room;
        deflate(z, flush);
        out->len += room - z->avail_out;
    } while (z->avail_out == 0);
    return true;
}

static bool compress_all(struct deflater *d, struct buf *out, const unsigned char *data, size_t n)
{
    for (; n > PART; data += PART, n -= PART)
        if (!compress_part(d, out, data, PART, Z_NO_FLUSH))
            return false;
    return compress_part(d, out, data, n, Z_SYNC_FLUSH);
}

bool deflater_message(struct deflater *d, struct buf *out, const void *data, size_t n)
{
    /* zlib has nothing to flush when nothing came in, so the block of nothing is written here: its
     * header's three bits, and padding (7.2.3.6) */
    if (n == 0)
        return buf_append(out, tail, 1);
    size_t before = out->len;
    bool ok = compress_all(d, out, data, n);
    /* a flush ends with an empty stored block, whose length fields are the four bytes */
    out->len = ok ? out->len - sizeof tail : before;
    if (!ok || !d->takeover)
        deflater_reset(d);
    return ok;
}

size_t deflater_held(const struct deflater *d)
{
    return d->held;
}

/* --- decompressing ---------------------------------------------------------------------------- */

struct inflater {
    z_stream z;
    size_t held;
    bool whole; /* the bytes so far end with a block, and with the last bit of a byte */
};

struct inflater *inflater_new(unsigned bits)
{
    struct inflater *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    i->whole = true;
    i->held = sizeof *i;
    i->z.zalloc = allocate;
    i->z.zfree = release;
    i->z.opaque = &i->held;
    if (inflateInit2(&i->z, -(int)bits) != Z_OK) {
        free(i);
        return NULL;
    }
    return i;
}

void inflater_free(struct inflater *i)
{
    if (i)
        inflateEnd(&i->z);
    free(i);
}

void inflater_reset(struct inflater *i)
{
    inflateReset(&i->z);
    i->whole = true;
}

/* zlib.h on data_type: 128 between two blocks, plus the bits of the last byte that are not used
 * yet, plus 64 in a block with BFINAL, plus 256 at other places. */
#define BETWEEN_BLOCKS 128

/* Also a final block only ends a block. inflateReset would empty the window, and setting it anew
 * would cost 64 KiB of copying for a block that may have two bytes; this leaves it as it is. */
static void go_on_behind_final_block(struct inflater *i)
{
    inflateResetKeep(&i->z);
    i->whole = true;
}

enum inflate_result inflater_step(struct inflater *i, const unsigned char **in, size_t *n,
                                  unsigned char *out, size_t room, size_t *written)
{
    z_stream *z = &i->z;
    size_t part = *n < PART ? *n : PART;
    room = room < PART ? room : PART;
    z->next_in = *in;
    z->avail_in = (uInt)part;
    z->next_out = out;
    z->avail_out = (uInt)room;
    int rc = inflate(z, Z_SYNC_FLUSH);
    *in += part - z->avail_in;
    *n -= part - z->avail_in;
    *written = room - z->avail_out;
    if (rc == Z_DATA_ERROR)
        return INFLATE_ERR_DATA;
    if (rc == Z_MEM_ERROR)
        return INFLATE_ERR_MEMORY;
    if (rc != Z_BUF_ERROR) /* which only tells that there was nothing to do */
        i->whole = z->data_type == BETWEEN_BLOCKS;
    if (rc == Z_STREAM_END)
        go_on_behind_final_block(i);
    return *n || z->avail_out == 0 ? INFLATE_AGAIN : INFLATE_DONE;
}

const unsigned char *inflater_tail(const struct inflater *i, size_t *n)
{
    *n = i->whole ? 0 : sizeof tail;
    return tail;
}

bool inflater_is_whole(const struct inflater *i)
{
    return i->whole;
}

size_t inflater_held(const struct inflater *i)
{
    return i->held;
}
