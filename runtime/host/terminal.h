/* The terminal of a command that a person sits before: single keys, and a clean page. Whatever ends
 * or stops the process, the terminal is as it was. */
#ifndef TIDEWIRE_HOST_TERMINAL_H
#define TIDEWIRE_HOST_TERMINAL_H

#include "net/loop.h"

#include <stdbool.h>

struct terminal;

/* Keys of stdin, each at once and without an echo, while the process is in the foreground: it may
 * be stopped (Ctrl-Z) and go on in the background. Ctrl-C and Ctrl-\ stay signals. NULL: stdin is
 * no terminal, or memory is short. */
struct terminal *terminal_open(struct loop *loop, void (*key)(void *context, char key),
                               void *context);
void terminal_close(struct terminal *t); /* NULL is ignored */
void terminal_leave(struct terminal *t); /* of a child: the terminal is its parent's */

/* Moves what stdout shows out of sight, where it can still be scrolled to, and begins at the top.
 */
void terminal_page(void);

#endif
