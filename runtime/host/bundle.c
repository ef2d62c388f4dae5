#include "host/bundle.h"

static bool take(struct slice *from, size_t n, struct slice *out)
{
    if (from->len < n)
        return false;
    *out = (struct slice){from->ptr, n};
    from->ptr += n;
    from->len -= n;
    return true;
}

static bool take_number(struct slice *from, uint32_t *n)
{
    struct slice bytes;
    if (!take(from, 4, &bytes))
        return false;
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    *n = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return true;
}

static bool take_string(struct slice *from, struct slice *out)
{
    uint32_t n;
    return take_number(from, &n) && take(from, n, out);
}

bool bundle_open(struct bundle *b, struct slice bytes)
{
    struct slice magic;
    return take(&bytes, 4, &magic) && slice_is(magic, "TWB1") && take_string(&bytes, &b->entry) &&
           take_string(&bytes, &b->root) && take_number(&bytes, &b->state_version) &&
           take_number(&bytes, &b->left) && (b->rest = bytes, true);
}

bool bundle_next(struct bundle *b, struct slice *path, struct slice *text)
{
    struct slice loaded;
    if (b->left == 0)
        return false;
    b->left--;
    return take_string(&b->rest, path) && take(&b->rest, 1, &loaded) && take_string(&b->rest, text);
}
