/* A child that loads the app from the disk as a worker would, and hands back a bundle of all it has
 * read. An app that loops, raises, crashes or eats memory does so there: no worker is disturbed,
 * and the master runs no code of the app. */
#ifndef TIDEWIRE_HOST_SCOUT_H
#define TIDEWIRE_HOST_SCOUT_H

#include "net/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SCOUT_PATIENCE 10000                        /* ms until it is ended by force */
#define SCOUT_BUNDLE_MAX ((size_t)64 * 1024 * 1024) /* bytes */
#define SCOUT_REPORT_MAX ((size_t)16 * 1024 * 1024)
#define SCOUT_OUTPUT_MAX ((size_t)64 * 1024) /* what the app has printed: so much is shown */

struct master;

struct scout {
    struct master *master;
    pid_t pid; /* 0: none is out */
    int bundle, report, output;
    bool late; /* it has been ended by force: its time is over */
    struct timer patience;
    /* Once for each scout that was sent. The report is borrowed, and always an object with "ok";
     * when that is true, `bundle` is a sealed file of `bytes`, the receiver's to close; else -1. */
    void (*done)(struct master *m, const json_t *report, int bundle, size_t bytes);
};

void scout_init(struct scout *s, struct master *m,
                void (*done)(struct master *m, const json_t *report, int bundle, size_t bytes));

/* Sends one; none is out. false: short of descriptors, memory or processes (errno), and `done` is
 * not called. */
bool scout_send(struct scout *s);

/* The child `s->pid` has ended: calls `done`. */
void scout_ended(struct scout *s, int status);

/* Ends one that is out, without `done`; its end is not waited for. */
void scout_recall(struct scout *s);
void scout_leave(struct scout *s); /* in a child, or at the end: only what is this process's */

#endif
