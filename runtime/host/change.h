/* Something that all workers change together, or none of them: prepared by the master and by each
 * worker, and once all have said that they can, committed. One change is under way at a time; the
 * others wait, in the order in which they were asked for. Workers that die meanwhile are started
 * again at its end, with what has come of it. */
#ifndef TIDEWIRE_HOST_CHANGE_H
#define TIDEWIRE_HOST_CHANGE_H

#include "host/channel.h"
#include "host/round.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANGE_ERROR 4096 /* bytes of what went wrong, with its NUL */

struct master;
struct change;

/* What can be changed: how the channel names it. No digit. */
enum change_letter { CHANGE_CERTIFICATES = 'c', CHANGE_CODE = 'v' };

enum change_phase {
    CHANGE_IDLE, /* or waiting for its turn */
    CHANGE_BEGUN,
    CHANGE_PREPARING,
    CHANGE_BARRIER,
    CHANGE_COMMITTING
};

/* The same on the master's side; the workers' is in worker.c and worker_code.c. */
struct change_kind {
    enum change_letter letter;
    const char *name;  /* for messages: "new certificates" */
    uint32_t patience; /* ms with a worker that is busy */
    bool judged;       /* by the workers alone: when the last of them dies over it, it fails */

    /* Begins an attempt: reads and prepares it in the master, so that what is wrong with it is
     * found here, and calls change_go, change_fail or change_end, at once or later. */
    void (*begin)(struct change *c);
    /* All workers are prepared. How long (ms) they may take to come to a halt; 0: they need not.
     * NULL: never. */
    uint32_t (*halt)(struct change *c);
    /* What a worker has said, to the question of c->phase; "" without any more than yes. NULL: it
     * is well; else what is wrong. NULL: whatever it says is wrong. */
    const char *(*answered)(struct change *c, size_t worker, const char *text);
    void (*commit)(struct change *c); /* in the master; cannot fail */
    void (*abandon)(struct change *c);
    /* The end of each attempt. NULL: it is in use; else nothing has changed, and why. */
    void (*done)(struct change *c, const char *error);
};

struct change {
    const struct change_kind *kind;
    struct master *master;
    struct round round;
    struct list node; /* of m->changes, while it waits */
    enum change_phase phase;
    bool queued;
    bool trial;          /* set by `begin`: nothing is committed, all is only prepared */
    bool insists;        /* set by `begin`: no worker stops it by being silent; it is replaced */
    size_t agreed, lost; /* in this round: have said yes; were serving, and have died */
    int worker;          /* whose error it is; -1: the master's */
    char *order;         /* behind the letter and number, for the workers; may be NULL */
    char late[128];      /* after the commit: those who are busy, and will have it later; or "" */
    char error[CHANGE_ERROR];
};

void changes_init(struct master *m); /* before the first of them */
bool change_init(struct change *c, const struct change_kind *kind, struct master *m);
void change_free(struct change *c); /* one that is zero is free */

/* Another attempt, after all that is asked for already. Does not begin within this call. */
void change_start(struct change *c);
bool change_is_busy(const struct change *c); /* an attempt is under way */
const char *change_phase_name(const struct change *c);

/* From `begin`, or later. `file` for the workers is closed by change_go (-1: none); `order` is one
 * line, allocated, and freed here (NULL: none). */
void change_go(struct change *c, int file, char *order);
void change_fail(struct change *c, const char *error); /* nothing has changed */
void change_end(struct change *c);                     /* all is done, without the workers */

/* CHANNEL_PREPARED, CHANNEL_STANDS and CHANNEL_COMMITTED. Their text begins with the letter. */
void change_answered(struct master *m, size_t worker, enum channel_message type, const char *text);

/* A worker that has ended is not waited for. */
void change_died(struct master *m, size_t worker);

void change_next(struct master *m); /* begins what waits, if none is under way */
void change_stop(struct master *m); /* the service ends: what is not committed is abandoned */

#endif
