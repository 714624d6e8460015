/* UTF-8 as the readers of our files define it. */
#ifndef ENVSYNC_UTF8_H
#define ENVSYNC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character at p (len > 0 bytes left): its length 1..4 and code point in ret, or 0
 * where the bytes are no valid UTF-8 (overlong, surrogate, above U+10FFFF, truncated). */
size_t es_utf8_decode(const char *p, size_t len, uint32_t *ret);

/* Encodes a scalar value into out (room for 4): its length, or 0 for a surrogate or above U+10FFFF.
 */
size_t es_utf8_encode(uint32_t c, char out[4]);

bool es_utf8_valid(const char *p, size_t len);

/* Offset of the first byte that is no valid UTF-8, or len. */
size_t es_utf8_span(const char *p, size_t len);

/* U+FDD0..FDEF and U+xxFFFE/FFFF: valid UTF-8, yet systemd rejects the whole file. */
bool es_utf8_nonchar(uint32_t c);

/* What moves a terminal, breaks a line or turns its direction: never printed as it is. */
bool es_utf8_control(uint32_t c);

#endif
