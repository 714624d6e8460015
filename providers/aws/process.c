/* credential_process: a command of the profile, run as the worker's user, without a shell, by its
 * helper (helper.c). The loop goes on meanwhile: a timer looks. What was printed is untrusted; it
 * is bounded, by 64 KiB and 30 s. */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 10, MAX_MS = 30000, LATER_MS = 500, MAX_COMMAND = 65536 };

struct es_aws_process {
    struct es_http *http;
    struct es_aws_helper *helper;
    bool asked;
    struct es_buf text;
    int64_t until_ms;
    es_aws_text_fn *fn;
    void *data;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies one word to *to and leaves *at behind it. False for an open quote or a final backslash. */
static bool take_word(const char **at, char **to)
{
    const char *p = *at;
    char quote = '\0';

    for (; *p && (quote || !is_space(*p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"')
            quote = quote ? '\0' : *p;
        else if (*p != '\\' || quote == '\'' || (quote && p[1] != '"' && p[1] != '\\') || *++p)
            *(*to)++ = *p;
        else
            return false;
    }
    *(*to)++ = '\0';
    *at = p;
    return quote == '\0';
}

int es_aws_argv_split(const char *command, char ***ret, struct es_err *err)
{
    size_t len = strlen(command), max = len / 2 + 2, n = 0;
    char **argv, *to;

    if (len > MAX_COMMAND)
        return es_fail(err, ES_CONFIG, E2BIG, "the command is too long");
    argv = malloc(max * sizeof *argv + len + max);
    if (!argv)
        return es_nomem(err);
    to = (char *)(argv + max);
    for (;;) {
        while (is_space(*command))
            command++;
        if (!*command)
            break;
        argv[n++] = to;
        if (!take_word(&command, &to)) {
            free(argv);
            return es_fail(err, ES_CONFIG, EINVAL, "the command has a quote that is not closed");
        }
    }
    if (n == 0) {
        free(argv);
        return es_fail(err, ES_CONFIG, EINVAL, "the command is empty");
    }
    argv[n] = NULL;
    *ret = argv;
    return 0;
}

void es_aws_process_free(struct es_aws_process *process)
{
    if (!process)
        return;
    es_http_forget(process->http, process);
    if (process->asked)
        es_aws_helper_leave(process->helper);
    es_buf_done(&process->text);
    free(process);
}

/* 1 where it has ended well, 0 where it runs on, or another source's goes first. */
static int look(struct es_aws_process *process, struct es_err *err)
{
    int64_t left = process->until_ms - es_http_now_ms(process->http);
    int r = 0;

    if (process->asked) {
        r = es_aws_helper_hear(process->helper, &process->text, err);
        process->asked = r == 0;
    } else if (!process->helper->busy) {
        r = es_aws_helper_ask(process->helper, left < MAX_MS ? left : MAX_MS, err);
        process->asked = r == 0;
    }
    if (r == 0 && left <= 0)
        return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "it does not end");
    return r;
}

static void on_timer(void *data)
{
    struct es_aws_process *process = data;
    struct es_err err;
    int r = look(process, &err);

    if (r == 0) {
        r = es_http_after(process->http, LOOK_MS, on_timer, process, &err);
        if (r == 0)
            return;
    }
    process->fn(process->data, r < 0 ? r : 0, &process->text, &err);
}

int es_aws_process_start(struct es_aws_shared *shared, const char *command, const char *home,
                         es_aws_text_fn *fn, void *data, struct es_aws_process **ret,
                         struct es_err *err)
{
    struct es_aws_process *process;
    struct es_aws_helper *helper;
    int r = es_aws_helper_find(shared, command, home, &helper, err);

    if (r < 0)
        return r;
    process = calloc(1, sizeof *process);
    if (!process)
        return es_nomem(err);
    *process =
        (struct es_aws_process){.http = shared->http, .helper = helper, .fn = fn, .data = data};
    /* The helper itself says first that the time is over, and can be asked again. */
    process->until_ms = es_http_now_ms(shared->http) + MAX_MS + LATER_MS;
    if (process->until_ms > es_http_deadline_ms(shared->http))
        process->until_ms = es_http_deadline_ms(shared->http);
    r = look(process, err);
    if (r >= 0)
        r = es_http_after(shared->http, LOOK_MS, on_timer, process, err);
    if (r < 0) {
        es_aws_process_free(process);
        return r;
    }
    *ret = process;
    return 0;
}
