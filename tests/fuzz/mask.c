/* wire/mask against RFC 6455 section 5.3 byte by byte, at any offset and alignment. */
#include "wire/mask.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct fuzz_chop chop = fuzz_chop_of(fuzz_byte(&in));
    size_t offset = (size_t)fuzz_number(&in, 8);
    unsigned char key[4];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = fuzz_byte(&in);
    size_t before = fuzz_byte(&in) % 16, n = fuzz_left(&in);
    before = before < n ? before : n;

    /* the first `before` bytes are none of its business */
    unsigned char *bytes = fuzz_copy(in.at, n);
    mask_apply(bytes + before, n - before, key, offset);
    CHECK(n == 0 || memcmp(bytes, in.at, before) == 0);
    for (size_t i = before; i < n; i++)
        CHECK(bytes[i] == (in.at[i] ^ key[(offset + i - before) % 4]));

    for (size_t at = before; at < n;) {
        size_t piece = fuzz_piece(&chop, n - at);
        mask_apply(bytes + at, piece, key, offset + at - before);
        at += piece;
    }
    CHECK(n == 0 || memcmp(bytes, in.at, n) == 0);
    free(bytes);
    return 0;
}
