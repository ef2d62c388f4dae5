/* What the measuring tools share: failing, clocks, numbers. */
#ifndef TIDEWIRE_BENCH_H
#define TIDEWIRE_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Prints "<program>: <message>" on stderr and exits with `status`: 1 failed, 2 usage. */
__attribute__((noreturn, format(printf, 2, 3))) void bench_die(int status, const char *format, ...);

void *bench_alloc(size_t count, size_t size); /* zeroed; ends the program when memory is short */

uint64_t bench_now(void); /* ns, monotonic */

/* CPU time of a process with all its threads, user and system, in ns; pid 0 is this one. Ends the
 * program when there is no such process. */
uint64_t bench_cpu(pid_t pid);

/* The number that `text` is as a whole, from `low` to `high`; otherwise usage error about `what`.
 */
long bench_integer(const char *what, const char *text, long low, long high);
double bench_seconds(const char *what, const char *text); /* ns precision, 0 to one day */

#endif
