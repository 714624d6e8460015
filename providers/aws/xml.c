/* See xml.h: the only user of expat. Input is hostile. expat itself resolves no external entity
 * unless told to; without a document type there are none to declare inside either. */
#include "xml.h"

#include <errno.h>
#include <expat.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536 }; /* handed to expat at once */

struct es_xml {
    XML_Parser parser;
    const struct es_xml_handler *handler;
    void *state;
    size_t max, fed;
    unsigned depth;
    struct es_buf text;
    struct es_err *err; /* of the call that is running */
    int failed;
};

/* expat keeps text in memory of its own: each block carries its size, to be cleansed by. */
union block {
    size_t size;
    max_align_t align;
};

static void *secret_malloc(size_t size)
{
    union block *block = size > SIZE_MAX / 2 ? NULL : malloc(sizeof *block + size);

    if (!block)
        return NULL;
    block->size = size;
    return block + 1;
}

static void secret_free(void *p)
{
    union block *block = p;

    if (block)
        es_secret_free(block - 1, sizeof *block + block[-1].size);
}

static void *secret_realloc(void *p, size_t size)
{
    union block *old = p;
    void *new = secret_malloc(size);

    if (!new)
        return NULL;
    if (old) {
        memcpy(new, old, old[-1].size < size ? old[-1].size : size);
        secret_free(old);
    }
    return new;
}

static void stop(struct es_xml *xml, int error)
{
    xml->failed = error;
    XML_StopParser(xml->parser, XML_FALSE);
}

static void refuse(struct es_xml *xml, const char *why)
{
    stop(xml, es_fail(xml->err, ES_INVALID, EBADMSG, "an XML answer with %s", why));
}

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon ? colon + 1 : name;
}

static void on_open(void *data, const XML_Char *name, const XML_Char **attributes)
{
    struct es_xml *xml = data;
    int r;

    (void)attributes;
    if (xml->failed)
        return;
    if (xml->depth >= ES_XML_DEPTH) {
        refuse(xml, "too deeply nested elements");
        return;
    }
    xml->text.len = 0;
    r = xml->handler->open ? xml->handler->open(xml->state, xml->depth, local_name(name), xml->err)
                           : 0;
    xml->depth++;
    if (r < 0)
        stop(xml, r);
}

static void on_close(void *data, const XML_Char *name)
{
    struct es_xml *xml = data;
    int r;

    if (xml->failed)
        return;
    xml->depth--;
    if (es_buf_append(&xml->text, "", 0) < 0) { /* its NUL */
        stop(xml, es_nomem(xml->err));
        return;
    }
    r = xml->handler->close(xml->state, xml->depth, local_name(name), xml->text.data, xml->text.len,
                            xml->err);
    xml->text.len = 0;
    if (r < 0)
        stop(xml, r);
}

static void on_text(void *data, const XML_Char *text, int len)
{
    struct es_xml *xml = data;

    if (xml->failed)
        return;
    if ((size_t)len > ES_XML_TEXT - xml->text.len)
        refuse(xml, "too long a text");
    else if (es_buf_append(&xml->text, text, (size_t)len) < 0)
        stop(xml, es_nomem(xml->err));
}

static void on_doctype(void *data, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    refuse(data, "a document type");
}

int es_xml_new(const struct es_xml_handler *handler, void *state, size_t max, struct es_xml **ret,
               struct es_err *err)
{
    static const XML_Memory_Handling_Suite memory = {secret_malloc, secret_realloc, secret_free};
    ES_CLEANUP(es_xml_freep) struct es_xml *xml = calloc(1, sizeof *xml);

    if (!xml)
        return es_nomem(err);
    xml->handler = handler;
    xml->state = state;
    xml->max = max;
    xml->parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
    if (!xml->parser)
        return es_nomem(err);
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, on_open, on_close);
    XML_SetCharacterDataHandler(xml->parser, on_text);
    XML_SetStartDoctypeDeclHandler(xml->parser, on_doctype);
    *ret = xml;
    xml = NULL;
    return 0;
}

static int parse(struct es_xml *xml, const char *data, size_t len, bool final, struct es_err *err)
{
    enum XML_Status status;
    XML_Index at;

    if (xml->failed)
        return es_fail(err, ES_INTERNAL, EINVAL, "an XML parser that failed is used again");
    xml->err = err;
    status = XML_Parse(xml->parser, data, (int)len, final);
    xml->err = NULL;
    xml->fed += len;
    if (xml->failed)
        return xml->failed;
    if (status != XML_STATUS_OK) {
        enum XML_Error error = XML_GetErrorCode(xml->parser);

        if (error == XML_ERROR_NO_MEMORY)
            return xml->failed = es_nomem(err);
        return xml->failed = es_fail(err, ES_INVALID, EBADMSG, "an answer that is no XML (%s)",
                                     XML_ErrorString(error));
    }
    /* expat scans an unfinished token again with every chunk: a long one costs its square. */
    at = XML_GetCurrentByteIndex(xml->parser);
    if (!final && xml->fed - (at > 0 ? (size_t)at : 0) > ES_XML_TOKEN + CHUNK)
        return xml->failed =
                   es_fail(err, ES_INVALID, EBADMSG, "an XML answer with too long a token");
    return 0;
}

int es_xml_feed(struct es_xml *xml, const char *data, size_t len, struct es_err *err)
{
    int r = 0;

    if (len > xml->max - xml->fed)
        return xml->failed = es_fail(err, ES_INVALID, EFBIG, "an XML answer of more than %zu bytes",
                                     xml->max);
    while (r == 0 && len > 0) {
        size_t n = len < CHUNK ? len : CHUNK;

        r = parse(xml, data, n, false, err);
        data += n;
        len -= n;
    }
    return r;
}

int es_xml_finish(struct es_xml *xml, struct es_err *err)
{
    return parse(xml, "", 0, true, err);
}

void es_xml_free(struct es_xml *xml)
{
    if (!xml)
        return;
    if (xml->parser)
        XML_ParserFree(xml->parser);
    es_buf_done(&xml->text);
    free(xml);
}

void es_xml_freep(struct es_xml **xml)
{
    es_xml_free(*xml);
}
