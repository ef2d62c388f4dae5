#include "wire/deflate.h"

#include <stdlib.h>

/* --- shared by connections -------------------------------------------------------------------- */

void deflate_pool_free(struct deflate_pool *pool)
{
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++)
        for (unsigned level = DEFLATE_LEVEL_MIN; level <= DEFLATE_LEVEL_MAX; level++)
            deflater_free(pool->deflaters[bits - DEFLATE_BITS_MIN][level - DEFLATE_LEVEL_MIN]);
    while (pool->idle_count)
        inflater_free(pool->idle[--pool->idle_count]);
    *pool = (struct deflate_pool){0};
}

struct deflater *deflate_pool_deflater(struct deflate_pool *pool, unsigned bits, unsigned level)
{
    struct deflater **place = &pool->deflaters[bits - DEFLATE_BITS_MIN][level - DEFLATE_LEVEL_MIN];
    if (!*place)
        *place = deflater_new(bits, level, false);
    return *place;
}

size_t deflate_pool_held(const struct deflate_pool *pool)
{
    size_t held = 0;
    for (unsigned bits = 0; bits <= DEFLATE_BITS_MAX - DEFLATE_BITS_MIN; bits++)
        for (unsigned level = 0; level < DEFLATE_LEVEL_MAX; level++)
            if (pool->deflaters[bits][level])
                held += deflater_held(pool->deflaters[bits][level]);
    for (unsigned i = 0; i < pool->idle_count; i++)
        held += inflater_held(pool->idle[i]);
    return held;
}

/* They all have the largest window, which understands the smaller ones too. What is lent was reset:
 * nothing of another connection's message can be referred to. */
static struct inflater *borrow(struct deflate_pool *pool)
{
    return pool->idle_count ? pool->idle[--pool->idle_count] : inflater_new(DEFLATE_BITS_MAX);
}

static void give_back(struct deflate_pool *pool, struct inflater *i)
{
    if (pool->idle_count == DEFLATE_POOL_IDLE) {
        inflater_free(i);
        return;
    }
    inflater_reset(i);
    pool->idle[pool->idle_count++] = i;
}

/* --- one connection --------------------------------------------------------------------------- */

struct deflate {
    struct deflate_pool *pool;
    struct deflater *deflater; /* our own, with takeover */
    struct inflater *inflater; /* our own, with takeover; otherwise of the message under way */
    uint32_t min_size;
    uint8_t level;
    uint8_t out_bits, in_bits;
    bool out_takeover, in_takeover;
};

struct deflate *deflate_new(struct deflate_pool *pool, const struct deflate_params *agreed,
                            bool server, const struct deflate_settings *settings)
{
    struct deflate *d = malloc(sizeof *d);
    if (!d)
        return NULL;
    *d = (struct deflate){
        .pool = pool,
        .min_size = settings->min_size,
        .level = settings->level,
        .out_bits = server ? agreed->server_bits : agreed->client_bits,
        .in_bits = server ? agreed->client_bits : agreed->server_bits,
        .out_takeover = server ? agreed->server_takeover : agreed->client_takeover,
        .in_takeover = server ? agreed->client_takeover : agreed->server_takeover,
    };
    return d;
}

void deflate_free(struct deflate *d)
{
    if (!d)
        return;
    deflate_release(d);
    deflater_free(d->deflater);
    inflater_free(d->inflater);
    free(d);
}

bool deflate_wants(const struct deflate *d, size_t n)
{
    return d && n >= d->min_size;
}

struct deflater *deflate_deflater(struct deflate *d)
{
    if (!d->out_takeover)
        return deflate_pool_deflater(d->pool, d->out_bits, d->level);
    if (!d->deflater)
        d->deflater = deflater_new(d->out_bits, d->level, true);
    return d->deflater;
}

bool deflate_is_shared(const struct deflate *d, unsigned *bits, unsigned *level)
{
    *bits = d->out_bits;
    *level = d->level;
    return !d->out_takeover;
}

struct inflater *deflate_inflater(struct deflate *d)
{
    if (!d->inflater)
        d->inflater = d->in_takeover ? inflater_new(d->in_bits) : borrow(d->pool);
    return d->inflater;
}

void deflate_release(struct deflate *d)
{
    if (d->in_takeover || !d->inflater)
        return;
    give_back(d->pool, d->inflater);
    d->inflater = NULL;
}

size_t deflate_held(const struct deflate *d)
{
    size_t held = sizeof *d;
    if (d->deflater)
        held += deflater_held(d->deflater);
    if (d->in_takeover && d->inflater)
        held += inflater_held(d->inflater);
    return held;
}

size_t deflate_borrowed(const struct deflate *d)
{
    return !d->in_takeover && d->inflater ? inflater_held(d->inflater) : 0;
}
