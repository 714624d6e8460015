/* Between the files that compile the configuration: config.c, source.c, output.c. */
#ifndef ENVSYNC_CORE_COMPILE_H
#define ENVSYNC_CORE_COMPILE_H

#include "config.h"
#include "expand.h"

#include <stdarg.h>

/* "FILE:LINE:COLUMN: ..." and ES_CONFIG. */
int es_config_fail(const struct es_config *config, const struct es_pos *pos, struct es_err *err,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

int es_config_group(const struct es_config *config, const char *name, const struct es_pos *pos,
                    gid_t *ret, struct es_err *err);
int es_config_user(const struct es_config *config, const char *name, const struct es_pos *pos,
                   uid_t *ret, struct es_err *err);

/* Puts FILE:LINE:COLUMN before a message that has none. Returns r. */
int es_config_place(const struct es_config *config, const struct es_pos *pos, int r,
                    struct es_err *err);

int es_globs_compile(const struct es_config *config, const struct es_strings *texts,
                     struct es_globs *ret, struct es_err *err);
void es_globs_done(struct es_globs *globs);

/* Units get their suffixes, and what cannot be done is refused. */
int es_on_change_compile(const struct es_config *config, struct es_on_change *on_change,
                         struct es_err *err);
void es_on_change_done(struct es_on_change *on_change);

/* What was filled before a failure is ended by the *_done() of the configuration. */
int es_source_compile(struct es_config *config, struct es_value *table,
                      const struct es_variables *variables, struct es_source *source,
                      struct es_err *err);
int es_sources_name(struct es_config *config, struct es_err *err);
void es_source_done(struct es_source *source);

int es_output_compile(struct es_config *config, struct es_value *table,
                      const struct es_variables *variables, struct es_output *output,
                      struct es_err *err);
/* Fails where a path lies in what envsync keeps for itself. */
int es_config_check_own(const struct es_config *config, const struct es_pos *pos, const char *path,
                        struct es_err *err);
int es_outputs_check(const struct es_config *config, struct es_err *err);
void es_output_done(struct es_output *output);

#endif
