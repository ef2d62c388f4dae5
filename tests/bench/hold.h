/* Keeps connections until somebody ends it: standard input (a pipe or terminal) ends, or INT or
 * TERM arrives. */
#ifndef TIDEWIRE_BENCH_HOLD_H
#define TIDEWIRE_BENCH_HOLD_H

#include "client.h"

struct hold {
    int signals; /* their descriptor */
    bool input;  /* would the end of standard input mean something? */
};

void hold_begin(struct hold *h);
void hold_end(struct hold *h);

/* Waits up to `timeout_ms` (-1: for ever) and handles what happened on the connections. false: it
 * is time to end. */
bool hold_turn(struct hold *h, struct client *cl, int timeout_ms);

#endif
