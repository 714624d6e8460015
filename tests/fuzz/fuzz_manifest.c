/* The manifest of a set, as a disk that went bad could give it: it is refused, or what was read
 * holds together and comes out as it went in. */
#include "core/commit/manifest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest manifest = {0};
    ES_CLEANUP(es_buf_done) struct es_buf again = {0};

    if (es_manifest_decode((const char *)data, size, &manifest) < 0) {
        if (manifest.sources || manifest.outputs || manifest.files)
            abort();
        return 0;
    }
    for (size_t i = 0; i < manifest.n_files; i++)
        if (manifest.files[i].source >= manifest.n_sources)
            abort();
    if (es_manifest_encode(&manifest, &again) < 0)
        return 0;
    if (again.len != size || memcmp(again.data, data, size) != 0)
        abort();
    return 0;
}
