/* A whole run, from the lock to the last rename: whichever call fails, each output is the old one
 * or the new one, and the next run completes it. */
#include "failing.h"
#include "run_case.h"

#include "core/lock.h"

static int sync_under_fault(void *data, struct es_err *err)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};

    return world_sync(data, &report, err);
}

/* What a failed run leaves is looked for where the lock says that there may be something. */
static void forgive(const struct world *w)
{
    ES_CLEANUP(es_close) int lock = open(in(w->dir, "run/envsync/demo/lock"), O_RDWR | O_CLOEXEC);

    if (lock >= 0)
        es_lock_set_clean(lock);
}

static void one_more_version(void *data)
{
    struct world *w = data;

    w->version = w->published + 1;
}

static void assert_old_or_new(void *data, const char *call, int r)
{
    struct world *w = data;

    if (r == 0)
        world_assert_whole(w);
    else
        assert_int_equal(world_at_version(w, w->published) + world_at_version(w, w->version), 5);
    /* Nobody would tidy up after a run that ended well and told nothing. */
    if (r == 0 && (!call || strcmp(call, "unlinkat") != 0))
        assert_int_equal(world_leftovers(w), 0);
    if (r < 0 && world_at_version(w, w->published) == 5 && world_leftovers(w) == 0) {
        forgive(w); /* nothing has happened */
        return;
    }
    w->version++;
    world_sync_now(w);
    world_assert_whole(w);
    assert_int_equal(world_leftovers(w), 0);
    w->published = w->version;
}

static const unsigned any_class =
    1U << ES_OUTPUT | 1U << ES_DENIED | 1U << ES_INTERNAL | 1U << ES_UNAVAILABLE;

static void whichever_call_fails_the_next_run_completes_it(void **state)
{
    static const struct ordeal o = {.before = one_more_version,
                                    .run = sync_under_fault,
                                    .after = assert_old_or_new,
                                    .classes = any_class};
    struct world w;

    world_begin(&w, state, CONFIG);
    w.version = w.published = 1;
    world_sync_now(&w);
    world_assert_whole(&w);
    ordeal(&o, &w, EIO);
    world_end(&w);
}

/* Where the disk does not say that a mirrored file is known, it is fetched again, and that makes a
 * new set: but it goes back to where the old one did. */
static void assert_unchanged(void *data, const char *call, int r)
{
    struct world *w = data;
    char text[34];

    world_pointer(w, text);
    world_assert_whole(w);
    if (strcmp(text, w->pointer) == 0 && world_leftovers(w) == 0) {
        forgive(w);
        return;
    }
    if (strcmp(text, w->pointer) == 0)
        assert_string_equal(call, "unlinkat");
    else if (r < 0 || strcmp(text + ES_SET_ID, w->pointer + ES_SET_ID) != 0)
        fail_msg("%s: was %s, is %s", call ? call : "none", w->pointer, text);
    world_sync_now(w);
    world_sync_now(w);
    assert_int_equal(world_leftovers(w), 0);
    world_pointer(w, w->pointer);
}

static void whichever_call_fails_an_unchanged_set_stays_the_present_one(void **state)
{
    static const struct ordeal o = {
        .run = sync_under_fault, .after = assert_unchanged, .classes = any_class};
    struct world w;

    world_begin(&w, state, CONFIG);
    w.version = 1;
    world_sync_now(&w);
    w.version = 2;
    world_sync_now(&w);
    world_sync_now(&w); /* and another one says all that is the same */
    world_pointer(&w, w.pointer);
    ordeal(&o, &w, EIO);
    world_end(&w);
}

/* What is below /run is sealed, and comes back from there. */
static void lose_run_half_and_one_more_version(void *data)
{
    struct world *w = data;

    if (exists(in(w->dir, "run/envsync")))
        assert_int_equal(nftw(in(w->dir, "run/envsync"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    one_more_version(w);
}

static void whichever_call_fails_a_sealed_set_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal o = {.before = lose_run_half_and_one_more_version,
                                    .run = sync_under_fault,
                                    .after = assert_old_or_new,
                                    .classes = any_class};
    struct world w;

    NEEDS_ROOT();
    world_begin(&w, state, SEALED);
    w.version = w.published = 1;
    world_sync_now(&w);
    ordeal(&o, &w, EIO);
    world_end(&w);
}

/* ---- a hold ends with a run that changes nothing ---- */

static void hold(void *data)
{
    struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err;

    assert_int_equal(es_store_open(&w->config, w->dir->path, true, true, &store, &report, &err), 0);
    assert_int_equal(es_store_point(&store, store.current, store.previous, true, &err), 0);
}

static bool is_held(const struct world *w)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close)
    int fd = open(in(w->dir, "var/lib/envsync/demo/current"), O_RDONLY | O_CLOEXEC);

    assert_int_equal(es_buf_read_fd(&text, fd, 1000), 0);
    return strstr(es_buf_str(&text), " held ") != NULL;
}

static void assert_released_or_held(void *data, const char *call, int r)
{
    struct world *w = data;

    assert_true(is_held(w) == (r < 0) || strcmp(call, "fsync") == 0);
    world_assert_whole(w);
    forgive(w);
}

static void a_hold_ends_with_success_only(void **state)
{
    static const char *const names[] = {"renameat", "fsync", "getrandom"};
    struct ordeal o = {.before = hold,
                       .run = sync_under_fault,
                       .after = assert_released_or_held,
                       .classes = any_class};
    struct world w;

    world_begin(&w, state, CONFIG);
    w.version = 1;
    world_sync_now(&w);
    world_sync_now(&w);
    w.release = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        o.name = names[i];
        ordeal(&o, &w, EIO);
    }
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_memory(whichever_call_fails_the_next_run_completes_it),
        test_in_memory(whichever_call_fails_an_unchanged_set_stays_the_present_one),
        test_in_memory(whichever_call_fails_a_sealed_set_is_the_old_one_or_the_new_one),
        test_in_memory(a_hold_ends_with_success_only),
    };

    return cmocka_run_group_tests_name("faults of a run", tests, NULL, NULL);
}
