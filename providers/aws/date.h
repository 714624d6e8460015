/* Dates as AWS writes them, to and from seconds since 1970, whatever locale and time zone say.
 *
 * Nothing here asks for the time. The Gregorian calendar is assumed throughout; years are 1970 to
 * 9999. Input is hostile: what does not fit the grammar is refused, not guessed.
 */
#ifndef ENVSYNC_AWS_DATE_H
#define ENVSYNC_AWS_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "20260102T030405Z", as x-amz-date wants it. */
struct es_aws_date {
    char text[17];
};

/* A time outside the years 1970 to 9999 gives the nearest that is inside. */
struct es_aws_date es_aws_date_format(int64_t seconds);

/* A `Date` header: "Fri, 02 Jan 2026 03:04:05 GMT". The day of the week is not checked. A leap
 * second (:60) counts as the first second after it. False, and ret untouched, for anything else. */
bool es_aws_date_http(const char *text, int64_t *ret_seconds);

/* ISO 8601 as in LastModified and Expiration: "2026-01-02T03:04:05[.fraction](Z|+hh:mm|-hh:mm)",
 * in milliseconds; digits beyond the third of the fraction are cut off. */
bool es_aws_date_iso(const char *text, int64_t *ret_ms);

#endif
