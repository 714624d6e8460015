/* What a unit's settings leave of root's rights, system calls and the network, as far as envsync
 * needs it. Computed from the unit alone, by the rules of systemd 247 to 257. */
#ifndef ENVSYNC_CORE_UNIT_RIGHTS_H
#define ENVSYNC_CORE_UNIT_RIGHTS_H

#include "unit.h"

/* The setting that takes a right away, or NULL. */
enum es_right {
    ES_RIGHT_CHOWN,
    ES_RIGHT_DAC_OVERRIDE,
    ES_RIGHT_FOWNER,
    ES_RIGHT_SETGID,
    ES_RIGHT_SETUID,
    ES_RIGHTS
};
extern const char *const es_right_names[ES_RIGHTS]; /* "CAP_CHOWN" */
const struct es_unit_setting *es_unit_lacks_right(const struct es_unit *unit, enum es_right right);

/* The setting of SystemCallFilter= that refuses chown(), setresuid(), capset() or their like. 0, or
 * -ENOMEM. */
int es_unit_filters_calls(const struct es_unit *unit, const struct es_unit_setting **ret);

/* The setting that keeps the unit from sockets of this host, or NULL in ret. */
int es_unit_lacks_unix(const struct es_unit *unit, const struct es_unit_setting **ret,
                       struct es_err *err);

/* The setting that keeps the unit from the network, or NULL in ret. `seccomp`: that counts, too. */
int es_unit_lacks_network(const struct es_unit *unit, bool seccomp,
                          const struct es_unit_setting **ret, struct es_err *err);

#endif
