/* Reads a bundle, whose form is told in lua/tidewire/bundle.lua. */
#ifndef TIDEWIRE_HOST_BUNDLE_H
#define TIDEWIRE_HOST_BUNDLE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct bundle {
    struct slice entry, root;
    uint32_t state_version;
    uint32_t left; /* files that bundle_next has not given yet */
    struct slice rest;
};

/* Everything points into `bytes`. false: it is no bundle. */
bool bundle_open(struct bundle *b, struct slice bytes);

/* The next file; false: there is none, or the bundle is damaged. */
bool bundle_next(struct bundle *b, struct slice *path, struct slice *text);

#endif
