/* The parts of code.h: requests and attempts (code.c), what they are about (code_target.c), what
 * comes of them (code_outcome.c), and what follows a commit (code_watch.c). */
#ifndef TIDEWIRE_HOST_CODE_IMPL_H
#define TIDEWIRE_HOST_CODE_IMPL_H

#include "host/change.h"
#include "host/code.h"
#include "host/master_impl.h"
#include "host/scout.h"
#include "host/versions.h"
#include "host/watch.h"

#define CODE_PATIENCE 30000 /* ms with a worker that is busy */
#define CODE_REQUESTS 64    /* that wait */
#define CODE_QUARANTINE 32  /* hashes, the latest */
#define CODE_REASON 256     /* bytes, with the NUL */

/* A request on its way. */
struct wish {
    struct list node;
    enum code_wish what;
    struct code_request asked;
    unsigned ticket;          /* 0: by itself */
    char reason[CODE_REASON]; /* UNDO */
};

/* What is known of a worker, besides its process. */
struct code_worker {
    size_t connections, held;      /* in this attempt */
    struct watch_count before;     /* the time before this attempt */
    struct watch_count ended, now; /* of the version that is watched: by processes that have ended,
                                      and by the one that lives */
};

/* The watch after a commit. */
struct code_watch {
    struct version *version; /* NULL: all is stable */
    unsigned previous;       /* where it goes back to */
    bool leaving;            /* it is bad; the rollback waits for its turn */
    bool looking;            /* all workers are being asked how it does */
    struct timer end, look;
    struct watch_count before;
};

struct code {
    struct master *master;
    struct change change;
    struct scout scout;
    struct versions versions;
    struct list wishes;
    size_t wish_count;
    unsigned tickets;
    void (*told)(void *context, const struct code_outcome *outcome);
    void *told_context;

    /* the attempt that is under way; all zero without one */
    struct attempt {
        struct wish *wish;
        double began; /* code_clock */
        struct version *target;
        bool fresh;     /* the target is not in the list yet */
        bool backwards; /* it is an older version, or the one beside the canary */
        bool starting;  /* the first worker is on its way */
        bool unchanged, moot, committed;
        unsigned previous;   /* the current version until the commit */
        json_t *report;      /* the scout's */
        json_t *refusal;     /* the first worker's that says no */
        const char *phase;   /* of a refusal that is none of the workers' or the scout's; or NULL */
        char *first_failure; /* the first worker's whole message */
        json_t *phases;
        double pause;
        struct version_changes changes;
    } attempt;

    struct code_worker *workers;
    struct code_watch watch;
    unsigned share; /* of the canary */
    char quarantine[CODE_QUARANTINE][VERSIONS_HASH + 1];
    size_t quarantined; /* so many were, ever */
};

double code_clock(void); /* seconds, of a clock that never goes back */

/* --- code.c ----------------------------------------------------------------------------------- */

/* Another request, behind the others or, when `first`, before them. */
unsigned code_wish(struct code *c, enum code_wish what, const struct code_request *asked,
                   const char *reason, bool first);

/* --- code_target.c ---------------------------------------------------------------------------- */

/* What the attempt is about; each goes on with the workers, or ends it. */
void code_send_scout(struct code *c);
void code_roll_back(struct code *c);
void code_undo(struct code *c);          /* the same, by itself */
void code_act_on_canary(struct code *c); /* to promote it, or to renew it */

/* For scout.h. */
void code_on_scout(struct master *m, const json_t *report, int bundle, size_t bytes);

/* --- code_outcome.c --------------------------------------------------------------------------- */

/* An answer of a worker, to the question of c->change.phase: as change_kind.answered. */
const char *code_answered(struct code *c, size_t worker, const char *text);

/* Tells all who want to know. */
void code_tell(struct code *c, const struct wish *w, const char *error);
void code_tell_stopping(struct code *c, const struct wish *w);

/* --- code_watch.c ----------------------------------------------------------------------------- */

void code_watch_init(struct code *c);
void code_watch_begin(struct code *c, struct version *v, unsigned previous);
void code_watch_again(struct code *c); /* the canary could not be promoted: later */
void code_watch_end(struct code *c, const char *reason); /* NULL: it is stable */
void code_watch_cancel(struct code *c);                  /* in a child too */
bool code_is_quarantined(const struct code *c, const char *hash);

#endif
