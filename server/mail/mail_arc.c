#include "mail/mail_arc.h"

#include "mail/mail_char.h"

/* The number in front of ARC-Authentication-Results, "i=3;": 0 if there is none. */
static unsigned results_instance(const struct mail_field *f)
{
	struct span rest = f->body;
	struct span spec = span_cut(&rest, ';');
	const struct span name = mail_trim(span_cut(&spec, '='));
	uint64_t v = 0;

	if (!rest.p || !span_eq(name, SPAN("i")) || !span_to_u64(mail_trim(spec), MAIL_ARC_SETS_MAX, &v))
		return 0;
	return (unsigned)v;
}

static const char *add_results(struct mail_arc *arc, const struct mail_field *f)
{
	const unsigned i = results_instance(f);

	if (i == 0)
		return "ARC-Authentication-Results without the number of its set";
	if (i > arc->n)
		return "an ARC set is not complete";
	if (arc->v[i - 1].results)
		return "two ARC-Authentication-Results of the same number";
	arc->v[i - 1].results = f;
	return NULL;
}

static const char *add_signature(struct arena *a, struct mail_arc *arc, enum mail_dkim_kind kind,
				 const struct mail_field *f)
{
	struct mail_dkim_sig sig;
	const char *why = NULL;

	if (mail_dkim_sig_parse(a, kind, f, &sig, &why) < 0)
		return why;
	if (sig.instance > arc->n)
		return "an ARC set is not complete";
	struct mail_arc_set *set = &arc->v[sig.instance - 1];
	const struct mail_field **place = kind == MAIL_DKIM_ARC_SEAL ? &set->seal : &set->message;
	if (*place)
		return "two ARC signatures of the same number";
	*place = f;
	*(kind == MAIL_DKIM_ARC_SEAL ? &set->seal_sig : &set->message_sig) = sig;
	return NULL;
}

/* RFC 8617 section 5.2 steps 2 and 3. */
static const char *check_sets(const struct mail_arc *arc)
{
	for (size_t i = 0; i < arc->n; i++) {
		const struct mail_arc_set *set = &arc->v[i];
		if (!set->results || !set->message || !set->seal)
			return "an ARC set is not complete";
		if (span_ieq(set->seal_sig.chain, SPAN("fail")))
			return "the chain had failed before it came here";
		if (!span_ieq(set->seal_sig.chain, i == 0 ? SPAN("none") : SPAN("pass")))
			return "cv= does not fit the place in the chain";
	}
	return NULL;
}

int mail_arc_parse(struct arena *a, const struct mail_head *h, struct mail_arc *arc_r)
{
	const struct span results = SPAN("ARC-Authentication-Results");
	const struct span message = SPAN("ARC-Message-Signature"), seal = SPAN("ARC-Seal");
	struct mail_arc arc = { .n = mail_head_count(h, seal) };

	if (mail_head_count(h, message) > arc.n)
		arc.n = mail_head_count(h, message);
	if (mail_head_count(h, results) > arc.n)
		arc.n = mail_head_count(h, results);
	if (arc.n > MAIL_ARC_SETS_MAX) {
		arc.why = "too many ARC sets";
		arc.ended = true;
		*arc_r = arc;
		return 0;
	}
	arc.v = arena_array(a, struct mail_arc_set, arc.n + 1);
	if (!arc.v)
		return -ERR_TOOBIG;
	for (const struct mail_field *f = mail_head_next(h, NULL); f && !arc.why; f = mail_head_next(h, f)) {
		if (span_ieq(f->name, results))
			arc.why = add_results(&arc, f);
		else if (span_ieq(f->name, message))
			arc.why = add_signature(a, &arc, MAIL_DKIM_ARC_MESSAGE, f);
		else if (span_ieq(f->name, seal))
			arc.why = add_signature(a, &arc, MAIL_DKIM_ARC_SEAL, f);
	}
	if (!arc.why)
		arc.why = check_sets(&arc);
	arc.ended = arc.n && arc.v[arc.n - 1].seal && span_ieq(arc.v[arc.n - 1].seal_sig.chain, SPAN("fail"));
	*arc_r = arc;
	return 0;
}

bool mail_arc_cover(struct buf *out, const struct mail_arc *arc, size_t n, struct span results,
		    struct span message, struct span seal)
{
	/* RFC 8617 section 4.1.3: the relaxed form, always */
	for (size_t i = 0; i < n; i++) {
		mail_dkim_canon_field(out, MAIL_DKIM_RELAXED, arc->v[i].results->raw);
		mail_dkim_canon_field(out, MAIL_DKIM_RELAXED, arc->v[i].message->raw);
		mail_dkim_canon_field(out, MAIL_DKIM_RELAXED, arc->v[i].seal->raw);
	}
	mail_dkim_canon_field(out, MAIL_DKIM_RELAXED, results);
	mail_dkim_canon_field(out, MAIL_DKIM_RELAXED, message);
	return mail_dkim_canon_signature(out, MAIL_DKIM_RELAXED, seal);
}
