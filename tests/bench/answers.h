/* What the canned AWS says: S3, SSM and the metadata service, from names alone.
 *
 * A bucket's name gives its content: "n20-s1024" has 20 objects of 1,024 bytes, app-000000.env and
 * so on. So does a path of SSM: below "/bench/p20" there are 20 parameters, PARAM_00000 and so on.
 * Nothing is verified but that a request is signed at all, and every answer is ready in memory:
 * what is measured is the client. */
#ifndef ENVSYNC_BENCH_ANSWERS_H
#define ENVSYNC_BENCH_ANSWERS_H

#include "envsync/buf.h"

#include <stdint.h>

/* Counted since the start or the last POST /__reset; GET /__stats shows them. */
struct stats {
    long connections, handshakes, resumed; /* the latter two: of TLS */
    long rounds;                           /* of lock step, see server.c */
    long requests, list, get, head, ssm, imds, other, refused;
    long received, sent; /* bytes of requests, and of answers as HTTP has them */
};
extern struct stats stats;

struct request {
    char *head; /* the request line and the headers, with a NUL behind; is changed */
    const char *body;
    size_t body_len;
};

enum service { SERVICE_CONTROL, SERVICE_S3, SERVICE_SSM, SERVICE_IMDS };

struct reply {
    enum service service;
    struct es_buf *text;       /* headers, and the body unless it is below; appended to */
    const unsigned char *body; /* of an object: borrowed, lives as long as the program */
    size_t body_len;
    int last; /* the client wants the connection closed */
};

/* Answers one request. Ends the program where there is no memory. */
void answer(const struct request *request, struct reply *reply);

/* The value of a header in text, its length in *len; NULL where there is none. */
const char *header_of(const char *head, const char *name, size_t *len);

#endif
