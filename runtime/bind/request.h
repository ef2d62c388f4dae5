/* A request as the app sees it: the userdata "tidewire.request", for plain HTTP, for
 * handler.upgrade and as ws.request. It has its own copy of the head, and reads it on demand. */
#ifndef TIDEWIRE_BIND_REQUEST_H
#define TIDEWIRE_BIND_REQUEST_H

#include "bind/app.h"

#include <netinet/in.h>

/* Opaque to all but request.c (its fields) and request_answer.c. User values: the fields that were
 * read, and the body. */
#define REQUEST_CACHE 1
#define REQUEST_BODY 2

struct request {
    struct conn *conn; /* NULL: not to be answered, or answered already */
    unsigned number;   /* of conn's requests */
    struct slot *slot;
    struct slice protocol;
    unsigned port;
    bool secure;
    char address[INET6_ADDRSTRLEN];
    size_t head_len;
    char head[];
};

void request_open(lua_State *L);             /* the type */
struct request *request_check(lua_State *L); /* argument 1 */
int request_respond(lua_State *L);           /* req:respond */
void request_let_go(struct request *r);      /* it cannot be answered any more */

/* Pushes a request. `answerable`: req:respond may answer it. `protocol` is the chosen
 * subprotocol, len 0 for none. */
void request_push(lua_State *L, struct conn *c, struct slot *slot, struct slice protocol,
                  bool answerable);

/* Calls the slot's `serve` with a plain HTTP request, in a task. */
void request_serve(struct vm *vm, struct conn *c, struct slot *slot, struct slice body);

#endif
