/* The parts of the master: its workers (children.c), what they change together (change.c,
 * certificates.c), its control socket (control.c, commands.c), and its life (master.c). */
#ifndef TIDEWIRE_HOST_MASTER_IMPL_H
#define TIDEWIRE_HOST_MASTER_IMPL_H

#include "bind/bind.h"
#include "host/change.h"
#include "host/control.h"
#include "host/notify.h"
#include "host/round.h"
#include "net/inherit.h"
#include "net/listener.h"
#include "net/loop.h"

#include <jansson.h>
#include <sys/types.h>

struct code;
struct dev;
struct master_metrics;

struct child {
    struct master *master;
    size_t index;
    pid_t pid;   /* 0: not running */
    int channel; /* -1: closed */
    struct watch *watch;
    struct timer restart;
    uint64_t started;
    uint32_t backoff; /* ms */
    bool ready;
    bool held;           /* its restart waits for the end of a change */
    bool asked;          /* it has not told yet what it is doing */
    json_t *description; /* vm_describe, as it said last; NULL: nothing yet */
};

struct master {
    struct vm *vm;
    const struct plan *plan;
    const struct log *log;
    struct loop *loop;
    struct inherit inherited; /* sockets of the service manager, until a URL takes them */
    struct notify notify;     /* the service manager */
    struct timer watchdog;    /* its next sign of life */
    struct listen_point *points;
    struct tls_tickets *tickets;
    struct child *children;
    size_t running;
    struct timer patience; /* with workers that do not end */
    struct watch *child, *term, *hang_up, *interrupt, *reopen;
    struct list changes;     /* struct change: those that wait */
    struct change *changing; /* the one under way; NULL: none */
    struct deferred next_change;
    struct change certificates;
    char *certificates_wrong; /* why they stayed as they were, the last time; NULL: they did not */
    struct code *code;
    struct dev *dev;          /* NULL: nobody develops here */
    struct list waiters;      /* commands_code.c: who waits until a version is stable */
    struct timer rotation;    /* of the keys of session tickets */
    struct round description; /* of all workers */
    struct master_metrics *metrics;
    struct control *control;
    uint64_t started;
    bool terminal; /* it was started in the foreground of one */
    bool up;       /* the first worker has been ready: the command has succeeded */
    bool stopping; /* no worker is restarted any more */
    int status;
};

/* --- master.c --------------------------------------------------------------------------------- */

void master_fail(struct master *m);             /* ends, with exit status 1 */
void master_stop(struct master *m);             /* all workers drain */
void master_tell_ready(const struct master *m); /* the service manager */
/* In a child: what is the master's alone must not act there. */
void master_leave(struct master *m);

/* --- children.c ------------------------------------------------------------------------------- */

bool children_init(struct master *m);
void children_free(struct master *m); /* the channels; not the processes */
bool child_start(struct child *s);
void child_end(struct child *s); /* by force; whatever it has to say is not heard */
void children_signal(const struct master *m, int signal);
void children_reap(struct master *m);   /* those that have ended */
void children_resume(struct master *m); /* a change has ended: what has died meanwhile is started */
void children_hasten(struct master *m); /* there is other code: those that are down try at once */
/* Asks all for their descriptions, up to a second: then commands_described and code_described. */
void children_ask(struct master *m);

/* --- certificates.c --------------------------------------------------------------------------- */

bool certificates_init(struct master *m); /* with m->certificates, to be started from anywhere */
void certificates_free(struct master *m);
bool certificates_rotate(struct master *m); /* the keys of tickets; false: no random numbers */

/* --- commands.c ------------------------------------------------------------------------------- */

void commands_line(void *master, struct control_peer *peer, struct slice line);
void commands_certificates_done(struct master *m, const char *error); /* NULL: they are in use */
void commands_described(struct master *m);

#define COMMANDS_VERSION 1

/* Takes `answer`; NULL: memory was short while it was made. */
void commands_answer(struct control_peer *p, json_t *answer);
void commands_refuse(struct control_peer *p, const char *code, const char *message);
json_t *commands_text(const char *text);               /* it may be no UTF-8 */
json_t *commands_certificates(const struct master *m); /* those in use */

/* --- commands_code.c -------------------------------------------------------------------------- */

struct code_outcome;

void commands_reload(struct master *m, struct control_peer *p, const json_t *request);
void commands_rollback(struct master *m, struct control_peer *p, const json_t *request);
void commands_versions(struct master *m, struct control_peer *p, const json_t *request);
void commands_code_done(struct master *m, const struct code_outcome *outcome);
/* A version is watched no more. NULL: it is stable; else why it serves no longer. */
void commands_code_settled(struct master *m, unsigned version, const char *reason);
void commands_code_free(struct master *m);

#endif
