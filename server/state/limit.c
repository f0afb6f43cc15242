#include "state/limit.h"

#include "base/check.h"
#include "base/err.h"

static const char *const on_failure_names[] = {
#define X(name, text) text,
	LIMIT_ON_FAILURE_MAP(X)
#undef X
};

static const char *const source_names[] = {
#define X(name, text) text,
	LIMIT_SOURCE_MAP(X)
#undef X
};

const char *limit_on_failure_name(enum limit_on_failure f)
{
	return (size_t)f < ARRAY_LEN(on_failure_names) ? on_failure_names[f] : "?";
}

bool limit_on_failure_parse(struct span s, enum limit_on_failure *f_r)
{
	for (size_t i = 0; i < ARRAY_LEN(on_failure_names); i++) {
		if (span_eq(s, span_of(on_failure_names[i]))) {
			*f_r = (enum limit_on_failure)i;
			return true;
		}
	}
	return false;
}

const char *limit_source_name(enum limit_source s)
{
	return (size_t)s < ARRAY_LEN(source_names) ? source_names[s] : "?";
}

bool limit_request_valid(const struct limit_request *req)
{
	return req->key.n > 0 && req->key.n <= LIMIT_KEY_MAX && req->quantity > 0 && req->rate.count > 0 &&
	       req->rate.period_us > 0 && req->rate.burst > 0;
}

bool limit_try(struct limit_store *s, const struct limit_request *req, struct limit_answer *answer_r)
{
	if (!limit_request_valid(req)) {
		*answer_r = (struct limit_answer){ .retry_after_us = -1 };
		return true;
	}
	return s->ops->try_now(s, req, answer_r);
}

static void cancel_decided(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int limit_take_start(struct limit_store *s, struct limit_take *t, struct scope *scope, int64_t deadline_us)
{
	struct limit_answer answer;

	if (!limit_request_valid(&t->request))
		return -ERR_INVAL;
	if (scope->closing)
		return -ERR_CANCELED; /* before anything is taken */
	if (!s->ops->try_now(s, &t->request, &answer))
		return s->ops->take_start(s, t, scope, deadline_us);
	const int ret = op_begin(&t->op, scope, "limit", deadline_us, cancel_decided);
	if (ret < 0)
		return ret;
	t->answer = answer;
	op_complete(&t->op, 0);
	return 0;
}

void limit_refund(struct limit_store *s, const struct limit_request *req)
{
	if (limit_request_valid(req))
		s->ops->refund(s, req);
}
