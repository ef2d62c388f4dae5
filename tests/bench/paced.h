/* load paced: messages are due at times of their own, whether or not answers have come, as with
 * clients that know nothing of each other. A server that stands still then shows in full, in the
 * latency of every message that was due meanwhile; a closed loop would just send less. */
#ifndef TIDEWIRE_BENCH_PACED_H
#define TIDEWIRE_BENCH_PACED_H

#include <stdbool.h>
#include <stddef.h>

struct paced {
    const char *url;
    unsigned connections;
    double rate; /* messages a second, of all connections together */
    size_t size;
    const char *log; /* file for the list of all answers (answers.h), or NULL */
    bool json;
};

/* Sends until it is told to end (hold.h), waits for the last answers, prints the result. Ends the
 * program when an answer is wrong or missing, or a connection is closed. */
void paced_run(const struct paced *p);

#endif
