/* The address that this machine would use towards the world: some clouds do not write it into their
 * metadata. Connecting a datagram socket makes the kernel choose route and source address and sends
 * no packet; the peers are of the ranges kept for documentation. */
#include "facts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t set_peer(int family, union address *peer)
{
    *peer = (union address){0};
    if (family == AF_INET) {
        peer->v4.sin_family = AF_INET;
        peer->v4.sin_port = htons(9);
        inet_pton(AF_INET, "192.0.2.1", &peer->v4.sin_addr);
        return sizeof peer->v4;
    }
    peer->v6.sin6_family = AF_INET6;
    peer->v6.sin6_port = htons(9);
    inet_pton(AF_INET6, "2001:db8::1", &peer->v6.sin6_addr);
    return sizeof peer->v6;
}

/* Loopback and link-local addresses are of no use to anybody else. */
static bool is_global(const union address *own)
{
    const struct in6_addr *v6 = &own->v6.sin6_addr;
    uint32_t v4 = ntohl(own->v4.sin_addr.s_addr);

    if (own->any.sa_family == AF_INET)
        return v4 != INADDR_ANY && v4 >> 24 != 127 && v4 >> 16 != 0xa9fe;
    return own->any.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(v6) &&
           !IN6_IS_ADDR_LOOPBACK(v6) && !IN6_IS_ADDR_LINKLOCAL(v6) && !IN6_IS_ADDR_V4MAPPED(v6);
}

bool es_local_address(int family, struct es_address *ret)
{
    ES_CLEANUP(es_close) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    union address peer, own = {0};
    socklen_t len = set_peer(family, &peer), own_len = sizeof own;
    struct es_address address;

    if (fd < 0 || connect(fd, &peer.any, len) < 0 || getsockname(fd, &own.any, &own_len) < 0)
        return false;
    if (!is_global(&own) ||
        !inet_ntop(family, family == AF_INET ? (void *)&own.v4.sin_addr : (void *)&own.v6.sin6_addr,
                   address.text, sizeof address.text))
        return false;
    *ret = address;
    return true;
}
