#include "batch.h"

#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define KEY_LEN 4
#define SHORT_MAX 64 /* payload bytes; Lua, for one, keeps one copy of equal strings up to 40 */
#define SHORT_COUNT 16384

static const unsigned char key[KEY_LEN] = {0x9c, 0x3a, 0x51, 0xe7};

/* An unmasked header in the shortest form (RFC 6455 section 5.2). Returns its size. */
static size_t write_header(unsigned char out[10], enum batch_kind kind, uint64_t size)
{
    size_t extra = size < 126 ? 0 : size < 65536 ? 2 : 8;
    out[0] = (unsigned char)(0x80 | kind);
    out[1] = (unsigned char)(extra == 0 ? size : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        out[2 + i] = (unsigned char)(size >> (8 * (extra - 1 - i)));
    return 2 + extra;
}

/* The message's number in hexadecimal, last digit first, then letters. */
static void write_payload(unsigned char *out, size_t size, unsigned number)
{
    static const char digits[] = "0123456789abcdef", letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < size; i++)
        out[i] =
            (unsigned char)(i < 8 ? digits[number >> (4 * i) & 15] : letters[(i + number) % 26]);
}

/* The frame that a client sends to get `answer`. */
static void write_masked(unsigned char *out, const unsigned char *answer, const struct batch *b)
{
    memcpy(out, answer, b->header_len);
    out[1] |= 0x80;
    memcpy(out + b->header_len, key, KEY_LEN);
    for (size_t i = 0; i < b->size; i++)
        out[b->header_len + KEY_LEN + i] = answer[b->header_len + i] ^ key[i % KEY_LEN];
}

struct batch *batch_new(unsigned depth, size_t size, enum batch_kind kind, bool raw)
{
    unsigned char header[10];
    struct batch *b = bench_alloc(1, sizeof *b);
    b->depth = depth;
    b->count = size <= SHORT_MAX ? SHORT_COUNT : depth + 1;
    b->size = size;
    b->header_len = write_header(header, kind, size);
    b->answer_len = b->header_len + size;
    b->frame_len = b->answer_len + (raw ? 0 : KEY_LEN);
    b->answers = bench_alloc(b->count, b->answer_len);
    b->frames = bench_alloc(b->count + depth, b->frame_len);
    for (unsigned i = 0; i < b->count; i++) {
        unsigned char *answer = b->answers + i * b->answer_len;
        unsigned char *frame = b->frames + i * b->frame_len;
        memcpy(answer, header, b->header_len);
        write_payload(answer + b->header_len, size, i);
        if (raw)
            memcpy(frame, answer, b->frame_len);
        else
            write_masked(frame, answer, b);
    }
    memcpy(b->frames + b->count * b->frame_len, b->frames, depth * b->frame_len);
    return b;
}

void batch_free(struct batch *b)
{
    free(b->frames);
    free(b->answers);
    free(b);
}
