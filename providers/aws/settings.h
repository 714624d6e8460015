/* What options, environment and profiles say together about one AWS source. Nothing here asks the
 * network. The profile files are the user's own: trusted, but parsed with care. */
#ifndef ENVSYNC_AWS_SETTINGS_H
#define ENVSYNC_AWS_SETTINGS_H

#include "endpoint.h"
#include "options.h"
#include "profile.h"

enum { ES_AWS_MAX_TOKEN = 65536 }; /* bytes of a token file */

struct es_aws_settings {
    const struct es_fetch *fetch;
    const struct es_aws_options *options;
    const struct es_surroundings *surroundings;
    struct es_aws_profiles *profiles;
    const char *profile; /* its name, "default" where none is named */
    bool profile_named;  /* by option or environment */
    bool profile_chosen; /* by option: it goes before the environment's keys */
    bool fips, dual_stack;
};

/* ES_CONFIG for a file that is damaged, that was named and not handed over, or a profile that is
 * named and not there. The settings borrow fetch and options. */
int es_aws_settings_init(struct es_aws_settings *settings, const struct es_fetch *fetch,
                         const struct es_aws_options *options, struct es_err *err);
void es_aws_settings_done(struct es_aws_settings *settings);

/* All borrowed; NULL where unset or empty. */
const char *es_aws_variable(const struct es_aws_settings *settings, const char *name);
const char *es_aws_of_profile(const struct es_aws_settings *settings, const char *profile,
                              const char *key);

/* The URL that is configured for a service, and whence it comes in *ret_origin, or NULL. `own`: the
 * service is the source's, to which the option `endpoint` applies. */
const char *es_aws_custom_endpoint(const struct es_aws_settings *settings,
                                   enum es_aws_service service, bool own, const char **ret_origin);

/* The region where the option, environment or profile says it, and whence; or NULL. Unchecked. */
const char *es_aws_local_region(const struct es_aws_settings *settings, const char **ret_origin);

/* The file of a role that was handed over, or NULL. */
const struct es_file *es_aws_file(const struct es_aws_settings *settings, const char *role);

/* Reads a file of a role from its beginning. `variable` is what named it, for messages. */
int es_aws_read_file(const struct es_aws_settings *settings, const char *role, const char *variable,
                     const char *named, size_t max, struct es_buf *ret, struct es_err *err);

/* Reads a file that a profile names: as the worker's user, whom the error names. */
int es_aws_read_path(const char *path, const char *what, size_t max, struct es_buf *ret,
                     struct es_err *err);

/* The PEM of the authorities to trust; ret stays empty where it is the system's. */
int es_aws_read_ca(const struct es_aws_settings *settings, struct es_buf *ret, const char **ret_of,
                   struct es_err *err);

#endif
