/* Stands in for the worker, in a folder of a test, and becomes the real one with a library loaded
 * before all others. envsync gives its worker a constant environment, and ships no way around.
 *
 * The real one is "real" beside this program; the file "preload" beside it has the lines that are
 * added to the environment.
 */
#include "build.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char self[PATH_MAX], path[PATH_MAX + 16], line[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    FILE *file;

    (void)argc;
    if (n <= 0)
        return 70;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/preload", self);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        putenv(strdup(line));
    }
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "%s/real", self);
    execv(path, argv);
    perror(path);
    return 70;
}
