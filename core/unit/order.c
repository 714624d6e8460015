/* See judge.h: what has to be there before envsync starts, and what must not be waited for. */
#include "../needs.h"
#include "judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Units that are up when the network is. */
static bool is_online(const char *name)
{
    return strcmp(name, "network-online.target") == 0 ||
           strcmp(name, "NetworkManager-wait-online.service") == 0 ||
           strncmp(name, "systemd-networkd-wait-online", 28) == 0;
}

static bool is_network(const char *name)
{
    return strcmp(name, "network.target") == 0 || strcmp(name, "network-pre.target") == 0;
}

static const struct es_unit_item *find_if(const struct es_unit_items *items,
                                          bool (*is)(const char *name))
{
    for (size_t i = 0; i < items->n; i++)
        if (is(es_buf_str(&items->items[i].text)))
            return &items->items[i];
    return NULL;
}

static const struct es_source *asks_network(const struct es_config *config)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (config->sources[i].provider->network)
            return &config->sources[i];
    return NULL;
}

static void judge_network(struct es_judge *judge, const struct es_unit_items *after,
                          const struct es_unit_items *wants)
{
    const struct es_source *source = asks_network(judge->config);
    const struct es_unit_item *online = find_if(after, is_online), *early;

    if (!source)
        return;
    if (!online) {
        early = find_if(after, is_network);
        es_judge_error(judge, early ? early->at : es_judge_section(judge, "Unit"),
                       "source %s asks the network, and %s; add to [Unit]: "
                       "After=network-online.target and Wants=network-online.target",
                       source->name,
                       early ? "network.target is reached before the network is up"
                             : "nothing orders the unit after it");
    } else if (!find_if(wants, is_online)) {
        es_judge_error(judge, online->at,
                       "After=%s alone does not start it, so source %s may be asked without a "
                       "network; add Wants=%s",
                       es_buf_str(&online->text), source->name, es_buf_str(&online->text));
    }
}

/* What a source waits for: a unit after which its files are there. */
static int awaited_by(const struct es_source *source, const struct es_surroundings *surroundings,
                      const struct es_wait **ret, struct es_err *err)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err ignored;
    int r = 0;

    if (source->provider->needs)
        r = source->provider->needs(source->state, surroundings, &needs, &ignored);
    for (size_t i = 0; r == 0 && es_source_wants_facts(source) && es_providers[i]; i++)
        if (es_providers[i]->facts)
            r = es_providers[i]->facts(&needs, &ignored);
    if (r == -ENOMEM)
        return es_nomem(err);
    *ret = NULL;
    for (size_t i = 0; !*ret && i < needs.n; i++)
        if (needs.items[i].wait && needs.items[i].wait->after)
            *ret = needs.items[i].wait;
    return 0;
}

static bool is_after(const struct es_unit_items *after, const struct es_wait *wait)
{
    for (const char *const *name = wait->after; *name; name++)
        if (es_unit_find(after, *name))
            return true;
    return false;
}

/* Who is wanted by multi-user.target and comes after what comes after that closes a circle, and
 * systemd breaks it where it likes. True: it does, and that is told. */
static bool judge_cycle(struct es_judge *judge, const struct es_unit_items *after,
                        const struct es_unit_items *wanted, const struct es_wait *wait)
{
    bool found = false;

    if (!es_unit_find(wanted, "multi-user.target"))
        return false;
    for (const char *const *late = wait->too_late; late && *late; late++) {
        const struct es_unit_item *item = es_unit_find(after, *late);

        if (item)
            es_judge_error(judge, item->at,
                           "After=%s with WantedBy=multi-user.target is an ordering cycle, and "
                           "systemd drops a job to break it; write After=%s",
                           *late, wait->after[0]);
        found |= item != NULL;
    }
    return found;
}

/* What one source waits for is mostly what the others do: the first one that has something to say
 * is enough. */
static int judge_awaited(struct es_judge *judge, const struct es_unit_items *after,
                         struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items wanted = {0};
    const struct es_surroundings nothing = {0};
    int r =
        es_unit_list(judge->unit, "Install", "WantedBy|RequiredBy", ES_UNIT_WORDS, &wanted, err);

    for (size_t i = 0; r == 0 && i < judge->config->n_sources; i++) {
        const struct es_source *source = &judge->config->sources[i];
        const struct es_wait *wait = NULL;

        r = awaited_by(source, &nothing, &wait, err);
        if (r != 0 || !wait)
            continue;
        if (judge_cycle(judge, after, &wanted, wait))
            break;
        if (is_after(after, wait))
            continue;
        es_judge_error(judge, es_judge_section(judge, "Unit"),
                       "source %s reads what %s writes, and nothing orders the unit after it; add "
                       "to [Unit]: After=%s",
                       source->name, wait->what, wait->after[0]);
        break;
    }
    return r;
}

int es_judge_order(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items after = {0}, wants = {0};
    int r = es_unit_list(judge->unit, "Unit", "After", ES_UNIT_NO_RESET, &after, err);

    if (r == 0)
        r = es_unit_list(judge->unit, "Unit", "Wants|Requires|BindsTo|Upholds", ES_UNIT_NO_RESET,
                         &wants, err);
    if (r != 0)
        return r;
    judge_network(judge, &after, &wants);
    return judge_awaited(judge, &after, err);
}
