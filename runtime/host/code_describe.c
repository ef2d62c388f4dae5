/* What is told of the code: to `status`, and to `versions`. */
#include "host/code_impl.h"

#include <stdio.h>
#include <string.h>

static const char *state_of(const struct code *c)
{
    if (!c->versions.current)
        return "starting";
    return c->versions.canary ? "canary" : c->watch.version ? "watching" : "stable";
}

json_t *code_describe(const struct master *m)
{
    const struct code *c = m->code;
    const struct version *now = c->versions.current, *before = versions_previous(&c->versions);
    json_t *told =
        json_pack("{s:I, s:I, s:s}", "version", (json_int_t)(now ? now->number : 0), "previous",
                  (json_int_t)(before ? before->number : 0), "state", state_of(c));
    if (told && change_is_busy(&c->change))
        json_object_set_new(told, "phase", json_string(change_phase_name(&c->change)));
    if (told && now)
        json_object_set_new(told, "since", json_real(now->since));
    if (told && c->versions.canary) {
        json_object_set_new(told, "canary", json_integer(c->versions.canary->number));
        json_object_set_new(told, "share", json_integer(c->share));
    }
    return told;
}

json_t *code_list(const struct master *m)
{
    const struct versions *all = &m->code->versions;
    json_t *list = json_array();
    for (struct list *node = all->all.next; node != &all->all; node = node->next) {
        const struct version *v = list_entry(node, struct version, node);
        json_t *told = json_pack("{s:I, s:s, s:f, s:s, s:I, s:I, s:I}", "version",
                                 (json_int_t)v->number, "hash", v->hash, "time", v->time, "state",
                                 version_state_name(versions_state(all, v)), "files",
                                 (json_int_t)json_object_size(v->files), "bytes",
                                 (json_int_t)v->bytes, "state_version", v->state_version);
        if (told && v->rolled_back && v->reason)
            json_object_set_new(told, "reason", commands_text(v->reason));
        json_array_append_new(list, told);
    }
    return list;
}
