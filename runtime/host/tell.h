/* What came of a change of the code, for a person who sits before it: `tidewire dev`. What went
 * well is a line on stdout, what did not a report on stderr. */
#ifndef TIDEWIRE_HOST_TELL_H
#define TIDEWIRE_HOST_TELL_H

#include "host/code.h"

#include <stdbool.h>

/* May what is written to the stream be coloured? */
struct tell {
    bool out, err;
};

void tell_init(struct tell *t);

/* "reloaded chat.lua in 1.8 ms, 1,000 connections kept", or what else was done. */
void tell_done(const struct tell *t, const struct code_outcome *o);

/* The whole report, and what serves now. */
void tell_refused(const struct tell *t, const struct code_outcome *o);

/* By itself: `from` was given up for `o->version`. `reason` may be NULL. */
void tell_given_up(const struct tell *t, const struct code_outcome *o, const char *reason);

void tell_line(bool coloured, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
