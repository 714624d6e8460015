/* Results on stdout: text for people, one JSON object for programs. No values, ever. */
#ifndef ENVSYNC_CMD_SHOW_H
#define ENVSYNC_CMD_SHOW_H

#include "../core/act.h"
#include "cmd.h"

/* A line to stdout, escaped. */
void es_show_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A JSON object under construction; failures are remembered and end in es_json_print(). */
struct es_json {
    struct es_value root;
    int failed;
};
void es_json_init(struct es_json *json);
struct es_value *es_json_list(struct es_json *json, struct es_value *table, const char *key);
struct es_value *es_json_item(struct es_json *json, struct es_value *list); /* a table */
void es_json_text(struct es_json *json, struct es_value *table, const char *key, const char *text);
void es_json_bool(struct es_json *json, struct es_value *table, const char *key, bool flag);
void es_json_number(struct es_json *json, struct es_value *table, const char *key, int64_t n);
void es_json_action(struct es_json *json, struct es_value *item, const struct es_action *action);
int es_json_print(struct es_json *json, struct es_err *err);
void es_json_done(struct es_json *json);

/* "created", "updated", ... or, for a dry run, "would be created", ... */
const char *es_show_state(const struct es_piece *piece, bool dry_run);

const char *es_show_file_state(enum es_file_state state, bool dry_run);

/* The dry run, as text. */
void es_show_dry_run(const struct es_run *run);

/* A failure of a subcommand that answers with JSON. */
void es_show_failure(const struct es_session *session, const struct es_err *failure);

/* The whole result as JSON; failure is NULL on success. Prints. */
int es_show_json(const struct es_session *session, const struct es_run *run,
                 const struct es_err *failure, struct es_err *err);

#endif
