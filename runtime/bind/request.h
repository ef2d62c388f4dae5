/* A request as the app sees it: the userdata "tidewire.request", for plain HTTP, for
 * handler.upgrade and as ws.request. It has its own copy of the head, and reads it on demand. */
#ifndef TIDEWIRE_BIND_REQUEST_H
#define TIDEWIRE_BIND_REQUEST_H

#include "bind/app.h"

/* Opaque to all but request.c (its fields) and request_answer.c. User values: the fields that were
 * read, and the body. */
#define REQUEST_CACHE 1
#define REQUEST_BODY 2

/* Who has sent a request. */
struct request_sender {
    struct address address;
    bool secure;
};

struct request {
    struct conn *conn; /* NULL: not to be answered, or answered already */
    unsigned number;   /* of conn's requests */
    struct binding *binding;
    struct slice protocol;
    struct request_sender sender;
    size_t head_len;
    char head[];
};

void request_open(lua_State *L);             /* the type */
struct request *request_check(lua_State *L); /* argument 1 */
int request_respond(lua_State *L);           /* req:respond */
void request_let_go(struct request *r);      /* it cannot be answered any more */

/* Pushes a request. `answerable`: req:respond may answer it. `protocol` is the chosen
 * subprotocol, len 0 for none. */
void request_push(lua_State *L, struct conn *c, struct binding *b, struct slice protocol,
                  bool answerable);

/* Finds out who has sent the connection's request: the peer, or, when that is one of the binding's
 * trusted proxies, whom it forwards for. false: the proxy's fields contradict each other, and
 * nobody can tell; *out is the peer. */
bool request_sender(const struct conn *c, const struct binding *b, struct request_sender *out);

/* Pushes the fields of a head as a table: by lower-case name, looked up in any case. */
void request_push_headers(lua_State *L, const struct http_head *head);

/* The list of { name, value } at `arg`, or nil, as field lines, in a buffer that is pushed. Raises
 * when a name is not the app's to set, or has a character that would end its line. */
struct slice request_check_fields(lua_State *L, int arg);

/* Calls the binding's `serve` with a plain HTTP request, in a task. */
void request_serve(struct vm *vm, struct conn *c, struct binding *b, struct slice body);

#endif
