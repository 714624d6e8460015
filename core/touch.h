/* Touching a file or a directory that somebody watches. */
#ifndef ENVSYNC_CORE_TOUCH_H
#define ENVSYNC_CORE_TOUCH_H

#include "envsync/err.h"

/* Gives it the present time; a file that is not there is made, empty, 0644, and for the owner of
 * its directory, who may want to touch it too. `path` is absolute, `root` put before it. */
int es_touch(const char *root, const char *path, struct es_err *err);

#endif
