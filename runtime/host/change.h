/* Something that all workers change together, or none of them: prepared by the master and by each
 * worker, and once all have said that they can, committed. */
#ifndef TIDEWIRE_HOST_CHANGE_H
#define TIDEWIRE_HOST_CHANGE_H

#include "host/channel.h"
#include "host/round.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANGE_ERROR 4096 /* bytes of what went wrong, with its NUL */

struct master;

/* What can be changed: how the channel names it. No digit. */
enum change_letter { CHANGE_CERTIFICATES = 'c' };

/* The same on the master's side; the workers' is in worker.c. */
struct change_kind {
    enum change_letter letter;
    const char *name;  /* for messages: "new certificates" */
    uint32_t patience; /* ms with a worker that is busy */

    /* Reads and prepares it in the master, so that what is wrong with it is found here. Returns it
     * as a file for the workers (channel_file_new), which is closed by change.c; or -1, `error`
     * says why, and nothing is prepared. */
    int (*prepare)(struct master *m, char *error, size_t size);
    void (*commit)(struct master *m); /* cannot fail */
    void (*abandon)(struct master *m);
    /* The end of each attempt. NULL: it is in use; else nothing has changed, and why. */
    void (*done)(struct master *m, const char *error);
};

struct change {
    const struct change_kind *kind;
    struct master *master;
    struct round round;
    bool committing;
    bool again; /* asked for in the middle of an attempt: what was read may be old */
    char error[CHANGE_ERROR];
};

bool change_init(struct change *c, const struct change_kind *kind, struct master *m);
void change_free(struct change *c); /* one that is zero is free */

/* Begins an attempt, or lets another one follow that which is under way. */
void change_start(struct change *c);
bool change_is_busy(const struct change *c);

/* CHANNEL_PREPARED and CHANNEL_COMMITTED. Their text begins with the letter. */
void change_answered(struct change *c, size_t worker, enum channel_message type, const char *text);

/* A worker that has ended is not waited for. One that is started meanwhile is a copy of the master,
 * with what is prepared there, and hears what becomes of it like all others. */
void change_died(struct change *c, size_t worker);

#endif
