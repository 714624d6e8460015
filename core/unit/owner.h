/* Who else than root can change a file that root reads? From the unit, the configuration, and what
 * lies on this host already. */
#ifndef ENVSYNC_CORE_UNIT_OWNER_H
#define ENVSYNC_CORE_UNIT_OWNER_H

#include "judge.h"

/* Fills ret with who can write the file or a directory above it ("/run/foo is the app's: ..."), and
 * leaves it empty where nobody can. 0, or -ENOMEM. */
int es_unit_writer(const struct es_judge *judge, const char *path, struct es_buf *ret);

/* The directory that systemd makes for the unit's user, and that the path is in; or NULL. */
const struct es_unit_dir *es_unit_dir_of(const struct es_judge *judge, const char *path);

#endif
