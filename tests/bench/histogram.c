#include "histogram.h"

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < HISTOGRAM_SUB)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_SUB - 1;
    uint64_t start = (uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift;
    return start + (((uint64_t)1 << shift) - 1);
}

uint64_t histogram_percentile(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->total * share);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (h->counts[i] && seen >= wanted)
            return bucket_end(i);
    }
    return 0;
}
