/* See settings.h. */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CA = 4 << 20 };

static bool given(const char *text)
{
    return text && *text;
}

const char *es_aws_variable(const struct es_aws_settings *settings, const char *name)
{
    const char *value = es_surroundings_get(settings->surroundings, name);

    return given(value) ? value : NULL;
}

const char *es_aws_of_profile(const struct es_aws_settings *settings, const char *profile,
                              const char *key)
{
    const struct es_buf *value = es_aws_profile_get(settings->profiles, profile, key);

    return value && value->len ? es_buf_str(value) : NULL;
}

const struct es_file *es_aws_file(const struct es_aws_settings *settings, const char *role)
{
    for (size_t i = 0; i < settings->fetch->n_files; i++)
        if (strcmp(settings->fetch->files[i].role, role) == 0)
            return &settings->fetch->files[i];
    return NULL;
}

static int read_fd(int fd, const char *path, size_t max, struct es_buf *ret, struct es_err *err)
{
    int r;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return es_fail_errno(err, ES_CONFIG, errno, "%s", path);
    r = es_buf_read_fd(ret, fd, max);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r == -EFBIG)
        return es_fail(err, ES_CONFIG, EFBIG, "%s is larger than %zu bytes", path, max);
    if (r < 0)
        return es_fail_errno(err, ES_CONFIG, -r, "%s", path);
    return 0;
}

int es_aws_read_file(const struct es_aws_settings *settings, const char *role, const char *variable,
                     const char *named, size_t max, struct es_buf *ret, struct es_err *err)
{
    const struct es_file *file = es_aws_file(settings, role);

    if (!file)
        return es_fail(err, ES_CONFIG, ENOENT,
                       "%s names %s, which is not there, may not be read, or is not an absolute "
                       "path",
                       variable, named);
    return read_fd(file->fd, file->path, max, ret, err);
}

int es_aws_read_path(const char *path, const char *what, size_t max, struct es_buf *ret,
                     struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = -1;
    struct stat st;

    if (path[0] != '/')
        return es_fail(err, ES_CONFIG, EINVAL, "%s: write an absolute path", what);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == EACCES) {
        const struct passwd *user = getpwuid(geteuid());

        return es_fail(err, ES_DENIED, EACCES,
                       "%s: %s may not be read by the user %s, whom AWS's sources run as", what,
                       path, user ? user->pw_name : "of the worker");
    }
    if (fd < 0)
        return es_fail_errno(err, ES_CONFIG, errno, "%s: %s", what, path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return es_fail(err, ES_CONFIG, EINVAL, "%s: %s is no regular file", what, path);
    return read_fd(fd, path, max, ret, err);
}

static int read_profiles(struct es_aws_settings *settings, enum es_aws_profile_file which,
                         const char *role, const char *variable, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const char *named = es_aws_variable(settings, variable);
    const struct es_file *file = es_aws_file(settings, role);
    int r;

    /* The usual way to say that there is none; any other name has to be a file's. */
    if (!file && (!named || strcmp(named, "/dev/null") == 0))
        return 0;
    r = es_aws_read_file(settings, role, variable, named ? named : "", ES_AWS_MAX_PROFILE_FILE,
                         &text, err);
    if (r < 0)
        return r;
    r = es_aws_profiles_read(settings->profiles, which, es_buf_str(&text), text.len, err);
    if (r < 0 && file)
        es_context(err, "%s", file->path);
    return r;
}

static int choose_profile(struct es_aws_settings *settings, struct es_err *err)
{
    const char *by = "profile";

    settings->profile = given(settings->options->profile) ? settings->options->profile : NULL;
    settings->profile_chosen = settings->profile != NULL;
    if (!settings->profile)
        settings->profile = es_aws_variable(settings, by = "AWS_PROFILE");
    if (!settings->profile)
        settings->profile = es_aws_variable(settings, by = "AWS_DEFAULT_PROFILE");
    settings->profile_named = settings->profile != NULL;
    if (!settings->profile)
        settings->profile = "default";
    if (settings->profile_named && !es_aws_profile_exists(settings->profiles, settings->profile))
        return es_fail(err, ES_CONFIG, ENOENT,
                       "%s names the profile \"%.64s\", which is in none of AWS's files that were "
                       "read",
                       by, settings->profile);
    return 0;
}

/* A switch is in the environment, else in the profile. */
static bool is_on(const struct es_aws_settings *settings, const char *variable, const char *key)
{
    const char *value = es_aws_variable(settings, variable);

    if (!value)
        value = es_aws_of_profile(settings, settings->profile, key);
    return value && strcasecmp(value, "true") == 0;
}

int es_aws_settings_init(struct es_aws_settings *settings, const struct es_fetch *fetch,
                         const struct es_aws_options *options, struct es_err *err)
{
    int r;

    settings->fetch = fetch;
    settings->options = options;
    settings->surroundings = fetch->surroundings;
    r = es_aws_profiles_new(&settings->profiles, err);
    if (r == 0)
        r = read_profiles(settings, ES_AWS_CONFIG_FILE, ES_AWS_ROLE_CONFIG, "AWS_CONFIG_FILE", err);
    if (r == 0)
        r = read_profiles(settings, ES_AWS_CREDENTIALS_FILE, ES_AWS_ROLE_CREDENTIALS,
                          "AWS_SHARED_CREDENTIALS_FILE", err);
    if (r == 0)
        r = choose_profile(settings, err);
    if (r < 0)
        return r;
    settings->fips = is_on(settings, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    settings->dual_stack = is_on(settings, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    return 0;
}

void es_aws_settings_done(struct es_aws_settings *settings)
{
    es_aws_profiles_free(settings->profiles);
    *settings = (struct es_aws_settings){0};
}

const char *es_aws_custom_endpoint(const struct es_aws_settings *settings,
                                   enum es_aws_service service, bool own, const char **ret_origin)
{
    static const struct {
        const char *variable, *section;
    } names[ES_AWS_SERVICES] = {
        [ES_AWS_S3] = {"AWS_ENDPOINT_URL_S3", "s3"},
        [ES_AWS_SSM] = {"AWS_ENDPOINT_URL_SSM", "ssm"},
        [ES_AWS_SECRETS_MANAGER] = {"AWS_ENDPOINT_URL_SECRETS_MANAGER", "secrets_manager"},
        [ES_AWS_STS] = {"AWS_ENDPOINT_URL_STS", "sts"},
    };
    const char *profile = settings->profile, *url;
    const struct es_buf *value;

    *ret_origin = "endpoint";
    if (own && given(settings->options->endpoint))
        return settings->options->endpoint;
    if (is_on(settings, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"))
        return NULL;
    *ret_origin = names[service].variable;
    url = es_aws_variable(settings, names[service].variable);
    if (!url)
        url = es_aws_variable(settings, *ret_origin = "AWS_ENDPOINT_URL");
    if (url)
        return url;
    *ret_origin = "endpoint_url of the profile";
    value =
        es_aws_profile_service(settings->profiles, profile, names[service].section, "endpoint_url");
    if (value && value->len)
        return es_buf_str(value);
    return es_aws_of_profile(settings, profile, "endpoint_url");
}

const char *es_aws_local_region(const struct es_aws_settings *settings, const char **ret_origin)
{
    const char *region;

    *ret_origin = "region";
    if (given(settings->options->region))
        return settings->options->region;
    region = es_aws_variable(settings, *ret_origin = "AWS_REGION");
    if (!region)
        region = es_aws_variable(settings, *ret_origin = "AWS_DEFAULT_REGION");
    if (!region) {
        *ret_origin = "the profile";
        region = es_aws_of_profile(settings, settings->profile, "region");
    }
    return region;
}

int es_aws_read_ca(const struct es_aws_settings *settings, struct es_buf *ret, const char **ret_of,
                   struct es_err *err)
{
    const char *named = settings->options->ca_file;

    *ret_of = "ca_file";
    if (given(named))
        return es_aws_read_file(settings, ES_AWS_ROLE_CA_FILE, *ret_of, named, MAX_CA, ret, err);
    named = es_aws_variable(settings, *ret_of = "AWS_CA_BUNDLE");
    if (named)
        return es_aws_read_file(settings, ES_AWS_ROLE_CA_BUNDLE, *ret_of, named, MAX_CA, ret, err);
    *ret_of = "ca_bundle of the profile";
    named = es_aws_of_profile(settings, settings->profile, "ca_bundle");
    return named ? es_aws_read_path(named, *ret_of, MAX_CA, ret, err) : 0;
}
