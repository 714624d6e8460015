/* See retry.h. Answers are hostile: codes are only compared, hints are clamped. */
#include "retry.h"

#include <stddef.h>
#include <string.h>

enum {
    BUDGET_MAX = 500,
    COST = 14,
    COST_THROTTLED = 5,
    BASE_MS = 50,
    BASE_THROTTLED_MS = 1000,
    CAP_MS = 20000,
    HINT_SLACK_MS = 5000,
    MARGIN_MS = 1000, /* what a last try is left for itself */
};

/* By code, whatever the status. "Clock" and "region" hold only with what else they need. */
static const struct {
    const char *code;
    enum es_aws_verdict verdict;
} codes[] = {
    {"Throttling", ES_AWS_THROTTLED},
    {"ThrottlingException", ES_AWS_THROTTLED},
    {"ThrottledException", ES_AWS_THROTTLED},
    {"RequestThrottledException", ES_AWS_THROTTLED},
    {"TooManyRequestsException", ES_AWS_THROTTLED},
    {"ProvisionedThroughputExceededException", ES_AWS_THROTTLED},
    {"TransactionInProgressException", ES_AWS_THROTTLED},
    {"RequestLimitExceeded", ES_AWS_THROTTLED},
    {"BandwidthLimitExceeded", ES_AWS_THROTTLED},
    {"LimitExceededException", ES_AWS_THROTTLED},
    {"RequestThrottled", ES_AWS_THROTTLED},
    {"SlowDown", ES_AWS_THROTTLED},
    {"EC2ThrottledException", ES_AWS_THROTTLED},

    {"RequestTimeout", ES_AWS_TRANSIENT},
    {"RequestTimeoutException", ES_AWS_TRANSIENT},
    {"PriorRequestNotComplete", ES_AWS_TRANSIENT},
    {"IDPCommunicationError", ES_AWS_TRANSIENT}, /* STS could not reach the identity provider */

    {"ExpiredToken", ES_AWS_EXPIRED},
    {"ExpiredTokenException", ES_AWS_EXPIRED},

    {"InvalidSignatureException", ES_AWS_CLOCK},
    {"SignatureDoesNotMatch", ES_AWS_CLOCK},
    {"AuthFailure", ES_AWS_CLOCK},
    {"RequestTimeTooSkewed", ES_AWS_CLOCK},
    {"AccessDeniedException", ES_AWS_CLOCK},

    {"PermanentRedirect", ES_AWS_WRONG_REGION},
    {"TemporaryRedirect", ES_AWS_WRONG_REGION},
    {"AuthorizationHeaderMalformed", ES_AWS_WRONG_REGION},
    {"IllegalLocationConstraintException", ES_AWS_WRONG_REGION},
};

/* By status, where the code says nothing. */
static const struct {
    int status;
    enum es_aws_verdict verdict;
} statuses[] = {
    {408, ES_AWS_TRANSIENT}, {429, ES_AWS_THROTTLED}, {500, ES_AWS_TRANSIENT},
    {502, ES_AWS_TRANSIENT}, {503, ES_AWS_TRANSIENT}, {504, ES_AWS_TRANSIENT},
};

static const enum es_aws_verdict transports[] = {
    [ES_AWS_ANSWERED] = ES_AWS_OK,
    [ES_AWS_NO_DNS] = ES_AWS_TRANSIENT,
    [ES_AWS_NO_CONNECTION] = ES_AWS_TRANSIENT,
    [ES_AWS_TIMEOUT] = ES_AWS_TRANSIENT,
    [ES_AWS_TLS_BROKEN] = ES_AWS_TRANSIENT,
    [ES_AWS_BODY_BROKEN] = ES_AWS_TRANSIENT,
    [ES_AWS_CERTIFICATE] = ES_AWS_FATAL,
    [ES_AWS_REFUSED] = ES_AWS_FATAL,
};

static bool is_skewed(const struct es_aws_answer *answer)
{
    return answer->dated && (answer->skew > ES_AWS_SKEW || answer->skew < -ES_AWS_SKEW);
}

static enum es_aws_verdict by_code(const struct es_aws_answer *answer)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].code, answer->code) == 0)
            return codes[i].verdict;
    return ES_AWS_OK;
}

static enum es_aws_verdict by_status(const struct es_aws_answer *answer)
{
    int status = answer->status;

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return statuses[i].verdict;
    if (answer->s3 && (status == 301 || status == 302 || status == 307))
        return ES_AWS_WRONG_REGION;
    if (answer->s3 && answer->head && status == 400 && answer->region)
        return ES_AWS_WRONG_REGION;
    if (answer->head && status == 403 && is_skewed(answer))
        return ES_AWS_CLOCK; /* a HEAD cannot say RequestTimeTooSkewed */
    return ES_AWS_FATAL;
}

enum es_aws_verdict es_aws_classify(const struct es_aws_answer *answer)
{
    enum es_aws_verdict verdict = transports[answer->transport];
    bool success = answer->status >= 200 && answer->status < 300;

    if (answer->transport != ES_AWS_ANSWERED)
        return verdict;
    if (answer->code && *answer->code) {
        verdict = by_code(answer);
        if (verdict == ES_AWS_OK && success)
            return ES_AWS_TRANSIENT; /* an error document in a 200 is a 500 */
        if (verdict == ES_AWS_CLOCK)
            return is_skewed(answer) ? ES_AWS_CLOCK : ES_AWS_FATAL;
        if (verdict == ES_AWS_WRONG_REGION &&
            (!answer->s3 ||
             (strcmp(answer->code, "AuthorizationHeaderMalformed") == 0 && !answer->region)))
            return ES_AWS_FATAL;
        return verdict == ES_AWS_OK ? by_status(answer) : verdict;
    }
    return success ? ES_AWS_OK : by_status(answer);
}

void es_aws_budget_init(struct es_aws_budget *budget)
{
    budget->tokens = BUDGET_MAX;
}

static void give(struct es_aws_budget *budget, int tokens)
{
    budget->tokens += tokens;
    if (budget->tokens > BUDGET_MAX)
        budget->tokens = BUDGET_MAX;
}

/* False where the bucket is too empty; then nothing is taken. */
static bool take(struct es_aws_retry *retry, struct es_aws_budget *budget, int cost)
{
    retry->taken = budget->tokens >= cost ? cost : 0;
    budget->tokens -= retry->taken;
    return retry->taken > 0;
}

static int64_t scale(int64_t window, uint32_t random)
{
    return (int64_t)((uint64_t)window * random >> 32);
}

static int64_t backoff(const struct es_aws_retry *retry, bool throttled, bool paid, uint32_t random)
{
    int64_t window = throttled ? BASE_THROTTLED_MS : BASE_MS;

    for (unsigned i = 1; i < retry->retries && window < CAP_MS; i++)
        window *= 2;
    return scale(!paid || window > CAP_MS ? CAP_MS : window, random);
}

/* What the server asked for, as far as it is followed. */
static int64_t follow(const struct es_aws_answer *answer, int64_t delay)
{
    int64_t wish = answer->retry_after_ms;

    if (wish >= 0)
        return wish < delay ? delay : wish > delay + HINT_SLACK_MS ? delay + HINT_SLACK_MS : wish;
    if (answer->retry_after < 0)
        return delay;
    wish = answer->retry_after > CAP_MS / 1000 ? CAP_MS : answer->retry_after * 1000;
    return wish > delay ? wish : delay;
}

static enum es_aws_verdict repair(struct es_aws_retry *retry, enum es_aws_verdict verdict,
                                  int64_t *ret_delay_ms)
{
    unsigned bit = 1u << verdict;

    if (retry->repaired & bit)
        return ES_AWS_FATAL;
    retry->repaired |= bit;
    *ret_delay_ms = 0;
    return verdict;
}

void es_aws_retry_undo(struct es_aws_retry *retry, enum es_aws_verdict verdict)
{
    retry->repaired &= ~(1u << verdict);
}

enum es_aws_verdict es_aws_retry(struct es_aws_retry *retry, struct es_aws_budget *budget,
                                 const struct es_aws_answer *answer, int64_t now_ms,
                                 int64_t deadline_ms, uint32_t random, int64_t *ret_delay_ms)
{
    enum es_aws_verdict verdict = es_aws_classify(answer);
    bool throttled = verdict == ES_AWS_THROTTLED;
    int64_t left = deadline_ms - now_ms - MARGIN_MS, delay;
    bool paid;

    if (verdict == ES_AWS_OK)
        give(budget, retry->taken ? retry->taken : 1);
    if (verdict == ES_AWS_OK || verdict == ES_AWS_FATAL)
        return verdict;
    if (!throttled && verdict != ES_AWS_TRANSIENT)
        return repair(retry, verdict, ret_delay_ms);
    if (left <= 0 || retry->last)
        return ES_AWS_OVER;
    retry->retries++;
    paid = take(retry, budget, throttled ? COST_THROTTLED : COST);
    delay = follow(answer, backoff(retry, throttled, paid, random));
    if (delay > left) {
        retry->last = true;
        delay = left / 2 + scale(left - left / 2, random);
    }
    *ret_delay_ms = delay;
    return verdict;
}
