/* The app's code: its versions, who asks for another one, and what came of it.
 *
 * A version is a bundle of all sources (scout.h) that the workers have taken together (change.h).
 * Requests are done one after the other, in their order. */
#ifndef TIDEWIRE_HOST_CODE_H
#define TIDEWIRE_HOST_CODE_H

#include "host/versions.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct master;
struct code;

enum code_wish {
    CODE_START,   /* the first version: nothing serves yet */
    CODE_RELOAD,  /* what is on the disk */
    CODE_ROLL,    /* back to a version that is kept */
    CODE_UNDO,    /* the same, by itself: the version that is watched is bad */
    CODE_PROMOTE, /* by itself: the canary is healthy, and serves all */
    CODE_RENEW,   /* by itself: a worker that was restarted takes part in the canary again */
};

struct code_request {
    unsigned canary;   /* reload: for this share of the connections, 1 to 99; 0: for all */
    unsigned to;       /* rollback: the version; 0: the one before the current */
    bool dry_run;      /* reload: all but the commit */
    bool force;        /* reload: ends what pins old generations, when there are too many */
    bool watcher;      /* reload: asked for by no person; a version that was rolled back by itself
                          is not taken again */
    bool certificates; /* they are read anew too, before it, and the outcome tells */
    bool merge;        /* reload: one like it that waits already is enough */
};

/* A ticket, which the outcome names; 0: too many requests wait. The outcome comes later, never
 * from within. Before the first version serves, both try to load the first one. */
unsigned code_reload(struct master *m, const struct code_request *request);
unsigned code_rollback(struct master *m, const struct code_request *request);

/* What came of a request, or of what was done by itself (ticket 0). Borrowed during the call. */
struct code_outcome {
    unsigned ticket;
    enum code_wish wish;
    bool ok;
    bool unchanged; /* reload: what is on the disk serves already, or serves as the canary */
    bool dry_run;
    bool stopping; /* not ok: the service ends */

    unsigned serving; /* the current version now; 0: none yet */
    json_t *watch;    /* folders (strings) in which a change may make another try worth while, or
                         NULL: as before */
    const char *warnings; /* what went less well without being a failure; NULL: nothing */
    bool certificates;    /* they were read anew too: m->certificates_wrong */

    /* ok */
    unsigned version, previous; /* previous: 0 at the start */
    const char *hash;
    enum version_state state;          /* of `version`: VERSION_CANARY, or VERSION_CURRENT */
    bool watched;                      /* it is not stable yet: commands_code_settled follows */
    json_t *changed, *added, *removed; /* paths, relative to the app's root where below it */
    json_t *phases;                    /* { name = the slowest worker's seconds } */
    double seconds, pause;             /* in all; the longest time that a worker stood still */
    size_t connections, held;          /* kept; calls that the barrier has held, of all workers */

    /* not ok */
    const char *phase;   /* "read", "compile", "load", ..., or another code: never NULL */
    const char *message; /* one line */
    const char *text;    /* all there is to say, for a terminal; ends with a line feed */
    const char *file;    /* NULL: no place */
    unsigned line;       /* 0: no line */
    int worker;          /* whose refusal it is; -1: the master's, or its child's */
};

/* Calls `told` for each outcome, from now on: for dev.c. NULL ends it. */
void code_listen(struct master *m, void (*told)(void *context, const struct code_outcome *outcome),
                 void *context);

unsigned code_current(const struct master *m); /* the version that serves; 0: none yet */

/* --- for the rest of the host ----------------------------------------------------------------- */

bool code_init(struct master *m);  /* with m->code */
void code_free(struct master *m);  /* may be called again, and in a child */
void code_begin(struct master *m); /* the first version: the start of the service */
void code_stop(struct master *m);  /* after change_stop: all that wait hear that it ends */

/* A child of the master has ended: true if it was this one's (the scout). */
bool code_reap(struct master *m, pid_t pid, int status);

/* The first worker of the first version. */
void code_first_ready(struct master *m);
void code_first_failed(struct master *m, const char *why); /* complete; it will end */
void code_first_ended(struct master *m);

/* Workers of later ones, and all of them when they end. */
void code_worker_ready(struct master *m);
void code_worker_failed(struct master *m, size_t worker, const char *why); /* to start */
void code_worker_ended(struct master *m, size_t worker);

/* CHANNEL_TALLY; and the end of a round of CHANNEL_DESCRIBE. */
void code_tally(struct master *m, size_t worker, const char *text);
void code_described(struct master *m);

/* What a worker that is started now begins with: the order (bind.h), and the bundle, which stays
 * the version's. NULL: memory short. */
json_t *code_boot_order(const struct master *m, int *bundle);

/* For `status`, and for `versions`. New references; NULL: memory short. */
json_t *code_describe(const struct master *m);
json_t *code_list(const struct master *m);
const struct versions *code_versions(const struct master *m);

#endif
