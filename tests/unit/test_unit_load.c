/* core/unit/load.c */
#include "core_case.h"

#include "core/unit/unit.h"

static void assert_files(const struct es_unit *unit, const char *bases)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    for (size_t i = 0; i < unit->n_files; i++)
        es_buf_printf(&is, "%s%s", i ? " " : "", strrchr(unit->files[i], '/') + 1);
    assert_string_equal(es_buf_str(&is), bases);
}

static void put_unit(struct dir *dir, const char *name)
{
    put_file(in(dir, name), "[Service]\nUser=x\n");
}

static void put_dropin(struct dir *dir, const char *unit, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s.d", unit);
    if (mkdir(in(dir, path), 0755) < 0)
        assert_int_equal(errno, EEXIST);
    snprintf(path, sizeof path, "%s.d/%s", unit, name);
    put_file(in(dir, path), "[Unit]\n");
}

static void load(const char *path, const char *instance, struct es_unit *unit)
{
    struct es_err err = {.msg = "nothing"};

    if (es_unit_load(path, NULL, instance, unit, &err) < 0)
        fail_msg("refused: %s", err.msg);
}

static void a_file_is_read_with_the_drop_ins_beside_it(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};

    put_unit(*state, "a-b.service");
    put_dropin(*state, "a-b.service", "20.conf");
    put_dropin(*state, "a-b.service", "10.conf");
    put_dropin(*state, "a-b.service", "no.txt");
    put_dropin(*state, "a-b.service", ".hidden.conf");
    put_dropin(*state, "a-.service", "15.conf");
    put_dropin(*state, "a-.service", "20.conf");
    put_dropin(*state, "service", "99.conf");
    put_dropin(*state, "other.service", "11.conf");
    load(in(*state, "a-b.service"), NULL, &unit);
    assert_files(&unit, "a-b.service 10.conf 15.conf 20.conf 99.conf");
    assert_string_equal(unit.name, "a-b.service");
    assert_null(unit.instance);
    assert_string_equal(unit.folder, ((struct dir *)*state)->path);
}

static void a_template_is_read_as_the_instance_that_is_asked_for(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0}, plain = {0};

    put_unit(*state, "e@.service");
    put_dropin(*state, "e@.service", "1.conf");
    put_dropin(*state, "e@foo.service", "2.conf");
    load(in(*state, "e@.service"), "foo", &unit);
    assert_string_equal(unit.name, "e@foo.service");
    assert_string_equal(unit.instance, "foo");
    assert_files(&unit, "e@.service 1.conf 2.conf");
    load(in(*state, "e@.service"), NULL, &plain);
    assert_string_equal(plain.name, "e@.service");
    assert_string_equal(plain.instance, "");
}

static void an_instance_is_found_by_its_template(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    const struct dir *dir = *state;
    struct es_err err = {.msg = "nothing"};

    put_unit(*state, "envsync-test@.service");
    assert_int_equal(es_unit_load("envsync-test@x.service", dir->path, NULL, &unit, &err), 0);
    assert_files(&unit, "envsync-test@.service");
    assert_string_equal(unit.instance, "x");
    assert_null(unit.folder);
}

static void assert_refused(const char *which, enum es_class class, const char *word)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    struct es_err err = {.msg = "nothing"};

    assert_true(es_unit_load(which, NULL, NULL, &unit, &err) < 0);
    assert_int_equal(err.class, class);
    if (!strstr(err.msg, word))
        fail_msg("%s", err.msg);
}

static void what_is_no_service_is_refused(void **state)
{
    put_unit(*state, "a.socket");
    put_unit(*state, "a.conf");
    assert_refused(in(*state, "a.socket"), ES_USAGE, "no service");
    assert_refused(in(*state, "a.conf"), ES_USAGE, "drop-in");
    assert_refused("a.timer", ES_USAGE, "no service");
    assert_refused("", ES_USAGE, "no name");
    assert_refused("no-such-unit-here", ES_CONFIG, "there is no unit no-such-unit-here.service");
    assert_refused(in(*state, "none.service"), ES_CONFIG, "does not exist");
}

static void a_masked_unit_is_told_and_a_masked_drop_in_is_passed_over(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};

    assert_int_equal(symlink("/dev/null", in(*state, "m.service")), 0);
    assert_refused(in(*state, "m.service"), ES_CONFIG, "masked");
    put_unit(*state, "a.service");
    put_dropin(*state, "a.service", "1.conf");
    assert_int_equal(symlink("/dev/null", in(*state, "a.service.d/0.conf")), 0);
    load(in(*state, "a.service"), NULL, &unit);
    assert_files(&unit, "a.service 1.conf");
}

static void an_alias_has_the_drop_ins_of_both_names(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};

    put_unit(*state, "real.service");
    put_dropin(*state, "real.service", "1.conf");
    put_dropin(*state, "alias.service", "2.conf");
    assert_int_equal(symlink("real.service", in(*state, "alias.service")), 0);
    load(in(*state, "alias.service"), NULL, &unit);
    assert_files(&unit, "alias.service 1.conf 2.conf");
}

static void a_file_over_its_limit_is_refused(void **state)
{
    char *big = malloc((1 << 20) + 2);

    assert_non_null(big);
    memset(big, '#', (1 << 20) + 1);
    put_bytes(in(*state, "big.service"), big, (1 << 20) + 1, 0644);
    assert_refused(in(*state, "big.service"), ES_CONFIG, "larger than 1 MiB");
    free(big);
}

static void a_directory_of_more_files_than_the_limit_is_refused(void **state)
{
    put_unit(*state, "a.service");
    put_dropin(*state, "a.service", "z.conf");
    for (int i = 0; i < 10000; i++) {
        char name[32];

        snprintf(name, sizeof name, "a.service.d/%d", i);
        assert_int_equal(mknod(in(*state, name), S_IFREG | 0644, 0), 0);
    }
    assert_refused(in(*state, "a.service"), ES_CONFIG, "more than 10000 files");
}

static void what_is_no_regular_file_is_never_opened(void **state)
{
    assert_int_equal(mkfifo(in(*state, "fifo.service"), 0644), 0);
    assert_refused(in(*state, "fifo.service"), ES_CONFIG, "no regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_file_is_read_with_the_drop_ins_beside_it),
        test_in_dir(a_template_is_read_as_the_instance_that_is_asked_for),
        test_in_dir(an_instance_is_found_by_its_template),
        test_in_dir(what_is_no_service_is_refused),
        test_in_dir(a_masked_unit_is_told_and_a_masked_drop_in_is_passed_over),
        test_in_dir(an_alias_has_the_drop_ins_of_both_names),
        test_in_dir(a_file_over_its_limit_is_refused),
        test_in_dir(a_directory_of_more_files_than_the_limit_is_refused),
        test_in_dir(what_is_no_regular_file_is_never_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
