/* Tasks: pooled coroutines in which everything of the app runs, and the one place that enters Lua.
 *
 * A task runs until it ends or awaits something; whoever it awaits resumes it. The coroutine of a
 * task that has ended is used again. */
#ifndef TIDEWIRE_BIND_TASK_H
#define TIDEWIRE_BIND_TASK_H

#include "bind/vm.h"

enum task_outcome {
    TASK_DONE,    /* returned; its results are on co's stack */
    TASK_FAILED,  /* raised; error and traceback are on co's stack, at 1 and 2 */
    TASK_WAITING, /* awaits something */
    TASK_DROPPED, /* it will never be resumed: give back what it owns */
};

struct task {
    struct list node; /* in vm->idle or vm->tasks */
    lua_State *co;
    struct vm *vm;
    struct timer timer; /* of a sleep, or the time-out of another wait */
    struct deferred start;
    int start_args;
    struct task **place;           /* where this task is registered while it waits, or NULL */
    const char *what;              /* for reports: "message of /chat/:room" is made of this ... */
    const char *of;                /* ... and this, if it is not NULL */
    struct generation *generation; /* whose code it runs; NULL: the runtime's own */
    uint64_t began;                /* loop_now() */
    uint64_t step, longest;        /* when it is timed: ns of this step's start; see task_pause */
    bool timed;
    bool counted;    /* as a call of its generation */
    bool reloadable; /* handler.run: where it waits in ws:messages it may be begun anew */
    bool parked;     /* it waits there */
    bool spoilt;     /* the coroutine cannot be used again */
    /* Called after each step, with the task still whole; may be NULL. After all but WAITING the
     * task is reused: forget it. */
    void (*after)(struct task *t, enum task_outcome outcome);
    void *owner; /* of `after` */
    void (*timed_out)(struct task *t);
};

/* A task to be started; NULL: memory short (logged). */
struct task *task_new(struct vm *vm, struct generation *g, const char *what);

/* It goes on with code of another generation, or of the runtime (NULL). */
void task_change(struct task *t, struct generation *g);

/* Measures its steps: how long the loop has stood still for it, in ns. */
void task_time(struct task *t);
uint64_t task_pause(const struct task *t); /* the longest one; also of the step that runs now */

/* Ends a task that does not run: its variables are closed, an error in that is reported, and
 * `after` is called with TASK_DROPPED. */
void task_close(struct task *t);
bool task_is_suspended(const struct task *t); /* or not begun yet */

/* "message of /chat/:room" */
#define TASK_PLACE 256
void task_place(const struct task *t, char text[TASK_PLACE]);

/* Runs `body` in the task until its first wait or its end. The body gets no arguments: it takes
 * them from `owner`, or from vm->incoming, inside the protected call. */
void task_run(struct task *t, lua_CFunction body);

/* The same with arguments: the topmost `args` values of `from`, which are taken from it. */
void task_run_with(struct task *t, lua_CFunction body, lua_State *from, int args);

/* Starts at the end of the turn what lies on co's stack: a function and `args` arguments. */
void task_run_later(struct task *t, int args);

/* To be returned by a C function that Lua called, `return task_await(...)`: suspends the current
 * task, however many coroutines of the app lie between. When task_resume is called, `k` runs with
 * `context` and its results are those of the C function. `place`, if any, is set to the task, and
 * to NULL when the wait is over, however it ends. Raises where Lua cannot yield. */
int task_await(lua_State *L, struct task **place, lua_KContext context, lua_KFunction k);

/* To be called before it: after `ms`, `timed_out` is called, which resumes the task. */
void task_await_timeout(lua_State *L, uint64_t ms, void (*timed_out)(struct task *t));
void task_resume(struct task *t);

/* The current task; raises when the app is being loaded. */
struct task *task_current(lua_State *L);

/* A continuation for calls whose results nobody wants. */
int task_nothing(lua_State *L, int status, lua_KContext context);

void task_free_all(struct vm *vm);

void task_open(lua_State *L);

/* coroutine.c: resume, wrap and close, which let an await of an inner coroutine through. */
void coroutine_open(lua_State *L);

/* For it: is it an await what a coroutine has yielded? And then, to be returned as of task_await:
 * the one that has resumed it waits as well, until the task is resumed. */
bool task_is_await(lua_State *co, int results);
int task_await_inner(lua_State *L, lua_KFunction k);

#endif
