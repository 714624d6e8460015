/* AWS's config and credentials files, by the grammar that botocore reads them with.
 *
 *   - Lines that start, after spaces, with '#' or ';' are comments; there are none behind a value.
 *   - [section]; then name = value (or name: value), names in lower case, spaces around both gone.
 *   - A line that is indented deeper than the name above it continues its value. A value that is
 *     empty on its own line holds sub-keys on the lines below: "s3 =" then "  key = value".
 *   - In the config file profiles are [default] and [profile NAME] (quotes around NAME allowed),
 *     services [services NAME]. In the credentials file they are [NAME]; what it says of a
 *     profile goes before what the config file says, key by key.
 *   - A section or a name that stands twice is an error, as is a line that is none of these.
 *
 * [DEFAULT] (in capitals) is a section like any other. The files are the user's own and are
 * trusted to be his, not to be well-formed: at most 1 MiB, UTF-8, no NUL. Values may be secrets:
 * no message holds one.
 */
#ifndef ENVSYNC_AWS_PROFILE_H
#define ENVSYNC_AWS_PROFILE_H

#include "envsync/buf.h"
#include "envsync/err.h"

enum { ES_AWS_MAX_PROFILE_FILE = 1 << 20 };

enum es_aws_profile_file { ES_AWS_CONFIG_FILE, ES_AWS_CREDENTIALS_FILE };

struct es_aws_profiles;
int es_aws_profiles_new(struct es_aws_profiles **ret, struct es_err *err);
void es_aws_profiles_free(struct es_aws_profiles *profiles); /* NULL is fine */
void es_aws_profiles_freep(struct es_aws_profiles **profiles);

/* Reads one file's text; each kind once, in any order. ES_CONFIG, "LINE: what is wrong" (the
 * caller puts the path before it). After a failure only free is allowed. */
int es_aws_profiles_read(struct es_aws_profiles *profiles, enum es_aws_profile_file which,
                         const char *text, size_t len, struct es_err *err);

/* Whether either file has the profile, also an empty one. */
bool es_aws_profile_exists(const struct es_aws_profiles *profiles, const char *profile);

/* The value, borrowed, or NULL. An empty value is one. key is in lower case. A value that holds
 * sub-keys is none by itself. */
const struct es_buf *es_aws_profile_get(const struct es_aws_profiles *profiles, const char *profile,
                                        const char *key);

/* The sub-key of a profile's key: ("x", "s3", "addressing_style"). */
const struct es_buf *es_aws_profile_sub(const struct es_aws_profiles *profiles, const char *profile,
                                        const char *key, const char *sub);

/* What the profile's `services` section says: ("x", "ssm", "endpoint_url"). */
const struct es_buf *es_aws_profile_service(const struct es_aws_profiles *profiles,
                                            const char *profile, const char *service,
                                            const char *key);

#endif
