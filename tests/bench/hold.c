#include "hold.h"

#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not when it is /dev/null or a file. */
static bool input_can_end(void)
{
    struct stat st;
    return isatty(0) || (fstat(0, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

void hold_begin(struct hold *h)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    h->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (h->signals < 0)
        bench_die(1, "signalfd: %s", strerror(errno));
    h->input = input_can_end();
}

void hold_end(struct hold *h)
{
    close(h->signals);
}

bool hold_turn(struct hold *h, struct client *cl, int timeout_ms)
{
    char ignored[256];
    struct pollfd fds[] = {{.fd = cl->traffic.epoll, .events = POLLIN},
                           {.fd = h->signals, .events = POLLIN},
                           {.fd = h->input ? 0 : -1, .events = POLLIN}};
    if (poll(fds, 3, timeout_ms) < 0 && errno != EINTR)
        bench_die(1, "poll: %s", strerror(errno));
    if (fds[0].revents)
        client_turn(cl, 0);
    return !fds[1].revents && !(fds[2].revents && read(0, ignored, sizeof ignored) <= 0);
}
