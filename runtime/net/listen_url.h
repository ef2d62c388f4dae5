/* Where to listen, as text: a URL and its options. */
#ifndef TIDEWIRE_NET_LISTEN_URL_H
#define TIDEWIRE_NET_LISTEN_URL_H

#include "net/tls.h"
#include "wire/uri.h"

#include <stdbool.h>
#include <stddef.h>

/*     ws://HOST:PORT       wss://HOST:PORT       unix:PATH       systemd:NAME
 *
 * Port 0 is any free one; systemd: without a name is every inherited socket. Options, as a query:
 *
 *     proxy_protocol=on    connections begin with a header of the PROXY protocol
 *     cert=FILE&key=FILE   of wss: a certificate and its key; again for further ones
 *     client_ca=FILE       of wss: clients show a certificate of these authorities
 *     client=optional      of wss: or none; "required" is the default
 *     tls=on               of systemd: TLS with the certificates of the settings; with one of the
 *                          three options above there is TLS anyway */
struct listen_url {
    struct uri uri;  /* of `text`; port 0 for any */
    char *unix_path; /* NULL: none */
    char *systemd;   /* name of inherited sockets, "" for any; NULL: none */
    bool proxy_protocol;
    struct tls_settings tls; /* what the URL says */
    bool client_given;       /* client_ca or client is among it */
    char *text;
};

/* false: `error` says what is wrong and what to do. listen_url_free in either case. */
bool listen_url_read(const char *url, struct listen_url *out, char *error, size_t error_size);
void listen_url_free(struct listen_url *u);

#endif
