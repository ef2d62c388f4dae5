#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_die(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

void *bench_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        bench_die(1, "out of memory");
    return p;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        bench_die(1, "reading a clock: %s", strerror(errno));
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu(pid_t pid)
{
    clockid_t clock;
    int rc = clock_getcpuclockid(pid, &clock);
    if (rc)
        bench_die(1, "CPU time of process %d: %s", (int)pid, strerror(rc));
    return read_clock(clock);
}

long bench_integer(const char *what, const char *text, long low, long high)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < low || n > high)
        bench_die(2, "%s: '%s' is no number from %ld to %ld", what, text, low, high);
    return n;
}

double bench_seconds(const char *what, const char *text)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !(s >= 0 && s <= 86400))
        bench_die(2, "%s: '%s' is no number of seconds from 0 to 86400", what, text);
    return s;
}
