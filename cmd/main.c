/* envsync: the privileged program. Reads argv, finds the subcommand, prints what it says. */
#include "build.h"
#include "cmd.h"

#include "../core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct es_command *const es_commands[] = {
    &es_command_sync,     &es_command_check,
    &es_command_explain,  &es_command_status,
    &es_command_rollback, &es_command_exec,
    &es_command_init,     &es_command_providers,
    &es_command_help,     NULL,
};

const struct es_command *es_command_by_name(const char *name)
{
    for (size_t i = 0; es_commands[i]; i++)
        if (strcmp(es_commands[i]->name, name) == 0)
            return es_commands[i];
    return NULL;
}

int es_exit_code(enum es_class class)
{
    static const int codes[ES_CLASSES] = {
        [ES_INTERNAL] = 70, [ES_USAGE] = 64,       [ES_CONFIG] = 78,   [ES_INVALID] = 65,
        [ES_ABSENT] = 66,   [ES_UNAVAILABLE] = 69, [ES_INSECURE] = 69, [ES_DENIED] = 77,
        [ES_OUTPUT] = 73,   [ES_LOCKED] = 75,
    };

    return codes[class];
}

int es_session_load(struct es_session *session, struct es_config *ret, struct es_err *err)
{
    const char *file = session->args.config;

    return es_config_load(file ? file : ES_DEFAULT_CONFIG, &session->process, ret, err);
}

void es_session_warn_idle(struct es_session *session, const struct es_config *config)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (config->sources[i].mirrors)
            return;
    if (config->n_outputs == 0)
        es_report_add(&session->report, ES_LEVEL_WARNING,
                      "%s: there is no [[output]]: nothing is written", config->file);
}

/* What comes behind the deadline: a commit that has begun is finished, and actions have their time.
 * A unit that is given less by TimeoutStartSec= would be killed in the middle of it. */
enum { AFTERWARDS = 10000, COMMITTING = 30000 /* milliseconds */ };

int64_t es_session_deadline(struct es_session *session, const struct es_config *config)
{
    int64_t ms = session->args.deadline ? session->args.deadline : config->deadline;

    es_notify_open(&session->notify, es_process_getenv(&session->process, "NOTIFY_SOCKET"));
    es_notify_extend(&session->notify, ms + AFTERWARDS);
    session->until = es_clock_ms() + ms;
    return session->until;
}

void es_session_flush(struct es_session *session)
{
    for (; session->told < session->report.n; session->told++)
        es_log_line(&session->log, session->report.items[session->told].level, "%s",
                    session->report.items[session->told].text);
    if (session->report.dropped)
        es_log_line(&session->log, ES_LEVEL_WARNING, "%zu more messages are not shown",
                    session->report.dropped);
    session->report.dropped = 0;
}

void es_session_on_wait(void *data, const char *what, const char *name)
{
    const struct es_session *session = data;
    char text[200];

    es_log_line(&session->log, ES_LEVEL_NOTICE, "waiting for %s (%s)", what, name);
    snprintf(text, sizeof text, "waiting for %s (%s)", what, name);
    es_notify_status(&session->notify, text);
}

void es_session_on_phase(void *data, enum es_phase phase, size_t n)
{
    const struct es_session *session = data;
    char text[100] = "publishing";

    if (phase == ES_PHASE_FETCH)
        snprintf(text, sizeof text, "fetching %zu %s", n, n == 1 ? "source" : "sources");
    else if (phase == ES_PHASE_ACT)
        snprintf(text, sizeof text, "doing what on_change asks for");
    else
        es_notify_extend(&session->notify, es_clock_left(session->until) + COMMITTING);
    es_notify_status(&session->notify, text);
}

void es_session_on_progress(void *data, size_t keys, size_t objects)
{
    struct es_session *session = data;

    es_log_progress(&session->log, "%zu keys, %zu objects", keys, objects);
}

static int run(struct es_session *session, int argc, char **argv, struct es_err *err)
{
    const struct es_command *command;
    int r = es_args_parse(argc, argv, &session->args, &command, err);

    if (r < 0)
        return r;
    if (!command) {
        puts("envsync " PACKAGE_VERSION);
        return ES_EXIT_OK;
    }
    es_log_init(&session->log, &session->process, session->args.quiet, session->args.verbose);
    return command->run(session, err);
}

int main(int argc, char **argv)
{
    struct es_session session = {.log = {.level = ES_LEVEL_NOTICE}, .notify = ES_NOTIFY_INIT};
    struct es_err err;
    int r = es_process_start(&session.process, &err);

    if (r == 0) {
        es_log_init(&session.log, &session.process, false, false);
        r = run(&session, argc, argv, &err);
    }
    es_session_flush(&session);
    /* It would stand beside the app as long as that has no words of its own. */
    es_notify_status(&session.notify, r < 0 ? err.msg : "");
    if (r < 0) {
        if (es_process_caught() && r == -EINTR) {
            es_log_line(&session.log, ES_LEVEL_WARNING, "interrupted; no new set was published");
            es_process_die(es_process_caught());
        }
        es_log_line(&session.log, ES_LEVEL_ERROR, "%s", err.msg);
        r = es_exit_code(err.class);
    }
    es_report_done(&session.report);
    es_notify_done(&session.notify);
    /* A result that could not be written is no result. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        es_log_line(&session.log, ES_LEVEL_ERROR, "stdout: %s", strerror(errno));
        r = r ? r : es_exit_code(ES_OUTPUT);
    }
    return r;
}
