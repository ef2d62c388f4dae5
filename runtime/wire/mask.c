#include "wire/mask.h"

#include <string.h>

/* XORs words of 8 bytes, which may lie at any address: memcpy becomes a plain load or store. */
static inline void mask_words(unsigned char *bytes, size_t words, uint64_t key)
{
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * 8, 8);
        word ^= key;
        memcpy(bytes + i * 8, &word, 8);
    }
}

void mask_apply(unsigned char *bytes, size_t n, const unsigned char key[4], size_t offset)
{
    /* The key as it lies over bytes[0..3], and over every 4 bytes that follow. */
    unsigned char turned[4];
    for (size_t i = 0; i < 4; i++)
        turned[i] = key[(offset + i) % 4];
    uint32_t half;
    memcpy(&half, turned, 4);
    uint64_t word = (uint64_t)half << 32 | half;

    /* The constant count lets the compiler use vector registers without checks at run time. */
    for (; n >= 64; bytes += 64, n -= 64)
        mask_words(bytes, 8, word);
    for (; n >= 8; bytes += 8, n -= 8)
        mask_words(bytes, 1, word);
    for (size_t i = 0; i < n; i++)
        bytes[i] ^= turned[i % 4];
}
