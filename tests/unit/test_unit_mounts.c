/* core/unit: mounts.c, rights.c. The mounts were compared with systemd's in
 * tests/e2e/test_unit_systemd.py; here are the corners. */
#include "core_case.h"

#include "core/unit/mounts.h"
#include "core/unit/rights.h"

static struct es_unit unit_of(const char *settings)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_unit unit = {.name = strdup("foo.service")};
    struct es_err err = {.msg = "nothing"};

    assert_int_equal(es_buf_printf(&text, "[Service]\n%s\n", settings), 0);
    if (es_unit_parse(&unit, "F", text.data, text.len, &err) < 0)
        fail_msg("refused: %s", err.msg);
    return unit;
}

static void assert_access(const char *settings, const char *path, enum es_access access)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of(settings);
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    const struct es_unit_mount *mount;
    struct es_err err;

    assert_int_equal(es_unit_mounts_read(&unit, &mounts, &err), 0);
    mount = es_unit_mounts_find(&mounts, path);
    if ((mount ? mount->access : ES_ACCESS_FULL) != access)
        fail_msg("%s with %s is %d", path, settings, mount ? (int)mount->access : -1);
}

static void the_longest_path_decides_and_then_the_stricter_setting(void **state)
{
    (void)state;
    assert_access("", "/run/foo", ES_ACCESS_FULL);
    assert_access("ProtectSystem=strict", "/run/foo", ES_ACCESS_READ);
    assert_access("ProtectSystem=strict\nReadWritePaths=/run", "/run/foo", ES_ACCESS_FULL);
    assert_access("ProtectSystem=strict\nReadWritePaths=/run/fo", "/run/foo", ES_ACCESS_READ);
    assert_access("ReadWritePaths=/run\nReadOnlyPaths=/run", "/run/foo", ES_ACCESS_READ);
    assert_access("ProtectSystem=strict\nReadWritePaths=/", "/run/foo", ES_ACCESS_READ);
    assert_access("ProtectSystem=full", "/etc/foo", ES_ACCESS_READ);
    assert_access("ProtectSystem=yes", "/etc/foo", ES_ACCESS_FULL);
    assert_access("ProtectSystem=strict\nProtectSystem=no", "/etc/foo", ES_ACCESS_FULL);
    assert_access("DynamicUser=yes", "/etc/foo", ES_ACCESS_READ);
    assert_access("DynamicUser=yes", "/tmp/foo", ES_ACCESS_SHARED);
    assert_access("ProtectHome=yes", "/home/foo", ES_ACCESS_NONE);
    assert_access("ProtectHome=read-only", "/root/x", ES_ACCESS_READ);
    assert_access("TemporaryFileSystem=/srv:ro", "/srv/x", ES_ACCESS_NONE);
    assert_access("TemporaryFileSystem=/srv:size=1", "/srv/x", ES_ACCESS_EMPTY);
    assert_access("BindPaths=/a:/srv:rbind", "/srv/x", ES_ACCESS_BOUND);
    assert_access("InaccessiblePaths=/srv\nReadWritePaths=/srv/x", "/srv/x", ES_ACCESS_NONE);
    assert_access("InaccessiblePaths=/srv\nBindPaths=/srv/x", "/srv/x", ES_ACCESS_NONE);
    assert_access("ProtectHome=yes\nReadWritePaths=/home/x", "/home/x/y", ES_ACCESS_NONE);
    assert_access("ProtectHome=read-only\nReadWritePaths=/home/x", "/home/x/y", ES_ACCESS_FULL);
    assert_access("TemporaryFileSystem=/srv\nReadWritePaths=/srv/x", "/srv/x", ES_ACCESS_EMPTY);
    assert_access("TemporaryFileSystem=/srv\nBindPaths=/srv/x\nReadOnlyPaths=/srv/x/y", "/srv/x/y",
                  ES_ACCESS_READ);
    assert_access("ProtectSystem=strict\nRuntimeDirectory=foo:bar", "/run/foo/x", ES_ACCESS_FULL);
}

static void paths_are_simplified_or_refused(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {{"/a//b/", "/a/b"},       {"/", "/"},           {"//", "/"},
                 {"/var/run/x", "/run/x"}, {"/var/run", "/run"}, {"a", NULL},
                 {"/a/../b", NULL},        {"/./a", NULL},       {"/var/runner", "/var/runner"},
                 {"/..a/.b", "/..a/.b"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];

        strcpy(path, cases[i].from);
        assert_int_equal(es_path_simplify(path), cases[i].to != NULL);
        if (cases[i].to)
            assert_string_equal(path, cases[i].to);
    }
    assert_string_equal(es_path_base("/a/b"), "b");
    assert_string_equal(es_path_base("b"), "b");
    assert_true(es_path_below("/a/b", "/a"));
    assert_true(es_path_below("/a", "/a"));
    assert_true(es_path_below("/a", "/"));
    assert_false(es_path_below("/ab", "/a"));
}

static void assert_right(const char *settings, enum es_right right, bool lacks)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of(settings);

    if ((es_unit_lacks_right(&unit, right) != NULL) != lacks)
        fail_msg("%s: %s", settings, es_right_names[right]);
}

#define CAPS "CapabilityBoundingSet="

static void capabilities_add_up_as_in_systemd(void **state)
{
    (void)state;
    assert_right("", ES_RIGHT_CHOWN, false);
    assert_right(CAPS, ES_RIGHT_CHOWN, true);
    assert_right(CAPS "~", ES_RIGHT_CHOWN, false);
    assert_right(CAPS "CAP_SETUID", ES_RIGHT_CHOWN, true);
    assert_right(CAPS "cap_chown CAP_SETUID", ES_RIGHT_CHOWN, false);
    assert_right(CAPS "~CAP_CHOWN", ES_RIGHT_CHOWN, true);
    assert_right(CAPS "~CAP_SYS_ADMIN", ES_RIGHT_CHOWN, false);
    assert_right(CAPS "CAP_SETUID\n" CAPS "CAP_CHOWN", ES_RIGHT_CHOWN, false);
    assert_right(CAPS "CAP_SETUID\n" CAPS "CAP_CHOWN", ES_RIGHT_SETUID, false);
    assert_right(CAPS "CAP_CHOWN\n" CAPS "~CAP_CHOWN", ES_RIGHT_CHOWN, true);
    assert_right(CAPS "~CAP_CHOWN\n" CAPS "CAP_CHOWN", ES_RIGHT_CHOWN, false);
    assert_right(CAPS "CAP_CHOWN\n" CAPS "\n" CAPS "CAP_SETUID", ES_RIGHT_CHOWN, true);
}

static void assert_filtered(const char *settings, bool filtered)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of(settings);
    const struct es_unit_setting *at = NULL;

    assert_int_equal(es_unit_filters_calls(&unit, &at), 0);
    if ((at != NULL) != filtered)
        fail_msg("%s", settings);
}

#define CALLS "SystemCallFilter="

static void system_calls_that_are_refused_are_found(void **state)
{
    (void)state;
    assert_filtered("", false);
    assert_filtered(CALLS "@system-service", false);
    assert_filtered(CALLS "@system-service\n" CALLS "~@privileged @resources", true);
    assert_filtered(CALLS "~@setuid:EPERM", true);
    assert_filtered(CALLS "~@mount", false);
    assert_filtered(CALLS "@system-service\n" CALLS "~@privileged\n" CALLS "@chown @setuid capset",
                    false);
    assert_filtered(CALLS "@system-service\n" CALLS "~@privileged\n" CALLS "@chown @setuid", true);
    assert_filtered(CALLS "@system-service\n" CALLS "~@privileged\n" CALLS "@chown", true);
    assert_filtered(CALLS "~@privileged\n" CALLS, false);
    /* A list of what is allowed. */
    assert_filtered(CALLS "@basic-io @file-system @network-io @process", true);
    assert_filtered(CALLS "@basic-io @chown @setuid", true);
    assert_filtered(CALLS "@basic-io @chown @setuid capset", false);
    assert_filtered(CALLS "@basic-io\n" CALLS "@system-service", false);
    assert_filtered(CALLS "~@mount\n" CALLS "\n" CALLS "@basic-io", true);
    assert_filtered(CALLS "~@mount\n" CALLS "@basic-io", false);
    assert_filtered(CALLS "@known", false);
}

static void assert_network(const char *settings, bool seccomp, bool lacks)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of(settings);
    const struct es_unit_setting *at = NULL;
    struct es_err err;

    assert_int_equal(es_unit_lacks_network(&unit, seccomp, &at, &err), 0);
    if ((at != NULL) != lacks)
        fail_msg("%s", settings);
}

#define FAMILIES "RestrictAddressFamilies="

static void a_unit_without_network_is_found(void **state)
{
    (void)state;
    assert_network("PrivateNetwork=yes", false, true);
    assert_network(FAMILIES "AF_UNIX", true, true);
    assert_network(FAMILIES "AF_UNIX", false, false);
    assert_network(FAMILIES "AF_UNIX\n" FAMILIES "AF_INET AF_INET6", true, false);
    assert_network(FAMILIES "none", true, true);
    assert_network(FAMILIES "~AF_INET AF_INET6", true, true);
    assert_network(FAMILIES "~AF_PACKET", true, false);
    assert_network(FAMILIES "AF_UNIX\n" FAMILIES, true, false);
    assert_network("IPAddressDeny=any", true, true);
    assert_network("IPAddressDeny=any\nIPAddressAllow=localhost", true, true);
    assert_network("IPAddressDeny=any\nIPAddressAllow=10.0.0.0/8", true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_path_decides_and_then_the_stricter_setting),
        cmocka_unit_test(paths_are_simplified_or_refused),
        cmocka_unit_test(capabilities_add_up_as_in_systemd),
        cmocka_unit_test(system_calls_that_are_refused_are_found),
        cmocka_unit_test(a_unit_without_network_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
