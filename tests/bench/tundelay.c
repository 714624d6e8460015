/* A link with a delay between two network namespaces, for kernels without netem.
 *
 *   tundelay NAMESPACE NAMESPACE RTT_US
 *
 * Makes a TUN device "bench0" in each (files below /run/netns), prints a line once both are there,
 * and hands packets from one to the other, each half of RTT_US after it came. Addresses are the
 * caller's to give. Runs as root until it is killed; the devices go with it. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 65536, PACKET = 1600, AT_ONCE = 256 };

struct packet {
    int64_t due;
    ssize_t len;
    unsigned char data[PACKET];
};

struct way {
    int from, to;
    struct packet *ring;
    unsigned head, tail;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int device_in(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "bench0"};
    char path[256];
    int ns, fd;

    snprintf(path, sizeof path, "/run/netns/%s", name);
    ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
        die(path);
    close(ns);
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
        die("/dev/net/tun");
    return fd;
}

static void take_in(struct way *way, int64_t delay)
{
    for (int i = 0; i < AT_ONCE && way->tail - way->head < PACKETS; i++) {
        struct packet *packet = &way->ring[way->tail % PACKETS];

        packet->len = read(way->from, packet->data, sizeof packet->data);
        if (packet->len <= 0)
            return;
        packet->due = now_ns() + delay;
        way->tail++;
    }
}

/* A full device drops packets, as a full queue on the way would. */
static void let_go(struct way *way)
{
    while (way->head != way->tail && way->ring[way->head % PACKETS].due <= now_ns()) {
        const struct packet *packet = &way->ring[way->head++ % PACKETS];

        (void)!write(way->to, packet->data, (size_t)packet->len);
    }
}

int main(int argc, char **argv)
{
    struct way ways[2];
    int64_t delay;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 4)
        return 64;
    delay = atoll(argv[3]) * 1000 / 2;
    for (int i = 0; i < 2; i++)
        ways[i] = (struct way){.from = device_in(argv[1 + i]),
                               .ring = calloc(PACKETS, sizeof *ways[i].ring)};
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};

        ways[i].to = ways[1 - i].from;
        if (!ways[i].ring || epoll_ctl(epoll, EPOLL_CTL_ADD, ways[i].from, &event) < 0)
            die("epoll");
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[2];
        struct timespec wait = {.tv_sec = 3600};

        for (int i = 0; i < 2; i++)
            if (ways[i].head != ways[i].tail) {
                int64_t ns = ways[i].ring[ways[i].head % PACKETS].due - now_ns();

                if (ns < 0)
                    ns = 0;
                if (wait.tv_sec || ns < wait.tv_nsec)
                    wait = (struct timespec){.tv_nsec = ns};
            }
        epoll_pwait2(epoll, events, 2, &wait, NULL);
        for (int i = 0; i < 2; i++) {
            take_in(&ways[i], delay);
            let_go(&ways[i]);
        }
    }
}
