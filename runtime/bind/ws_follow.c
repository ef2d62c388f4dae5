/* A connection follows its route into another generation: at its next event, or when it is visited
 * after a commit. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

bool ws_is_stale(const struct ws *w, const struct task *t)
{
    const struct binding *b = ws_binding(w);
    return b && b->generation != t->generation;
}

static bool is_parked(const struct ws *w)
{
    return w->receiver && w->receiver->parked && ws_is_stale(w, w->receiver);
}

/* The coroutine of `run` that waits for a message in ws:messages ends there. While its variables
 * are closed it is the connection's active handler. */
static void close_parked(struct ws *w)
{
    w->active = w->receiver;
    task_close(w->receiver);
    w->restart = true;
    w->seen = 0; /* it is to follow also when it comes back to the code that it was with */
}

static bool lacks_run(const struct ws *w, const struct binding *b)
{
    bool goes_on = w->restart ? !w->close_told : conn_state(w->conn) == CONN_OPEN;
    return binding_has(b, CB_RUN) && !w->running && w->opened && goes_on;
}

bool ws_follow(struct ws *w, const struct binding *b)
{
    if (w->failed == b->serial)
        return false;
    if (is_parked(w))
        close_parked(w);
    if (!ws_migrate(w, b)) {
        w->failed = b->serial;
        w->seen = 0;
        return false;
    }
    w->failed = 0;
    w->seen = b->serial;
    w->run_due = true;
    return true;
}

bool ws_follow_run(struct ws *w, const struct binding *b)
{
    if (!w->run_due || w->receiver)
        return false;
    bool lacks = lacks_run(w, b);
    w->run_due = w->restart = false;
    if (!lacks)
        return false;
    w->resumed = true;
    ws_begin_run(w);
    return true;
}

bool ws_visit(struct ws *w)
{
    const struct binding *b = w->conn ? ws_binding(w) : NULL;
    bool dropped = ws_drop_kept(w);
    if (!b || b->serial == w->seen || w->active)
        return dropped;
    bool waits = w->failed && w->failed != b->serial; /* with its events */
    if (!waits && !is_parked(w) && !lacks_run(w, b) && !ws_is_newer(w, b))
        return dropped;
    ws_pump(w);
    return true;
}
