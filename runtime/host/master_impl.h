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

#include <sys/types.h>

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
    bool counting;      /* it is asked for the number of its connections */
    size_t connections; /* as it said last */
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
    struct change certificates;
    struct timer rotation; /* of the keys of session tickets */
    struct round count;    /* of connections, for `status` */
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
void children_signal(const struct master *m, int signal);
void children_reap(struct master *m); /* those that have ended */

/* --- certificates.c --------------------------------------------------------------------------- */

bool certificates_init(struct master *m); /* with m->certificates, to be started from anywhere */
void certificates_free(struct master *m);
bool certificates_rotate(struct master *m); /* the keys of tickets; false: no random numbers */

/* --- commands.c ------------------------------------------------------------------------------- */

void commands_line(void *master, struct control_peer *peer, struct slice line);
void commands_certificates_done(struct master *m, const char *error); /* NULL: they are in use */
void commands_counted(struct child *s, const char *text);

#endif
