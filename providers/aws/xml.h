/* XML from the network, as far as AWS uses it: elements and text.
 *
 * A document type (and with it every entity of its own), depth beyond ES_XML_DEPTH, a text beyond
 * ES_XML_TEXT, a token beyond ES_XML_TOKEN and a document beyond the caller's bound are refused
 * (ES_INVALID). Names are local names: prefixes and namespaces are cut off; attributes, comments
 * and processing instructions are passed over. Input is taken as UTF-8 whatever it declares.
 * Answers may hold credentials: all memory, the parser's own too, is cleansed when given back.
 */
#ifndef ENVSYNC_AWS_XML_H
#define ENVSYNC_AWS_XML_H

#include "envsync/buf.h"
#include "envsync/err.h"

enum {
    ES_XML_DEPTH = 16,
    ES_XML_TEXT = 16384,  /* bytes of text in one element */
    ES_XML_TOKEN = 65536, /* bytes of one tag, comment or the like */
};

/* Both return 0, or a negative errno that stops the parser and is passed on by es_xml_feed();
 * they have called es_fail() on the err they were given. depth is 0 for the root. */
struct es_xml_handler {
    int (*open)(void *state, unsigned depth, const char *name, struct es_err *err);
    /* text: what stands in the element behind its last child, NUL-terminated (XML has no NUL). */
    int (*close)(void *state, unsigned depth, const char *name, const char *text, size_t len,
                 struct es_err *err);
};

struct es_xml;
int es_xml_new(const struct es_xml_handler *handler, void *state, size_t max, struct es_xml **ret,
               struct es_err *err);
/* Takes the next bytes, in chunks of any size. After a failure only es_xml_free() is allowed. */
int es_xml_feed(struct es_xml *xml, const char *data, size_t len, struct es_err *err);
/* The end of the document: fails where it is not whole. */
int es_xml_finish(struct es_xml *xml, struct es_err *err);
void es_xml_free(struct es_xml *xml); /* NULL is fine */
void es_xml_freep(struct es_xml **xml);

#endif
