/* Whole runs of envsync in the test's own process, from the lock to the last rename. The worker and
 * systemd-creds are played: what they say is made of a version number, so that each output tells
 * of which run it is. A program that uses this is linked with $(run_flags).
 */
#ifndef ENVSYNC_TESTS_RUN_CASE_H
#define ENVSYNC_TESTS_RUN_CASE_H

#include "core_case.h"

#include "core/run.h"

/* A source of parameters, and one of merged and mirrored objects. */
#define PARAMETERS "[[source]]\ntype = \"ssm\"\npath = \"/demo/\"\nrename = { \"old\" = \"new\" }\n"
#define OBJECTS                                                                                    \
    "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmerge = [\"*.env\"]\n"                        \
    "mirror = [\"*.pem\"]\ndir = \"/etc/demo/m\"\nprune = true\n"
/* One output of each shape; the first lies below /run. */
#define OUTPUTS                                                                                    \
    "[[output]]\npath = \"/run/demo/environment\"\nformat = \"env\"\n"                             \
    "require = [\"DB_PASSWORD\"]\ninclude = [\"db.*\", \"list\", \"a_segment*.*\"]\n"              \
    "[output.types]\nlist = \"list\"\n"                                                            \
    "[[output]]\npath = \"/etc/demo/config.toml\"\nformat = \"toml\"\n"                            \
    "require = [\"db\"]\nexclude = [\"a_segment*.*\"]\n[output.types]\n"                           \
    "json = \"json\"\ntext = \"string\"\n"                                                         \
    "[[output]]\npath = \"/etc/demo/parameters.json\"\nformat = \"ssm-json\"\n"                    \
    "from = [\"ssm\"]\ninclude = [\"db.*\"]\n"                                                     \
    "[[output]]\npath = \"/etc/demo/password\"\nformat = \"value\"\nkey = \"db.password\"\n"
#define ON_CHANGE "[on_change]\ntouch = [\"/etc/demo/flag\"]\nrestart = [\"demo.service\"]\n"

#define CONFIG TOP PARAMETERS OBJECTS OUTPUTS ON_CHANGE
#define SEALED CONFIG "[last_good]\nat_rest = \"encrypted\"\n"

struct world {
    struct dir *dir;
    struct es_config config;
    bool release;
    bool away;          /* the parameters cannot be reached */
    unsigned version;   /* that the sources have */
    unsigned published; /* that is in place, for who counts */
    char pointer[34];   /* to the present and the previous set, likewise */
};

void world_begin(struct world *w, void **state, const char *config);
void world_end(struct world *w);
/* Another configuration of the same app. */
void world_configure(struct world *w, const char *config);

int world_sync(struct world *w, struct es_report *report, struct es_err *err);
void world_sync_now(struct world *w);

/* "CURRENT PREVIOUS" of the pointer in the disk half. */
void world_pointer(const struct world *w, char text[34]);

/* In how many of the five places is this version? Two of them are told by name. */
unsigned world_at_version(const struct world *w, unsigned version);
#define ENVIRONMENT "run/demo/environment"
#define MIRRORED    "etc/demo/m/a.pem"
bool world_is_version(const struct world *w, const char *name, unsigned version);

/* Temporary files and half-made directories. */
size_t world_leftovers(const struct world *w);

/* All that the sources have is in its place. */
void world_assert_whole(const struct world *w);

#endif
