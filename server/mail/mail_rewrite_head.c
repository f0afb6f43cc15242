#include "base/buf.h"
#include "mail/mail_fold.h"
#include "mail/mail_rewrite.h"

/* More addresses in one field than that: the message is not from a device. */
enum { BOXES_MAX = 100 };

enum { SPEC_OCTETS_MAX = 2 * MAIL_LINE_MAX };

bool mail_rewrite_domain_matches(struct span rule_domain, struct span domain)
{
	if (rule_domain.n == 0)
		return true;
	if (rule_domain.p[0] != '.')
		return span_ieq(rule_domain, domain);
	return domain.n > rule_domain.n && span_ieq(span_skip(domain, domain.n - rule_domain.n), rule_domain);
}

int mail_rewrite_field(struct mail_head *h, struct mail_field *f, const struct mail_address_list *list,
		       const struct span *specs)
{
	struct buf b = BUF_INIT(MAIL_FIELD_OCTETS_MAX);
	const char *at = f->body.p;
	int rc = -ERR_TOOBIG;

	buf_add_span(&b, f->name);
	buf_add_char(&b, ':');
	const size_t body = b.n;
	for (size_t i = 0; i < list->n; i++) {
		const struct span old = list->boxes[i].spec;
		if (specs[i].n == 0)
			continue;
		buf_add(&b, at, (size_t)(old.p - at));
		buf_add_span(&b, specs[i]);
		at = old.p + old.n;
	}
	buf_add(&b, at, (size_t)(f->body.p + f->body.n - at));
	const size_t body_n = b.n - body;
	buf_add_str(&b, "\r\n");
	const struct span raw = b.overflow ? (struct span){ NULL, 0 } : arena_dup(h->arena, buf_span(&b));
	if (raw.p) {
		rc = mail_head_replace_raw(h, f, raw);
		/* Its lines are broken, or became too long: then it is folded anew. */
		if (rc == -ERR_INVAL)
			rc = mail_head_replace(h, f, span_first(span_skip(raw, body), body_n),
					       MAIL_FOLD_UTF8);
	}
	buf_free(&b);
	return rc;
}

/* The new text of one address: empty if it stays. Returns 1, 0 or an error. */
static int new_spec(struct mail_head *h, const struct mail_rewrite_rule *rule, const struct mail_mailbox *m,
		    struct span *spec_r)
{
	const struct span domain = m->domain.n ? m->domain : rule->default_domain;
	struct buf b = BUF_INIT(SPEC_OCTETS_MAX);
	struct mail_rewritten r;

	if (domain.n == 0 || !mail_rewrite_domain_matches(rule->domain, domain))
		return 0;
	const int rc = mail_rewrite_expand(h->arena, rule->template, m->local, domain, &r);
	if (rc < 0 || (rc == 0 && m->domain.n))
		return rc;
	if (mail_address_write(&b, r.local, r.domain, MAIL_FOLD_UTF8))
		*spec_r = arena_dup(h->arena, buf_span(&b));
	buf_free(&b);
	return spec_r->p ? 1 : -ERR_TOOBIG;
}

/* One pass over a field. Returns the number of addresses that were exchanged. */
static int rewrite_pass(struct mail_head *h, const struct mail_rewrite_rule *rule, struct mail_field *f)
{
	struct mail_address_list list;
	int changed = 0;
	int rc = mail_address_parse(h->arena, f->body, BOXES_MAX, &list);

	if (rc < 0)
		return rc;
	struct span *specs = arena_array(h->arena, struct span, list.n + 1);
	if (!specs)
		return -ERR_TOOBIG;
	for (size_t i = 0; i < list.n; i++) {
		rc = new_spec(h, rule, &list.boxes[i], &specs[i]);
		if (rc < 0)
			return rc;
		changed += rc;
	}
	rc = changed ? mail_rewrite_field(h, f, &list, specs) : 0;
	return rc < 0 ? rc : changed;
}

/* Applies the rule to one field. A field with control characters is cleaned when it is written, and what was
 * no address for the sake of one may be an address then: it is not to escape. */
static int rewrite_one(struct mail_head *h, const struct mail_rewrite_rule *rule, struct mail_field *f)
{
	const int first = rewrite_pass(h, rule, f);
	const int second = first > 0 ? rewrite_pass(h, rule, f) : 0;

	return second < 0 ? second : first + second;
}

static int keep_original(struct mail_head *h, struct span value)
{
	return mail_head_append(h, SPAN("X-Original-From"), value, MAIL_FOLD_UTF8);
}

int mail_rewrite_senders(struct mail_head *h, const struct mail_rewrite_rule *rule)
{
	const struct span original = mail_head_value(h, SPAN("From"));
	int changed = 0, changed_from = 0;

	for (struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f)) {
		const bool from = span_ieq(f->name, SPAN("From"));
		if (!from && !span_ieq(f->name, SPAN("Sender")))
			continue;
		const int rc = rewrite_one(h, rule, f);
		if (rc < 0)
			return rc;
		changed += rc;
		changed_from += from ? rc : 0;
	}
	if (changed_from && rule->keep_original) {
		const int rc = keep_original(h, original);
		if (rc < 0)
			return rc;
	}
	return changed;
}

/* Exchanges the address in @f; or writes the field anew if it is not exactly one address. Returns 1, or 0 if
 * it was the right one. */
static int set_author(struct mail_head *h, struct mail_field *f, struct span local, struct span domain,
		      struct span spec)
{
	struct mail_address_list list;
	int rc;

	if (mail_address_parse(h->arena, f->body, 1, &list) == 0 && list.n == 1 && list.broken == 0 &&
	    list.groups == 0) {
		if (span_ieq(list.boxes[0].local, local) && span_ieq(list.boxes[0].domain, domain))
			return 0;
		rc = mail_rewrite_field(h, f, &list, &spec);
	} else {
		rc = mail_head_replace(h, f, spec, MAIL_FOLD_UTF8);
	}
	return rc < 0 ? rc : 1;
}

int mail_rewrite_author(struct mail_head *h, struct span local, struct span domain, bool keep)
{
	const struct span original = mail_head_value(h, SPAN("From"));
	struct buf spec = BUF_INIT(MAIL_LINE_MAX);
	struct mail_field *f = mail_head_find(h, SPAN("From"), 0);
	struct mail_field *again;
	int rc = -ERR_TOOBIG;

	if (!mail_address_write(&spec, local, domain, MAIL_FOLD_UTF8))
		goto out;
	if (f)
		rc = set_author(h, f, local, domain, buf_span(&spec));
	else
		rc = mail_head_append(h, SPAN("From"), buf_span(&spec), MAIL_FOLD_UTF8);
	if (rc < 0)
		goto out;
	while ((again = mail_head_find(h, SPAN("From"), 1)) != NULL)
		mail_head_remove(h, again);
	mail_head_remove_all(h, SPAN("Sender"));
	if (keep && rc > 0)
		rc = keep_original(h, original);
	rc = rc < 0 ? rc : 0;
out:
	buf_free(&spec);
	return rc;
}
