/* One text as both AWS files: no crash, errors are the configuration's and say the line. */
#include "../../providers/aws/profile.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_aws_profiles_freep) struct es_aws_profiles *profiles = NULL;
    struct es_err err = {0};
    const char *text = (const char *)data;
    int r = es_aws_profiles_new(&profiles, &err);

    if (r == 0)
        r = es_aws_profiles_read(profiles, ES_AWS_CONFIG_FILE, text, size, &err);
    if (r == 0)
        r = es_aws_profiles_read(profiles, ES_AWS_CREDENTIALS_FILE, text, size, &err);
    if (r < 0 && (err.class != ES_CONFIG || !isdigit((unsigned char)err.msg[0])))
        abort();
    if (r == 0) {
        const struct es_buf *value = es_aws_profile_get(profiles, "default", "region");

        if (value && !es_aws_profile_exists(profiles, "default"))
            abort();
        es_aws_profile_sub(profiles, "default", "s3", "addressing_style");
        es_aws_profile_service(profiles, "default", "s3", "endpoint_url");
    }
    return 0;
}
