/* What the runtime refuses or ends by itself, in the log at debug: an operator finds there why a
 * client cannot connect. */
#include "net/conn_impl.h"

#include <stdio.h>
#include <string.h>

#define REQUEST_SHOWN 80 /* bytes of a request's first line */

void conn_set_log(struct conn_set *set, const struct log *log)
{
    set->log = log;
}

bool conn_notes(const struct conn *c)
{
    return c->set->log && c->set->log->least == LOG_DEBUG;
}

/* Enough to recognise a request, or what is none. A query may carry a token, so it is left out. */
static struct slice first_line(struct slice head)
{
    size_t n = 0, most = head.len < REQUEST_SHOWN ? head.len : REQUEST_SHOWN;
    while (n < most && head.ptr[n] != '\r' && head.ptr[n] != '\n' && head.ptr[n] != '?')
        n++;
    return (struct slice){head.ptr, n};
}

/* `number`, if it is one, is called `name`. */
static void note(const struct conn *c, const char *what, const char *why, const char *name,
                 unsigned number, struct slice head)
{
    char message[1024], peer[ADDRESS_TEXT], port[16], value[16];
    struct log_field fields[4];
    struct slice request = first_line(head);
    unsigned port_number;
    size_t n = 0;
    conn_peer(c, peer, sizeof peer, &port_number);
    snprintf(message, sizeof message, "%s: %s", what, why);
    snprintf(port, sizeof port, "%u", port_number);
    snprintf(value, sizeof value, "%u", number);
    if (number)
        fields[n++] = (struct log_field){name, slice_of(value)};
    fields[n++] = (struct log_field){conn_is_client(c) ? "to" : "from", slice_of(peer)};
    if (port_number)
        fields[n++] = (struct log_field){"port", slice_of(port)};
    if (request.len)
        fields[n++] = (struct log_field){"request", request};
    log_write(c->set->log,
              &(struct log_record){
                  .level = LOG_DEBUG, .message = slice_of(message), .fields = fields, .count = n});
}

void conn_note(const struct conn *c, const char *what, const char *why)
{
    if (conn_notes(c))
        note(c, what, why, "", 0, slice_of(""));
}

void conn_note_close(const struct conn *c, unsigned code, struct slice reason)
{
    char why[FRAME_CONTROL_MAX + 1];
    if (!conn_notes(c))
        return;
    snprintf(why, sizeof why, "%.*s", SLICE_ARG(reason));
    note(c, "closed a connection", why, "code", code, slice_of(""));
}

void conn_note_request(const struct conn *c, unsigned status, struct slice head, const char *why)
{
    if (conn_notes(c))
        note(c, "refused a request", why, "status", status, head);
}

void conn_note_refusal(const struct conn *c, unsigned status, const char *why)
{
    conn_note_request(c, status, conn_head(c), why);
}
