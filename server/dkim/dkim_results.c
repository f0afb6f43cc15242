#include "dkim/dkim_results.h"

#include "mail/mail_authres.h"

static void add_prop(struct mail_authres_result *r, struct span name, struct span value)
{
	if (value.n && r->props_n < MAIL_AUTHRES_PROPS_MAX)
		r->prop[r->props_n++] = (struct mail_authres_prop){ SPAN("header"), name, value };
}

static struct mail_authres_result signature_result(const struct dkim_outcome *o)
{
	struct mail_authres_result r = { .method = SPAN("dkim"),
					 .result = span_of(dkim_result_name(o->result)),
					 .reason = span_of(o->why) };

	add_prop(&r, SPAN("d"), o->domain);
	add_prop(&r, SPAN("i"), o->identity);
	add_prop(&r, SPAN("s"), o->selector);
	if (o->algorithm != MAIL_DKIM_NONE)
		add_prop(&r, SPAN("a"), span_of(mail_dkim_algorithm_name(o->algorithm)));
	add_prop(&r, SPAN("b"), span_of(o->begin));
	return r;
}

bool dkim_results_write(struct buf *out, struct span id, const struct dkim_verify *v, bool chain)
{
	struct mail_authres_result results[DKIM_VERIFY_SIGNATURES_MAX + 2] = { 0 };
	struct mail_authres x = { .id = id, .v = results };

	for (size_t i = 0; i < v->n; i++)
		results[x.n++] = signature_result(&v->outcome[i]);
	if (v->n == 0)
		results[x.n++] =
			(struct mail_authres_result){ .method = SPAN("dkim"), .result = SPAN("none") };
	if (chain)
		results[x.n++] =
			(struct mail_authres_result){ .method = SPAN("arc"),
						      .result = span_of(dkim_result_name(v->chain.result)),
						      .reason = v->chain.why ? span_of(v->chain.why)
									     : (struct span){ NULL, 0 } };
	return mail_authres_write(out, &x);
}
