#include "host/tell.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RED "\033[31m"
#define GREEN "\033[32m"
#define BOLD "\033[1m"
#define FAINT "\033[2m"

/* --- words ------------------------------------------------------------------------------------ */

static void print_styled(FILE *out, bool on, const char *style, const char *text, size_t n)
{
    on = on && *style && n;
    fprintf(out, "%s%.*s%s", on ? style : "", (int)n, text, on ? "\033[0m" : "");
}

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
        snprintf(out, 32, "%.*f s", seconds < 9.95 ? 1 : 0, seconds);
    return out;
}

/* " chat.lua and 3 others", or nothing */
static void print_files(const struct code_outcome *o)
{
    const json_t *lists[] = {o->changed, o->added, o->removed};
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (!first)
            first = json_string_value(json_array_get(lists[i], 0));
        n += json_array_size(lists[i]);
    }
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
        printf(", %s message%s held meanwhile", with_commas(text, o->held),
               o->held == 1 ? "" : "s");
    if (o->state == VERSION_CANARY)
        printf("; version %u is a canary", o->version);
    putchar('\n');
}

/* --- done ------------------------------------------------------------------------------------- */

void tell_done(const struct tell *t, const struct code_outcome *o)
{
    static const char reloaded[] = "reloaded", back[] = "rolled back";
    if (o->unchanged) {
        printf("nothing has changed; version %u serves\n", o->version);
    } else if (o->wish == CODE_ROLL) {
        print_styled(stdout, t->out, GREEN, back, sizeof back - 1);
        printf(" to version %u", o->version);
        print_cost(o);
    } else if (o->wish == CODE_PROMOTE) {
        printf("version %u serves all connections\n", o->version);
    } else {
        print_styled(stdout, t->out, GREEN, reloaded, sizeof reloaded - 1);
        print_files(o);
        print_cost(o);
    }
    if (o->warnings)
        printf("%s\n", o->warnings);
    fflush(stdout);
}

void tell_line(bool coloured, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_styled(stdout, coloured, FAINT, text, strlen(text));
    putchar('\n');
    fflush(stdout);
}

/* --- refused ---------------------------------------------------------------------------------- */

/* What a line of a report is (lua/tidewire/report.lua): the message up to the first empty line,
 * then the source with a mark and a caret, then local variables and calls. */
static const char *style_of(const char *line, size_t n, const char **now)
{
    const char *first = line + strspn(line, " ");
    if (n == 0 && strcmp(*now, RED) == 0)
        *now = "";
    if (strncmp(line, "local variables:", 16) == 0 || strncmp(line, "stack traceback:", 16) == 0)
        *now = FAINT;
    if (**now)
        return *now;
    return *first == '>' ? BOLD : n && line[n - 1] == '^' ? RED : "";
}

static void print_report(const char *text, bool on)
{
    const char *now = RED;
    while (*text) {
        size_t n = strcspn(text, "\n");
        print_styled(stderr, on, style_of(text, n, &now), text, n);
        fputc('\n', stderr);
        text += n + (text[n] == '\n');
    }
}

static void print_serving(const struct tell *t, unsigned serving)
{
    char text[64] = "waiting for a file to be saved";
    if (serving)
        snprintf(text, sizeof text, "still serving version %u", serving);
    fputc('\n', stderr);
    print_styled(stderr, t->err, BOLD, text, strlen(text));
    fputc('\n', stderr);
    fflush(stderr);
}

void tell_refused(const struct tell *t, const struct code_outcome *o)
{
    fflush(stdout); /* what was said before comes first */
    print_report(o->text, t->err);
    print_serving(t, o->serving);
}

void tell_given_up(const struct tell *t, const struct code_outcome *o, const char *reason)
{
    char text[512];
    fflush(stdout);
    snprintf(text, sizeof text, "version %u was rolled back%s%s", o->previous, reason ? ": " : "",
             reason ? reason : "");
    print_styled(stderr, t->err, RED, text, strlen(text));
    fprintf(stderr, "\nserving version %u again; save a mended file to go on\n", o->version);
    fflush(stderr);
}

void tell_init(struct tell *t)
{
    t->out = log_may_colour(STDOUT_FILENO);
    t->err = log_may_colour(STDERR_FILENO);
}
