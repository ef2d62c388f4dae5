#include "net/listen_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What a URL says, as one text. */
static void reads(const char *url, const char *wanted)
{
    struct listen_url u;
    char error[512] = "", text[512];
    if (!listen_url_read(url, &u, error, sizeof error))
        fail_msg("%s", error);
    if (u.unix_path)
        snprintf(text, sizeof text, "unix %s", u.unix_path);
    else
        snprintf(text, sizeof text, "%s %.*s %u", u.uri.secure ? "wss" : "ws",
                 SLICE_ARG(u.uri.host), u.uri.port);
    for (size_t i = 0; i < u.tls.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s,%s", u.tls.pairs[i].cert,
                 u.tls.pairs[i].key);
    if (u.client_given)
        snprintf(text + strlen(text), sizeof text - strlen(text), " client %s %s",
                 u.tls.client_ca ? u.tls.client_ca : "-",
                 u.tls.client_optional ? "optional" : "required");
    if (u.proxy_protocol)
        strcat(text, " proxy");
    listen_url_free(&u);
    assert_string_equal(text, wanted);
}

static void refuses(const char *url, const char *why)
{
    struct listen_url u;
    char error[512] = "", wanted[512];
    assert_false(listen_url_read(url, &u, error, sizeof error));
    listen_url_free(&u);
    snprintf(wanted, sizeof wanted, "cannot listen on %s: %s", url, why);
    assert_string_equal(error, wanted);
}

static void addresses(void **state)
{
    (void)state;
    reads("ws://127.0.0.1:8080", "ws 127.0.0.1 8080");
    reads("ws://127.0.0.1:8080/", "ws 127.0.0.1 8080");
    reads("ws://[::1]:8080", "ws ::1 8080");
    reads("WSS://localhost", "wss localhost 443");
    reads("ws://localhost", "ws localhost 80");
    reads("ws://127.0.0.1:0", "ws 127.0.0.1 0");
    reads("ws://[::1]:0/?proxy_protocol=on", "ws ::1 0 proxy");
    reads("ws://127.0.0.1:10", "ws 127.0.0.1 10");
    refuses("ws://127.0.0.1:8080/chat", "an address has no path; routes are the app's");
    refuses("ws://127.0.0.1:00", "the port is not a number from 1 to 65535; write ws://HOST:PORT, "
                                 "wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or systemd:NAME");
}

static void unix_paths(void **state)
{
    (void)state;
    reads("unix:/run/x.sock", "unix /run/x.sock");
    reads("unix:x.sock?proxy_protocol=on", "unix x.sock proxy");
    reads("unix:x.sock?proxy_protocol=off", "unix x.sock");
    reads("unix:odd?name=1", "unix odd?name=1");
    reads("unix:", "unix ");
    refuses("unix:x?proxy_protocol=1",
            "the option \"proxy_protocol\" is \"on\" or \"off\", not \"1\"");
    refuses("unix:x?proxy_protocol=on&cert=a", "the option \"cert\" is for wss");
}

static void certificates(void **state)
{
    (void)state;
    reads("wss://h:1?cert=a&key=b", "wss h 1 a,b");
    reads("wss://h:1?key=b&cert=a", "wss h 1 a,b");
    reads("wss://h:1?cert=a&key=b&cert=c&key=d", "wss h 1 a,b c,d");
    reads("wss://h:1?cert=a&cert=c&key=b&key=d", "wss h 1 a,b c,d");
    reads("wss://h:1?key=b&key=d&cert=a&cert=c", "wss h 1 a,b c,d");
    reads("wss://h:1?cert=a%20b%26&key=x+y", "wss h 1 a b&,x y");
    reads("wss://h:1", "wss h 1");
    refuses("wss://h:1?cert=a", "each certificate needs its key: cert=FILE&key=FILE");
    refuses("wss://h:1?cert=a&key=b&key=c", "each certificate needs its key: cert=FILE&key=FILE");
    refuses("wss://h:1?cert=&key=b", "an option has no value");
    refuses("wss://h:1?cert&key=b", "an option has no value");
    refuses("wss://h:1?cert=a%00b&key=b", "an option has no value");
    refuses("ws://h:1?cert=a&key=b", "the option \"cert\" is for wss");
    refuses("wss://h:1?certificate=a", "unknown option \"certificate\"; known are cert, client, "
                                       "client_ca, key and proxy_protocol");
    refuses("ws://h:1?x=1", "unknown option \"x\"; known is proxy_protocol");
}

static void clients(void **state)
{
    (void)state;
    reads("wss://h:1?client_ca=a", "wss h 1 client a required");
    reads("wss://h:1?client_ca=a&client=required", "wss h 1 client a required");
    reads("wss://h:1?client=optional&client_ca=a", "wss h 1 client a optional");
    reads("wss://h:1?client=optional", "wss h 1 client - optional");
    refuses("wss://h:1?client=no",
            "the option \"client\" is \"optional\" or \"required\", not \"no\"");
    refuses("wss://h:1?client_ca=a&client_ca=b", "the option \"client_ca\" is there twice");
    refuses("wss://h:1?client=optional&client=optional", "the option \"client\" is there twice");
    refuses("ws://h:1?client_ca=a", "the option \"client_ca\" is for wss");
    refuses("ws://h:1?proxy_protocol=on&proxy_protocol=off",
            "the option \"proxy_protocol\" is there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(unix_paths),
        cmocka_unit_test(certificates),
        cmocka_unit_test(clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
