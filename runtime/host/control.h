/* The control socket: lines in, lines out, for those who may. What they say is commands.c. */
#ifndef TIDEWIRE_HOST_CONTROL_H
#define TIDEWIRE_HOST_CONTROL_H

#include "base/log.h"
#include "base/slice.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_LINE_MAX (64 * 1024)
/* Peers at once. For one more, the one that has been silent the longest goes; when all wait for
 * answers, the new one is told that they are too many. */
#define CONTROL_PEERS 16
#define CONTROL_IDLE 60000 /* ms until one goes that is silent, or does not take its answer */

struct control;
struct control_peer;

/* Listens at a path, with the rights 0600 from birth; peers are of the same user or root. `line` is
 * called for each line, which it answers with control_answer, at once or, after control_wait,
 * later. NULL: errno tells why (EADDRINUSE: another one lives there). */
struct control *control_open(struct loop *loop, const char *path, const struct log *log,
                             void (*line)(void *context, struct control_peer *p, struct slice line),
                             void *context);
void control_close(struct control *c);
void control_leave(struct control *c); /* of a child: the socket's file stays */

/* Sends a line, without its line feed here. Of any length: the peer takes it as it can. */
void control_answer(struct control_peer *p, const char *line, size_t n);

/* The peer waits for `what` (not 0): its next line is not read before it has an answer. */
void control_wait(struct control_peer *p, int what);

/* Calls `each` for those who wait for it. `each` answers, or lets them wait for something else. */
void control_each(struct control *c, int what, void (*each)(void *context, struct control_peer *p),
                  void *context);

#endif
