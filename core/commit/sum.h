/* A sum that tells damage from what was written: CRC-64, as xz has it.
 *
 * It is for chance, not for an attacker: who can write where sums are kept is root. It lies beside
 * what it sums up, on the same medium, so it gives away nothing that is not there already.
 */
#ifndef ENVSYNC_CORE_COMMIT_SUM_H
#define ENVSYNC_CORE_COMMIT_SUM_H

#include <stddef.h>
#include <stdint.h>

enum { ES_SUM = 8 /* bytes */ };

/* The sum of what came before, 0 at first, and of these bytes. */
uint64_t es_sum_add(uint64_t sum, const void *data, size_t len);

/* What is written behind the bytes of a file: the sum of the set and the name that it belongs to,
 * and of the bytes. So a whole file of another set or name does not fit either. */
struct es_sum {
    unsigned char bytes[ES_SUM];
};
struct es_sum es_sum_of(const char *set, const char *name, const void *data, size_t len);

#endif
