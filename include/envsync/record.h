/* Records: the one unit on the wire, in the merge and in the store, and the codec for it.
 *
 * The wire is frames: u32 length of what follows, u8 type, payload; integers little-endian, bytes
 * and strings length-prefixed. Decoding never trusts: every length is checked against what is
 * left, depth against ES_MAX_DEPTH, and a failed decode is -EBADMSG (class ES_INTERNAL: the peer is
 * our own program, or was taken over).
 */
#ifndef ENVSYNC_RECORD_H
#define ENVSYNC_RECORD_H

#include "envsync/value.h"

struct es_record {
    uint32_t source;       /* number in the configuration, from 0 */
    uint32_t rank;         /* order of the object within the source: a later one wins */
    uint32_t line;         /* in the object, 0 = unknown */
    bool verbatim;         /* a single-segment name that an env output keeps as it is */
    struct es_buf key;     /* see key.h; at least one segment */
    struct es_value value; /* no table, except an empty one */
    struct es_buf object;  /* file, object key or parameter that gave it */
    struct es_buf version; /* of the object, for people: time, ETag, version; may be empty */
};

void es_record_done(struct es_record *record);

/* Checks what the codec cannot: key shape and size, valid UTF-8 in names, no table but an empty
 * one, depth. The worker's sink and the privileged side call this same function. */
int es_record_check(const struct es_record *record, struct es_err *err);

/* Encoding: 0 or -ENOMEM. */
int es_put_u8(struct es_buf *out, uint8_t v);
int es_put_u32(struct es_buf *out, uint32_t v);
int es_put_u64(struct es_buf *out, uint64_t v);
int es_put_bytes(struct es_buf *out, const void *data, size_t len);
int es_put_value(struct es_buf *out, const struct es_value *value);
int es_put_record(struct es_buf *out, const struct es_record *record);

/* Decoding: 0, -EBADMSG or -ENOMEM. Outputs are untouched on failure. */
struct es_cursor {
    const char *p;
    size_t left;
};
int es_get_u8(struct es_cursor *in, uint8_t *ret);
int es_get_u32(struct es_cursor *in, uint32_t *ret);
int es_get_u64(struct es_cursor *in, uint64_t *ret);
int es_get_bytes(struct es_cursor *in, struct es_buf *ret);
int es_get_value(struct es_cursor *in, struct es_value *ret);
int es_get_record(struct es_cursor *in, struct es_record *ret);

/* Frames that go up from the worker, and the one that goes down. All but JOB, REMARK, TEXT, END
 * and FATAL begin with the u32 number of a source. An object is: bytes name, bytes version, u64
 * size, u64 modified_ms, u32 rank. */
enum es_frame {
    ES_FRAME_JOB = 1,    /* down: es_value table, see worker/job.h */
    ES_FRAME_ADDRESS,    /* es_value: the resolved options; before all else of a source */
    ES_FRAME_RECORD,     /* es_record (its source is the number) */
    ES_FRAME_NOTE,       /* u8 level, bytes text */
    ES_FRAME_OBJECT,     /* object: a merged one whose records follow */
    ES_FRAME_SAME,       /* object: a merged one that is as it is known */
    ES_FRAME_FILE_SAME,  /* bytes path, object */
    ES_FRAME_FILE_BEGIN, /* u32 id, bytes path, object */
    ES_FRAME_FILE_DATA,  /* u32 id, the rest: data */
    ES_FRAME_FILE_END,   /* u32 id */
    ES_FRAME_FILE_DROP,  /* u32 id */
    ES_FRAME_DONE,       /* u8 failed; if failed: u8 class, bytes message */
    ES_FRAME_END,        /* empty: every source is done */
    ES_FRAME_FATAL,      /* u8 class, bytes message: the worker cannot work at all */
    ES_FRAME_REMARK,     /* bytes text: a detail about the worker itself */
    ES_FRAME_TEXT,       /* u32 number of a text, u8 refused; if not: es_value */
};
int es_put_frame(struct es_buf *out, enum es_frame type, const struct es_buf *payload);

#endif
