/* core/config.c, core/source.c, core/output.c: from text to what a run works on. */
#include "core_case.h"
#include "failing.h"

/* The text is refused as a wrong configuration, at "LINE:COLUMN" or "LINE:", with these words. */
static void assert_refused(struct dir *dir, const char *text, const char *place, const char *words)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    struct es_err err = {.msg = "nothing"};
    char start[300];

    if (try_config(dir, text, NULL, &config, &err) == 0)
        fail_msg("taken: %s", text);
    snprintf(start, sizeof start, "%s/c.toml:%s", dir->path, place);
    if (err.class != ES_CONFIG || strncmp(err.msg, start, strlen(start)) != 0 ||
        !strstr(err.msg, words))
        fail_msg("%s: %s\nnot %s ... %s", es_class_name(err.class), err.msg, start, words);
    assert_null(config.file);
}

static void what_is_left_out_has_its_default(void **state)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    load_config(*state, TOP SOURCE OUTPUT, &config);
    assert_string_equal(config.app, "demo");
    assert_string_equal(config.user, "demo");
    assert_string_equal(config.name, "demo");
    assert_string_equal(config.group, "root");
    assert_int_equal(config.gid, 0);
    assert_true(config.uid == (uid_t)-1);
    assert_int_equal(config.deadline, 60000);
    assert_string_equal(config.etc_dir, "/etc/demo");
    assert_string_equal(config.run_dir, "/run/demo");
    assert_int_equal(config.n_sources, 1);
    assert_string_equal(config.sources[0].name, "file");
    assert_string_equal(config.sources[0].on_unavailable, "fail");
    assert_false(config.sources[0].optional);
    assert_int_equal(config.n_outputs, 1);
    assert_int_equal(config.outputs[0].mode, 0640);
    assert_int_equal(config.outputs[0].uid, 0);
    assert_true(config.outputs[0].sources[0]);
    assert_false(config.outputs[0].keep_case);
}

static void variables_are_in_place_everywhere(void **state)
{
    static char *environment[] = {(char *)"APP=demo", (char *)"DIR=/srv", NULL};
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    struct es_err err = {.msg = "nothing"};
    char text[400];

    put_file(in(*state, "boot"), "WORD=toml\n");
    snprintf(text, sizeof text,
             "app = '${APP}'\ngroup = 'root'\nbootstrap = '%s'\nenv = ['APP', 'DIR']\n"
             "[[source]]\ntype = 'file'\npath = '${DIR}/a.env'\n"
             "[[output]]\npath = '/run/${APP}/x'\nformat = '${WORD}'\n",
             in(*state, "boot"));
    if (try_config(*state, text, environment, &config, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(config.app, "demo");
    assert_string_equal(config.outputs[0].path, "/run/demo/x");
    assert_ptr_equal(config.outputs[0].format, &es_format_toml);
    assert_string_equal(es_table_get(config.sources[0].table, "path")->text.data, "/srv/a.env");
}

static void mistakes_at_the_top_are_told_with_their_place(void **state)
{
    static const char *const cases[][3] = {
        {"", "1:1", "app is missing"},
        {"app = ", "1:", ""},
        {TOP "nmae = 'x'\n" SOURCE, "3:1", "did you mean \"name\"?"},
        {TOP "deadline = '5'\n" SOURCE, "3:12", "deadline must be a duration"},
        {TOP "deadline = '0s'\n" SOURCE, "3:12", "deadline must be above zero"},
        {"app = 'a/b'\ngroup = 'root'\n" SOURCE, "1:7", "app is to be a plain name"},
        {"app = '..'\ngroup = 'root'\n" SOURCE, "1:7", "app is to be a plain name"},
        {"app = ''\ngroup = 'root'\n" SOURCE, "1:7", "app is to be a plain name"},
        {TOP "name = 'x/y'\n" SOURCE, "3:8", "name is to be a plain name"},
        {"app = 'a'\ngroup = 'no-such-group'\n" SOURCE, "2:9", "no group \"no-such-group\""},
        {"app = 'no-such-group'\n" SOURCE, "1:7", "no group \"no-such-group\""},
        {TOP "user = 'no-such-user'\n" SOURCE, "3:8", "no user \"no-such-user\""},
        {TOP "env = 'x'\n" SOURCE, "3:7", "env must be a list of strings"},
        {TOP "bootstrap = 'x'\n" SOURCE, "3:13", "absolute path"},
        {TOP, "1:1", "there is no [[source]]"},
        {TOP "source = 1\n", "3:10", "write [[source]], with two brackets"},
        {TOP "[source]\ntype = 'file'\n", "3:", "write [[source]], with two brackets"},
        {TOP "source = [1]\n", "3:10", "must be [[source]] tables"},
        {TOP SOURCE "[output]\npath = '/x'\n", "6:", "write [[output]], with two brackets"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(*state, cases[i][0], cases[i][1], cases[i][2]);
}

static void mistakes_in_a_source_are_told_with_their_place(void **state)
{
    static const char *const cases[][3] = {
        {"[[source]]\nname = 'x'\n", "3:", "type is missing"},
        {"[[source]]\ntype = 'flie'\n", "4:8", "did you mean \"file\"?"},
        {"[[source]]\ntype = 'file'\n", "3:", "path is missing"},
        {SOURCE "pth = 'x'\n", "6:1", "unknown key \"pth\"; did you mean \"path\"?"},
        {SOURCE "on_unavailable = 'skip|fail'\n", "6:18", "must be \"fail\""},
        {SOURCE "include = ['a..b']\n", "6:12", "\"a..b\" is no key"},
        {SOURCE "exclude = ['x', 'a**']\n", "6:17", "\"**\" must stand alone"},
        {SOURCE "prefix_key = 'a.'\n", "6:14", "\"a.\" is no key"},
        {SOURCE "rename = { 'a' = '' }\n", "6:12", "\"\" is no key"},
        {SOURCE "rename = { 'a..' = 'b' }\n", "6:12", "\"a..\" is no key"},
        {SOURCE "optional = 'yes'\n", "6:12", "optional must be true or false"},
        {SOURCE "name = \"a\\u001bb\"\n", "6:8", "control character"},
        {SOURCE "name = ''\n", "6:8", "name is empty"},
        {SOURCE SECOND SECOND, "10:", "two sources are called \"second\""},
        {SOURCE "path2 = '${X}'\n", "6:1", "unknown key"},
        {"[[source]]\ntype = 'file'\npath = '/${X}'\n", "5:8", "${X} is set nowhere"},
        {"[[source]]\ntype = 'file'\npath = 'a'\n", "5:8", "absolute path"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];

        snprintf(text, sizeof text, TOP "%s", cases[i][0]);
        assert_refused(*state, text, cases[i][1], cases[i][2]);
    }
}

static void mistakes_in_an_output_are_told_with_their_place(void **state)
{
    static const char *const cases[][3] = {
        {"[[output]]\nformat = 'env'\n", "10:", "path is missing"},
        {"[[output]]\npath = '/x'\n", "10:", "format is missing"},
        {OUTPUT "format2 = 'x'\n", "13:1", "did you mean \"format\"?"},
        {"[[output]]\npath = '/x'\nformat = 'yaml'\n", "12:10", "format must be \"env\""},
        {"[[output]]\npath = 'x'\nformat = 'env'\n", "11:8", "absolute path"},
        {"[[output]]\npath = '/run/envsync/x'\nformat = 'env'\n",
         "10:", "envsync keeps its own state"},
        {"[[output]]\npath = '/x/'\nformat = 'env'\n", "10:", "needs a file name"},
        {"[[output]]\npath = '/x/.a.envsync-abcdefghijk'\nformat = 'env'\n",
         "10:", "has the name of a temporary file"},
        {OUTPUT "from = ['secnod']\n", "13:9", "did you mean \"second\"?"},
        {OUTPUT "types = { a = 'number' }\n", "13:", "\"number\" is no type"},
        {OUTPUT "types = { 'a.' = 'list' }\n", "13:", "\"a.\" is no key"},
        {OUTPUT "mode = '0666'\n", "13:8", "mode must be an octal mode"},
        {OUTPUT "owner = 'no-such-user'\n", "13:9", "no user \"no-such-user\""},
        {OUTPUT "group = 'no-such-group'\n", "13:9", "no group \"no-such-group\""},
        {OUTPUT "key = 'a'\n", "13:7", "key is for value outputs"},
        {OUTPUT "case = 'lower'\n", "13:8", "case must be \"upper\" or \"keep\""},
        {"[[output]]\npath = '/x'\nformat = 'value'\n", "10:", "needs key"},
        {"[[output]]\npath = '/x'\nformat = 'value'\nkey = 'a..'\n", "13:7", "is no key"},
        {"[[output]]\npath = '/x'\nformat = 'value'\nkey = 'a'\nrequire = ['a']\n",
         "10:", "no meaning in a value output"},
        {"[[output]]\npath = '/x'\nformat = 'toml'\nallow = ['LD_PRELOAD']\n", "13:9",
         "allow is for env"},
        {"[[output]]\npath = '/x'\nformat = 'json'\ncase = 'keep'\n", "13:8", "case is for env"},
        {"[[output]]\npath = '/x'\nformat = 'ssm-json'\n", "10:", "SSM parameters only"},
        {OUTPUT OUTPUT, "13:", "two outputs are in one place"},
        {OUTPUT "[[output]]\npath = '//run/demo//out'\nformat = 'env'\n",
         "13:", "two outputs are in one place"},
        {OUTPUT "[[output]]\npath = '/run/demo/out/x'\nformat = 'env'\n", "13:", "would lie below"},
        {"[[output]]\npath = '/a/b'\nformat = 'env'\n[[output]]\npath = '/a'\nformat = 'env'\n",
         "10:", "would lie below"},
        {"[[output]]\npath = '/a/'\nformat = 'env'\n", "10:", "needs a file name"},
        {"[[output]]\npath = '/a/.b.envsync-0123456789a'\nformat = 'env'\n",
         "10:", "name of a temporary file"},
        {"[[output]]\npath = '/a/.b.envsync-new'\nformat = 'env'\n",
         "10:", "name of a temporary file"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];

        snprintf(text, sizeof text, TOP SOURCE SECOND "%s", cases[i][0]);
        assert_refused(*state, text, cases[i][1], cases[i][2]);
    }
}

static void sources_without_a_name_are_called_by_type_and_number(void **state)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    load_config(*state, TOP SOURCE SECOND SOURCE SOURCE, &config);
    assert_string_equal(config.sources[0].name, "file");
    assert_string_equal(config.sources[1].name, "second");
    assert_string_equal(config.sources[2].name, "file-2");
    assert_string_equal(config.sources[3].name, "file-3");
}

static void an_output_takes_from_those_that_from_names(void **state)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    load_config(*state, TOP SOURCE SECOND OUTPUT "from = ['second']\n", &config);
    assert_false(config.outputs[0].sources[0]);
    assert_true(config.outputs[0].sources[1]);
}

/* `exec` and `explain` need none; commands that write warn of it (see cmd/args.c). */
static void a_configuration_may_be_without_outputs(void **state)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    load_config(*state, TOP SOURCE, &config);
    assert_int_equal(config.n_outputs, 0);
}

static void state_and_last_good_have_their_defaults(void **state)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0}, other = {0};

    load_config(*state, TOP SOURCE OUTPUT, &config);
    assert_int_equal(config.fresh_for, 0);
    assert_int_equal(config.last_good.max_age, 72 * 3600 * 1000);
    assert_string_equal(config.last_good.at_rest, "no");
    load_config(*state,
                "fresh_for = '5m'\nname = 'two'\n" TOP
                "[last_good]\nmax_age = '1h'\nat_rest = 'plain'\n" SOURCE OUTPUT,
                &other);
    assert_int_equal(other.fresh_for, 300 * 1000);
    assert_int_equal(other.last_good.max_age, 3600 * 1000);
    assert_string_equal(other.last_good.at_rest, "plain");
    assert_string_equal(other.name, "two");
}

static enum es_class class_of(const char *path)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    const struct es_process process = {0};
    struct es_err err;

    assert_true(es_config_load(path, &process, &config, &err) < 0);
    assert_non_null(strstr(err.msg, path));
    return err.class;
}

static void a_configuration_that_is_no_file_is_a_wrong_configuration(void **state)
{
    struct dir *dir = *state;

    assert_int_equal(class_of(in(dir, "absent")), ES_CONFIG);
    assert_int_equal(class_of(in(dir, "absent/c.toml")), ES_CONFIG);
    assert_int_equal(class_of(dir->path), ES_CONFIG);
    assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
    assert_int_equal(class_of(in(dir, "fifo")), ES_CONFIG);
    put_file(in(dir, "large"), "");
    assert_int_equal(truncate(in(dir, "large"), (1 << 20) + 1), 0);
    assert_int_equal(class_of(in(dir, "large")), ES_CONFIG);
    put_bytes(in(dir, "binary"), "app = \"\xff\"\n", 10, 0644);
    assert_int_equal(class_of(in(dir, "binary")), ES_CONFIG);
}

static void links_in_a_circle_are_denied(void **state)
{
    struct dir *dir = *state;

    assert_int_equal(symlink("loop", in(dir, "loop")), 0);
    assert_int_equal(class_of(in(dir, "loop")), ES_DENIED);
}

static void whoever_else_could_write_it_would_decide_what_root_does(void **state)
{
    struct dir *dir = *state;
    const char *path = in(dir, "c");

    NEEDS_ROOT();
    put_file(path, TOP SOURCE);
    assert_int_equal(chmod(path, 0646), 0);
    assert_int_equal(class_of(path), ES_DENIED);
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(chown(path, 0, THE_APP), 0);
    assert_int_equal(class_of(path), ES_DENIED);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chown(path, THE_APP, 0), 0);
    assert_int_equal(class_of(path), ES_DENIED);
}

static int load_as_stranger(void *path)
{
    return class_of(path) == ES_DENIED ? 0 : 1;
}

static void one_that_may_not_be_read_is_denied(void **state)
{
    char path[256];

    NEEDS_ROOT();
    snprintf(path, sizeof path, "%s", in(*state, "c"));
    put_bytes(path, TOP SOURCE, strlen(TOP SOURCE), 0600);
    assert_int_equal(as_user(STRANGER, load_as_stranger, path), 0);
}

static int load_again(void *data, struct es_err *err)
{
    static const struct es_process process = {0};
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    return es_config_load(data, &process, &config, err);
}

static void whichever_call_fails_loading_says_so(void **state)
{
    static const struct ordeal o = {
        .run = load_again, .classes = 1U << ES_CONFIG | 1U << ES_INTERNAL | 1U << ES_DENIED};
    char path[100];

    snprintf(path, sizeof path, "%s", in(*state, "c.toml"));
    put_file(path, TOP SOURCE SECOND
             "[[output]]\npath = \"/etc/demo/c\"\nformat = \"toml\"\ninclude = [\"a.*\"]\n"
             "exclude = [\"a.b\"]\nrequire = [\"a.c\"]\n[output.types]\n\"a.c\" = \"json\"\n"
             "[[output]]\npath = \"/etc/demo/v\"\nformat = \"value\"\nkey = \"a.c\"\n");
    ordeal(&o, path, EIO);
}

static void a_path_that_the_system_could_not_take_is_refused(void **state)
{
    char text[2 * PATH_MAX], path[PATH_MAX + 1] = "";

    for (size_t i = 0; i < PATH_MAX; i++)
        path[i] = i % 2 ? 'a' : '/';
    snprintf(text, sizeof text, TOP SOURCE "[[output]]\npath = '%s'\nformat = 'env'\n", path);
    assert_refused(*state, text, "6:", "has more than 4095 bytes");
}

/* A temporary file of it would not. */
static void a_name_that_leaves_no_room_for_a_longer_one_is_refused(void **state)
{
    char text[1000], name[NAME_MAX - 22] = "";

    memset(name, 'a', sizeof name - 1);
    snprintf(text, sizeof text, TOP SOURCE "[[output]]\npath = '/x/%s'\nformat = 'env'\n", name);
    assert_refused(*state, text, "6:", "an output needs a file name of at most 231 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(what_is_left_out_has_its_default),
        test_in_dir(variables_are_in_place_everywhere),
        test_in_dir(mistakes_at_the_top_are_told_with_their_place),
        test_in_dir(mistakes_in_a_source_are_told_with_their_place),
        test_in_dir(mistakes_in_an_output_are_told_with_their_place),
        test_in_dir(sources_without_a_name_are_called_by_type_and_number),
        test_in_dir(an_output_takes_from_those_that_from_names),
        test_in_dir(a_configuration_may_be_without_outputs),
        test_in_dir(state_and_last_good_have_their_defaults),
        test_in_dir(a_configuration_that_is_no_file_is_a_wrong_configuration),
        test_in_dir(links_in_a_circle_are_denied),
        test_in_dir(whoever_else_could_write_it_would_decide_what_root_does),
        test_in_dir(one_that_may_not_be_read_is_denied),
        test_in_dir(whichever_call_fails_loading_says_so),
        test_in_dir(a_path_that_the_system_could_not_take_is_refused),
        test_in_dir(a_name_that_leaves_no_room_for_a_longer_one_is_refused),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
