/* Parsing with jansson, by the rules of the house.
 *
 * jansson loses some failed allocations: it then drops a byte of a string and goes on, or says that
 * the text is wrong. And what it frees it does not cleanse. Here no failure is lost, and memory is
 * overwritten before it is given back, also by a later json_decref().
 */
#ifndef ENVSYNC_JANSSON_H
#define ENVSYNC_JANSSON_H

#include <jansson.h>
#include <stddef.h>

/* json_loadb(): 0, -EINVAL (why says where; its text may quote the input, so do not show it), or
 * -ENOMEM. ret is untouched on failure. */
int es_jansson_load(const char *text, size_t len, size_t flags, json_t **ret, json_error_t *why);

#endif
