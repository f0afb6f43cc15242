/* The happy path:
 *
 *   1. start     PTR of the address
 *   2. on_ptr    the addresses of each name are asked for, all at once
 *   3. conclude  when the last one is answered: a name whose addresses hold ours is confirmed
 *
 * How it fails: without a PTR answer, and when no name is confirmed but one could not be checked, the verdict
 * is TEMPERROR. A name that could not be checked does no harm beside a confirmed one. At the deadline and on
 * cancel the open questions are cancelled and conclude() runs after the last of them.
 */
#include "dns/reverse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { STEP_MIN_US = 1000 };

const char *reverse_verdict_name(enum reverse_verdict verdict)
{
	static const char *const names[] = {
#define X(name, text) [REVERSE_##name] = text,
		REVERSE_VERDICT_MAP(X)
#undef X
	};

	return (size_t)verdict < ARRAY_LEN(names) ? names[verdict] : "unknown";
}

const char *reverse_state_name(enum reverse_state state)
{
	static const char *const names[] = {
#define X(name, text) [REVERSE_NAME_##name] = text,
		REVERSE_STATE_MAP(X)
#undef X
	};

	return (size_t)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

void reverse_init(struct reverse *r, void (*done)(struct op *op))
{
	memset(r, 0, sizeof *r);
	op_init(&r->op, done);
}

void reverse_deinit(struct reverse *r)
{
	require(!op_pending(&r->op) && r->pending == 0);
	for (size_t i = 0; i < r->n; i++)
		dns_query_deinit(&r->names[i].query_);
	free(r->names);
	r->names = NULL;
	r->n = 0;
	r->name = (struct span){ 0 };
	dns_answer_unref(&r->ptr.answer); /* the names point into it */
}

bool reverse_confirms(const struct reverse *r, struct span name)
{
	if (span_ends(name, SPAN(".")))
		name = span_first(name, name.n - 1);
	for (size_t i = 0; i < r->n; i++)
		if (r->names[i].state == REVERSE_NAME_CONFIRMED && span_ieq(r->names[i].name, name))
			return true;
	return false;
}

static void finish(struct reverse *r, enum reverse_verdict verdict)
{
	r->verdict = verdict;
	op_complete(&r->op, 0);
}

/* ---- 3. conclude --------------------------------------------------------------------------------------- */

static enum reverse_state judge(const struct reverse *r, const struct reverse_name *n)
{
	const struct dns_answer *a = dns_query_answer(&n->query_);

	switch (a->result) {
	case DNS_OK:
		for (size_t i = 0; i < a->n; i++)
			if (ip_eq(&a->record[i].addr, &r->addr))
				return REVERSE_NAME_CONFIRMED;
		return REVERSE_NAME_OTHER_ADDRESS;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return REVERSE_NAME_NO_ADDRESS;
	case DNS_INVALID:
		return REVERSE_NAME_NOT_A_HOST;
	case DNS_TEMPFAIL:
		break;
	}
	return REVERSE_NAME_UNKNOWN;
}

static const struct reverse_name *first_with(const struct reverse *r, enum reverse_state state)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->names[i].state == state)
			return &r->names[i];
	return NULL;
}

static const char *type_of(const struct reverse *r)
{
	return r->addr.len == 4 ? "A" : "AAAA";
}

static void mismatch(struct reverse *r)
{
	const struct ip_text addr = ip_format(&r->addr);
	const struct reverse_name *n = &r->names[0];

	switch (n->state) {
	case REVERSE_NAME_OTHER_ADDRESS:
		errtext_set(&r->why, ERR_DENIED,
			    "the name of %s is %.*s, whose %s records do not hold that address", addr.s,
			    SPAN_ARG(n->name), type_of(r));
		break;
	case REVERSE_NAME_NOT_A_HOST:
		errtext_set(&r->why, ERR_DENIED, "the name of %s is %.*s, which cannot be a host's", addr.s,
			    SPAN_ARG(n->name));
		break;
	default:
		errtext_set(&r->why, ERR_DENIED, "the name of %s is %.*s, which has no %s record", addr.s,
			    SPAN_ARG(n->name), type_of(r));
		break;
	}
	finish(r, REVERSE_MISMATCH);
}

static void conclude(struct reverse *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct reverse_name *n = &r->names[i];
		if (n->state == REVERSE_NAME_NOT_A_HOST)
			continue; /* it was not asked for */
		n->state = judge(r, n);
		r->stale |= n->query_.stale;
		if (n->state != REVERSE_NAME_UNKNOWN && dns_query_answer(&n->query_)->ttl_s < r->ttl_s)
			r->ttl_s = dns_query_answer(&n->query_)->ttl_s;
	}

	const struct reverse_name *confirmed = first_with(r, REVERSE_NAME_CONFIRMED);
	const struct reverse_name *unknown = first_with(r, REVERSE_NAME_UNKNOWN);
	r->name = confirmed ? confirmed->name : r->names[0].name;
	if (confirmed) {
		finish(r, REVERSE_PASS);
	} else if (unknown) {
		errtext_set(&r->why, ERR_AGAIN, "the %s records of %.*s could not be learned: %s", type_of(r),
			    SPAN_ARG(unknown->name), dns_query_answer(&unknown->query_)->why);
		finish(r, REVERSE_TEMPERROR);
	} else {
		mismatch(r);
	}
}

/* ---- 2. on_ptr ----------------------------------------------------------------------------------------- */

static void on_address(struct op *op)
{
	struct reverse *r = container_of(op, struct reverse_name, query_.op)->owner_;

	if (--r->pending == 0)
		conclude(r);
}

static bool has_name(const struct reverse *r, struct span name)
{
	for (size_t i = 0; i < r->n; i++)
		if (span_eq(r->names[i].name, name))
			return true;
	return false;
}

static void ask_names(struct reverse *r, const struct dns_answer *ptr)
{
	struct scope *scope = r->op.scope;
	const int64_t left_us = r->until_us - loop_now_us(scope->loop);
	const size_t room = ptr->n < REVERSE_NAMES_MAX ? ptr->n : REVERSE_NAMES_MAX;

	r->names = mem_alloc_array(room, sizeof *r->names);
	for (size_t i = 0; i < ptr->n; i++) {
		const struct span name = ptr->record[i].data;
		if (has_name(r, name))
			continue;
		if (r->n == room) {
			r->more_names = true;
			break;
		}
		struct reverse_name *n = &r->names[r->n++];
		n->name = name;
		n->owner_ = r;
		n->state = REVERSE_NAME_UNKNOWN;
		dns_query_init(&n->query_, on_address);
		if (!dns_name_is_host(name))
			n->state = REVERSE_NAME_NOT_A_HOST;
		else if (dns_query_start(&n->query_, r->dns, scope, r->addr.len == 4 ? DNS_A : DNS_AAAA, name,
					 left_us > STEP_MIN_US ? left_us : STEP_MIN_US) == 0)
			r->pending++;
	}
	if (r->pending == 0)
		conclude(r);
}

static void on_ptr(struct op *op)
{
	struct reverse *r = container_of(op, struct reverse, ptr.op);
	const struct dns_answer *ptr = dns_query_answer(&r->ptr);
	const struct ip_text addr = ip_format(&r->addr);

	r->pending--;
	if (r->canceled) { /* nothing is begun any more, though there may be an old answer */
		errtext_set(&r->why, ERR_CANCELED, "the name of %s was not waited for", addr.s);
		finish(r, REVERSE_TEMPERROR);
		return;
	}
	r->stale = r->ptr.stale;
	r->ttl_s = ptr->ttl_s;
	switch (ptr->result) {
	case DNS_OK:
		ask_names(r, ptr);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
	case DNS_INVALID:
		errtext_set(&r->why, ERR_NOTFOUND, "%s has no name (no PTR record)", addr.s);
		finish(r, REVERSE_NO_PTR);
		break;
	case DNS_TEMPFAIL:
		errtext_set(&r->why, ERR_AGAIN, "the name (PTR record) of %s could not be learned: %s",
			    addr.s, ptr->why);
		finish(r, REVERSE_TEMPERROR);
		break;
	}
}

/* ---- 1. start ------------------------------------------------------------------------------------------ */

static void cancel(struct op *op)
{
	struct reverse *r = container_of(op, struct reverse, op);

	r->canceled = true;
	op_cancel(&r->ptr.op);
	for (size_t i = 0; i < r->n; i++)
		op_cancel(&r->names[i].query_.op);
}

int reverse_start(struct reverse *r, struct dns *dns, struct scope *scope, const struct ip_addr *addr,
		  int64_t deadline_us)
{
	const struct ip_text text = ip_format(addr);

	reverse_deinit(r);
	if (deadline_us <= 0)
		deadline_us = 2 * dns_deadline_us(dns);
	r->dns = dns;
	r->addr = *addr;
	r->verdict = REVERSE_TEMPERROR;
	r->why.s[0] = '\0';
	r->ttl_s = 0;
	r->more_names = r->stale = r->canceled = false;
	r->until_us = loop_now_us(scope->loop) + deadline_us;
	snprintf(r->what, sizeof r->what, "reverse dns of %s", text.s);
	dns_query_init(&r->ptr, on_ptr);
	const int err = op_begin(&r->op, scope, r->what, deadline_us, cancel);
	if (err < 0)
		return err;
	if (addr->len == 0) { /* a client on a unix socket */
		errtext_set(&r->why, ERR_NOTFOUND, "the client has no address, so it has no name");
		finish(r, REVERSE_NO_PTR);
		return 0;
	}
	/* Half of the time, so that addresses can be asked for when the answer was late or old. */
	r->pending = dns_query_start_ptr(&r->ptr, dns, scope, addr,
					 deadline_us / 2 > STEP_MIN_US ? deadline_us / 2 : STEP_MIN_US) == 0;
	return 0;
}
