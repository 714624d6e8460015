/* providers/cloud-init/local.c: whatever the machine has, the answer is usable or there is none. */
#include "../../providers/cloud-init/facts.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

static void an_ipv4_address_is_one_that_others_could_use(void **state)
{
    struct es_address own;
    struct in_addr v4;

    (void)state;
    if (!es_local_address(AF_INET, &own))
        return;
    assert_int_equal(inet_pton(AF_INET, own.text, &v4), 1);
    assert_int_not_equal(v4.s_addr, INADDR_ANY);
    assert_int_not_equal(ntohl(v4.s_addr) >> 24, 127);
    assert_int_not_equal(ntohl(v4.s_addr) >> 16, 0xa9fe);
}

static void an_ipv6_address_is_one_that_others_could_use(void **state)
{
    struct es_address own;
    struct in6_addr v6;

    (void)state;
    if (!es_local_address(AF_INET6, &own))
        return;
    assert_int_equal(inet_pton(AF_INET6, own.text, &v6), 1);
    assert_false(IN6_IS_ADDR_UNSPECIFIED(&v6));
    assert_false(IN6_IS_ADDR_LOOPBACK(&v6));
    assert_false(IN6_IS_ADDR_LINKLOCAL(&v6));
}

static void without_a_socket_there_is_no_address(void **state)
{
    struct es_address own = {"untouched"};
    struct rlimit old, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){0, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_false(es_local_address(AF_INET, &own));
    assert_false(es_local_address(AF_INET6, &own));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_string_equal(own.text, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_one_that_others_could_use),
        cmocka_unit_test(an_ipv6_address_is_one_that_others_could_use),
        cmocka_unit_test(without_a_socket_there_is_no_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
