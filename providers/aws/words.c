/* What a call has come to, for the user: class and one line with AWS's code, the request id and,
 * where something was denied, what to allow. AWS's own texts are never shown, they may repeat what
 * was sent. */
#include "call.h"

#include <errno.h>
#include <string.h>

void call_describe(const struct call *call, const struct es_http_answer *answer, struct es_err *ret)
{
    static const char *const words[] = {
        [ES_HTTP_NO_DNS] = "its name is not known",
        [ES_HTTP_NO_CONNECTION] = "no connection",
        [ES_HTTP_TIMEOUT] = "timed out",
        [ES_HTTP_DEADLINE] = "nothing came",
        [ES_HTTP_TLS_BROKEN] = "TLS failed",
        [ES_HTTP_CERTIFICATE] = "its certificate does not verify",
        [ES_HTTP_BODY_BROKEN] = "its answer broke off",
        [ES_HTTP_TOO_LARGE] = "its answer is too large",
        [ES_HTTP_STOPPED] = "its answer was refused",
        [ES_HTTP_FAULT] = "no memory",
    };
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    if (answer->outcome != ES_HTTP_ANSWERED) {
        /* Whoever that is, it is not AWS that is away: nothing may be served in its place. */
        es_fail(ret, answer->outcome == ES_HTTP_TLS_BROKEN ? ES_INSECURE : ES_UNAVAILABLE, EIO,
                "%s (%.200s)", words[answer->outcome], answer->detail);
        return;
    }
    es_aws_error_text(&call->error, &text);
    es_fail(ret, ES_UNAVAILABLE, EIO, "status %d%s%s", answer->status, text.len ? ", " : "",
            es_buf_str(&text));
}

static bool is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(code, *list) == 0)
            return true;
    return false;
}

static enum es_class class_of(const struct call *call, const struct es_http_answer *answer)
{
    static const char *const denied[] = {"AccessDenied",
                                         "AccessDeniedException",
                                         "UnrecognizedClientException",
                                         "InvalidClientTokenId",
                                         "InvalidAccessKeyId",
                                         "InvalidSignatureException",
                                         "IncompleteSignature",
                                         "SignatureDoesNotMatch",
                                         "AuthFailure",
                                         "MissingAuthenticationToken",
                                         "MissingAuthenticationTokenException",
                                         "InvalidToken",
                                         "InvalidIdentityToken",
                                         "ExpiredToken",
                                         "ExpiredTokenException",
                                         "RequestTimeTooSkewed",
                                         "OptInRequired",
                                         NULL};
    static const char *const absent[] = {"NoSuchKey",
                                         "NoSuchBucket",
                                         "NoSuchVersion",
                                         "ParameterNotFound",
                                         "ParameterVersionNotFound",
                                         "ResourceNotFoundException",
                                         NULL};
    const char *code = call->error.code;

    switch (answer->outcome) {
    case ES_HTTP_CERTIFICATE:
        return ES_DENIED;
    case ES_HTTP_FAULT:
        return ES_INTERNAL;
    case ES_HTTP_ANSWERED:
        break;
    default:
        return ES_INVALID;
    }
    if (is_one_of(code, denied))
        return ES_DENIED;
    if (is_one_of(code, absent))
        return ES_ABSENT;
    if (strcmp(call->is.method, "HEAD") == 0 && answer->status == 404)
        return ES_ABSENT;
    return (answer->status == 401 || answer->status == 403) &&
                   (*code || strcmp(call->is.method, "HEAD") == 0)
               ? ES_DENIED
               : ES_INVALID;
}

static bool is_expired(const char *code)
{
    return strcmp(code, "ExpiredToken") == 0 || strcmp(code, "ExpiredTokenException") == 0;
}

/* What could be allowed, as far as the denial itself or the caller knows it. */
static void advise(const struct call *call, struct es_buf *out)
{
    const char *code = call->error.code;
    const char *action = call->error.action[0] ? call->error.action : call->is.allow;
    const char *resource = call->error.resource[0] ? call->error.resource : call->is.allow_resource;

    if (strncmp(code, "AccessDenied", 12) == 0 || !*code) {
        if (action)
            es_buf_printf(out, ": allow %s%s%s", action, resource ? " on " : "",
                          resource ? resource : "");
    } else if (is_expired(code) && call->aws->creds) {
        es_buf_printf(out, ": the credentials from %s have expired",
                      es_aws_creds_link(call->aws->creds)->what);
    } else if (strcmp(code, "RequestTimeTooSkewed") == 0) {
        es_buf_puts(out, ": the clock of this host is wrong");
    } else if (call->aws->creds) {
        es_buf_printf(out, ": the credentials from %s are not accepted",
                      es_aws_creds_link(call->aws->creds)->what);
    }
}

int call_refused(const struct call *call, const struct es_http_answer *answer, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    enum es_class class = class_of(call, answer);
    int number = class == ES_DENIED ? EACCES : class == ES_ABSENT ? ENOENT : EBADMSG;
    struct es_err what;

    call_describe(call, answer, &what);
    if (answer->outcome == ES_HTTP_ANSWERED && call->error.code[0]) {
        es_aws_error_text(&call->error, &text);
        if (class == ES_DENIED)
            advise(call, &text);
        return es_fail(err, class, number, "%s", es_buf_str(&text));
    }
    if (class == ES_DENIED && answer->outcome == ES_HTTP_ANSWERED)
        advise(call, &text);
    if (answer->outcome == ES_HTTP_CERTIFICATE)
        es_buf_puts(&text, "; where it is a private one, set ca_file");
    return es_fail(err, class, number, "%s %s: %s%s", call->endpoint.authority,
                   class == ES_INVALID && answer->outcome == ES_HTTP_ANSWERED
                       ? "gives no answer of AWS's"
                       : "was asked",
                   what.msg, es_buf_str(&text));
}

int call_over(const struct call *call, struct es_err *err)
{
    bool told = call->last.class != ES_CLASSES;

    return es_fail(err, told ? call->last.class : ES_UNAVAILABLE, ETIMEDOUT,
                   "no good answer from %s until the deadline; last: %s, %u %s",
                   call->endpoint.authority, told ? call->last.msg : "", call->tries,
                   call->tries == 1 ? "try" : "tries");
}
