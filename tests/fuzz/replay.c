/* A main() for fuzzers where there is no libFuzzer: runs every file of a corpus once, as TAP.
 *
 * The corpus of fuzz_NAME is tests/fuzz/corpus/NAME below $ENVSYNC_SRCDIR, or the folders given as
 * arguments. An input that crashes is the one named last. A corpus that is not there or is empty
 * is a failure: a replay of nothing proves nothing. Input is trusted: it is our own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    int r = -1;

    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    /* Of the exact size: a read past the end is then seen by a sanitizer. */
    if (size >= 0)
        data = malloc(size ? (size_t)size : 1);
    if (data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size)
        r = LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    if (file)
        fclose(file);
    return r;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Returns the number of failures. */
static int replay_folder(const char *folder, int *n)
{
    struct dirent **entries = NULL;
    int n_entries = scandir(folder, &entries, is_input, alphasort), failed = 0;

    if (n_entries <= 0) {
        printf("not ok %d - %s: %s\n", ++*n, folder, n_entries < 0 ? strerror(errno) : "no input");
        failed++;
    }
    for (int i = 0; i < n_entries; i++) {
        char path[4096];
        int r;

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        printf("# %s\n", path);
        fflush(stdout);
        r = replay_file(path);
        printf("%s %d - %s\n", r == 0 ? "ok" : "not ok", ++*n, entries[i]->d_name);
        failed += r != 0;
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    int n = 0, failed = 0;

    for (int i = 1; i < argc; i++)
        failed += replay_folder(argv[i], &n);
    if (argc == 1) {
        const char *srcdir = getenv("ENVSYNC_SRCDIR"), *name = strstr(argv[0], "/fuzz_");
        char folder[4096];

        snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
                 name ? name + strlen("/fuzz_") : argv[0]);
        failed += replay_folder(folder, &n);
    }
    printf("1..%d\n", n);
    return failed ? 1 : 0;
}
