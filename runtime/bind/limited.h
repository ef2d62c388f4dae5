/* Calls with a bound on their time and memory: code of an app that nobody has tried yet. */
#ifndef TIDEWIRE_BIND_LIMITED_H
#define TIDEWIRE_BIND_LIMITED_H

#include "bind/vm.h"

/* limited(fn, seconds, bytes, ...): calls fn(...) with so much CPU time, and so much more memory
 * than is in use. Returns true and its results; or false, what was raised, the traceback, and a
 * list of the innermost frames, each { source =, line =, locals = { { name, value }, ... } }.
 *
 * What runs over its time is interrupted where it is, however many pcalls and coroutines lie around
 * it. What cannot be interrupted (a C function such as string.find, a finalizer) ends the process
 * some seconds later, with a message. fn cannot wait. */
int limited_call(lua_State *L);

/* For who resumes or closes coroutines, before: the limits hold in one that was there before the
 * call, too. */
void limited_enter(const struct vm *vm, lua_State *co);

/* And behind: are the limits passed? */
bool limited_is_over(lua_State *L);

/* And if so, when the coroutine has ended with an error: raises it again in the one that had
 * resumed it. Whoever catches it there cannot go on either. */
int limited_raise(lua_State *L, lua_State *co);

/* The innermost frames of a coroutine that has failed, as above; before it is reset. */
void limited_push_frames(lua_State *L, lua_State *co);

/* is_over(): a message handler is not to be called any more. Lua calls it before it leaves the
 * place of the error, and there it cannot be interrupted. */
int limited_over(lua_State *L);

#endif
