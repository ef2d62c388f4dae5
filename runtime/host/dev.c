#include "host/dev.h"
#include "host/code.h"
#include "host/master_impl.h"
#include "host/terminal.h"
#include "net/file_watch.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dev {
    struct master *m;
    struct file_watch *watch;
    struct terminal *terminal; /* NULL: nobody presses keys */
    bool out_colour, err_colour;
    unsigned ticket;            /* of our own request that is under way; 0: none */
    bool by_key;                /* it was asked for by a person */
    bool is_look;               /* it may show what is known already: no file has changed */
    bool again;                 /* something has changed meanwhile */
    char *shown;                /* the failure that is told and not mended; NULL: none */
    int watch_error;            /* that was told */
};

/* --- telling ---------------------------------------------------------------------------------- */

static const char *colour(bool on, const char *code)
{
    return on ? code : "";
}

#define RED(on) colour(on, "\033[31m")
#define GREEN(on) colour(on, "\033[32m")
#define BOLD(on) colour(on, "\033[1m")
#define FAINT(on) colour(on, "\033[2m")
#define PLAIN(on) colour(on, "\033[0m")

/* "1,234,567" */
static const char *with_commas(char out[32], size_t n)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%zu", n), at = 0;
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* In two figures, as the commands have it (lua/tidewire/cli/words.lua). */
static const char *span(char out[32], double seconds)
{
    if (seconds < 0.00995)
        snprintf(out, 32, "%.1f ms", seconds * 1000);
    else if (seconds < 0.9995)
        snprintf(out, 32, "%.0f ms", seconds * 1000);
    else
        snprintf(out, 32, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
    return out;
}

static const char *first_file(const struct code_outcome *o)
{
    const json_t *lists[] = {o->changed, o->added, o->removed};
    for (size_t i = 0; i < 3; i++)
        if (json_array_size(lists[i]))
            return json_string_value(json_array_get(lists[i], 0));
    return NULL;
}

/* " chat.lua and 3 others", or nothing. */
static void print_files(const struct code_outcome *o)
{
    size_t n = json_array_size(o->changed) + json_array_size(o->added) + json_array_size(o->removed);
    const char *first = first_file(o);
    if (first)
        printf(" %s", first);
    if (n > 1)
        printf(" and %zu %s", n - 1, n == 2 ? "other" : "others");
}

/* " in 1.8 ms, 1,000 connections kept" */
static void print_cost(const struct code_outcome *o)
{
    char text[32];
    printf(" in %s", span(text, o->seconds));
    if (o->connections)
        printf(", %s connection%s kept", with_commas(text, o->connections),
               o->connections == 1 ? "" : "s");
    if (o->held)
        printf(", %s message%s held meanwhile", with_commas(text, o->held), o->held == 1 ? "" : "s");
    putchar('\n');
}

static void print_time(void)
{
    char text[16];
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm) && strftime(text, sizeof text, "%H:%M:%S", &tm))
        printf("%s ", text);
}

/* --- failures --------------------------------------------------------------------------------- */

static bool ends_with(const char *line, size_t n, char c)
{
    return n && line[n - 1] == c;
}

/* The message red, the line that it is about bold, what follows the source faint. */
static void print_report(FILE *out, const char *text, bool on)
{
    const char *style = RED(on);
    for (const char *end; *text; text = end) {
        end = strchrnul(text, '\n');
        size_t n = (size_t)(end - text);
        end += *end == '\n';
        const char *line = text + strspn(text, " ");
        if (strncmp(text, "local variables:", 16) == 0 || strncmp(text, "stack traceback:", 16) == 0)
            style = FAINT(on);
        const char *own = *line == '>' ? BOLD(on) : ends_with(text, n, '^') ? RED(on) : style;
        fprintf(out, "%s%.*s%s\n", n ? own : "", (int)n, text, n ? PLAIN(on) : "");
        if (n == 0 && style[0] && strcmp(style, RED(on)) == 0)
            style = "";
    }
}

static void print_serving(const struct dev *d, unsigned serving)
{
    bool on = d->err_colour;
    if (serving)
        fprintf(stderr, "\n%sstill serving version %u%s\n", BOLD(on), serving, PLAIN(on));
    else
        fprintf(stderr, "\n%swaiting for a file to be saved%s\n", BOLD(on), PLAIN(on));
}
