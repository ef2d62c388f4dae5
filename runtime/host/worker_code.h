/* A worker's part in changing the app's code: what the master asks about it, and what Lua answers.
 */
#ifndef TIDEWIRE_HOST_WORKER_CODE_H
#define TIDEWIRE_HOST_WORKER_CODE_H

#include "base/list.h"
#include "bind/bind.h"
#include "host/channel.h"
#include "host/worker_metrics.h"

#include <stdbool.h>

struct worker_code {
    struct vm *vm;
    int channel;
    bool serving;
    struct list early; /* questions that wait until the app has started */
    struct list asked; /* those that Lua has not answered */
    struct worker_metrics *metrics;
};

void worker_code_init(struct worker_code *w, struct vm *vm, int channel);
void worker_code_free(struct worker_code *w); /* after the vm */

/* CHANNEL_PREPARE, CHANNEL_BARRIER, CHANNEL_COMMIT and CHANNEL_ABANDON, with what is behind them.
 */
void worker_code_ask(struct worker_code *w, const struct channel_packet *packet);

void worker_code_serves(struct worker_code *w); /* the app has started */
void worker_code_describe(struct worker_code *w);

#endif
