#include "mail/mail_dkim_sig.h"

#include "mail/mail_char.h"
#include "mail/mail_dkim_tags.h"

const char *mail_dkim_algorithm_name(enum mail_dkim_algorithm a)
{
	static const char *const names[] = {
#define X(name, text) text,
		MAIL_DKIM_ALGORITHM_MAP(X)
#undef X
	};

	return names[a];
}

const char *mail_dkim_kind_name(enum mail_dkim_kind kind)
{
	return kind == MAIL_DKIM_FIELD         ? "DKIM-Signature"
	       : kind == MAIL_DKIM_ARC_MESSAGE ? "ARC-Message-Signature"
					       : "ARC-Seal";
}

bool mail_dkim_domain_within(struct span domain, struct span parent)
{
	if (parent.n == 0 || domain.n < parent.n)
		return false;
	const size_t at = domain.n - parent.n;
	return span_ieq(span_skip(domain, at), parent) && (at == 0 || domain.p[at - 1] == '.');
}

/* --- reading --- */

struct reader {
	struct arena *arena;
	const struct mail_dkim_tags *tags;
	struct mail_dkim_sig *sig;
	const char *why;
};

static int refuse(struct reader *r, int err, const char *why)
{
	r->why = why;
	return -err;
}

static struct span tag(const struct reader *r, const char *name)
{
	return mail_dkim_tags_value(r->tags, name);
}

/* Labels of letters, digits, "-", "_" and octets above 127, with dots between them (RFC 6376 section 3.5 with RFC 8616). */
static bool domain_ok(struct span s)
{
	bool dot = true;

	if (s.n > MAIL_DKIM_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (c == '.' ? dot : !ascii_is_alnum(c) && c != '-' && c != '_' && !mail_is_8bit(c))
			return false;
		dot = c == '.';
	}
	return s.n > 0 && !dot;
}

static int read_algorithm(struct reader *r)
{
	const struct span a = tag(r, "a");
	enum mail_dkim_algorithm known = MAIL_DKIM_NONE;

	if (!a.n)
		return refuse(r, ERR_SYNTAX, "no algorithm (a=)");
#define X(name, text)                                                                                        \
	if (span_ieq(a, span_of(text)))                                                                      \
		known = MAIL_DKIM_##name;
	MAIL_DKIM_ALGORITHM_MAP(X)
#undef X
	r->sig->algorithm = known;
	if (known == MAIL_DKIM_RSA_SHA1) /* RFC 8301 section 3.1 */
		return refuse(r, ERR_UNSUPPORTED, "rsa-sha1 is not accepted any more");
	return known == MAIL_DKIM_NONE ? refuse(r, ERR_UNSUPPORTED, "unknown algorithm") : 0;
}

static bool canon_of(struct span s, enum mail_dkim_canon *canon_r)
{
	if (!span_ieq(s, SPAN("simple")) && !span_ieq(s, SPAN("relaxed")))
		return false;
	*canon_r = span_ieq(s, SPAN("simple")) ? MAIL_DKIM_SIMPLE : MAIL_DKIM_RELAXED;
	return true;
}

static int read_canon(struct reader *r)
{
	struct span c = tag(r, "c");

	r->sig->head_canon = r->sig->body_canon = MAIL_DKIM_SIMPLE; /* RFC 6376 section 3.5: the default */
	if (!mail_dkim_tags_find(r->tags, "c"))
		return 0;
	const struct span head = span_cut(&c, '/');
	if (!canon_of(head, &r->sig->head_canon) || (c.p && !canon_of(c, &r->sig->body_canon)))
		return refuse(r, ERR_UNSUPPORTED, "unknown canonicalization");
	return 0;
}

static int read_time(struct reader *r, const char *name, int64_t *v_r)
{
	uint64_t v = 0;

	if (!mail_dkim_tags_find(r->tags, name))
		return 0;
	if (mail_dkim_number(tag(r, name), &v) < 0)
		return refuse(r, ERR_SYNTAX, "a time that is no number");
	*v_r = (int64_t)v;
	return 0;
}

static int read_times(struct reader *r)
{
	r->sig->signed_s = r->sig->expires_s = -1;
	int err = read_time(r, "t", &r->sig->signed_s);
	if (err == 0)
		err = read_time(r, "x", &r->sig->expires_s);
	if (err < 0)
		return err;
	if (r->sig->signed_s >= 0 && r->sig->expires_s >= 0 && r->sig->expires_s <= r->sig->signed_s)
		return refuse(r, ERR_SYNTAX, "it expires before it was made");
	return 0;
}

static int read_names(struct reader *r)
{
	struct mail_dkim_sig *sig = r->sig;
	struct span list = tag(r, "h");
	bool from = false, seal = false;
	size_t n = 1;

	if (!list.n)
		return refuse(r, ERR_SYNTAX, "no list of header fields (h=)");
	for (size_t i = 0; i < list.n; i++)
		n += list.p[i] == ':';
	if (n > MAIL_DKIM_NAMES_MAX)
		return refuse(r, ERR_TOOBIG, "too many header fields in h=");
	sig->names = arena_array(r->arena, struct span, n);
	if (!sig->names)
		return refuse(r, ERR_TOOBIG, "too large");
	while (list.p) {
		const struct span name = mail_dkim_list_next(&list, ':');
		for (size_t i = 0; i < name.n; i++)
			if (!mail_is_ftext(name.p[i]))
				return refuse(r, ERR_SYNTAX, "a bad name in h=");
		if (!name.n)
			return refuse(r, ERR_SYNTAX, "an empty name in h=");
		from |= span_ieq(name, SPAN("From"));
		seal |= span_ieq(name, SPAN("ARC-Seal"));
		sig->names[sig->names_n++] = name;
	}
	if (sig->kind == MAIL_DKIM_ARC_MESSAGE) /* RFC 8617 section 4.1.2 */
		return seal ? refuse(r, ERR_SYNTAX, "it covers ARC-Seal") : 0;
	return from ? 0 : refuse(r, ERR_SYNTAX, "From is not signed"); /* RFC 6376 section 6.1.1 */
}

static int read_identity(struct reader *r)
{
	struct mail_dkim_sig *sig = r->sig;

	sig->identity_domain = sig->domain;
	if (!mail_dkim_tags_find(r->tags, "i"))
		return 0;
	sig->identity = tag(r, "i");
	const ptrdiff_t at = span_rfind_char(sig->identity, '@');
	if (at < 0)
		return refuse(r, ERR_SYNTAX, "i= is not an address");
	sig->identity_domain = span_skip(sig->identity, (size_t)at + 1);
	return mail_dkim_domain_within(sig->identity_domain, sig->domain)
		       ? 0
		       : refuse(r, ERR_SYNTAX, "i= is not within d=");
}

static int read_instance(struct reader *r)
{
	uint64_t v = 0;

	/* RFC 8617 section 4.2.1: 1 to 50 */
	if (!span_to_u64(tag(r, "i"), 50, &v) || v == 0)
		return refuse(r, ERR_SYNTAX, "i= is no number of an ARC set");
	r->sig->instance = (unsigned)v;
	return 0;
}

static int read_body_hash(struct reader *r)
{
	struct span octets = { NULL, 0 };

	if (mail_dkim_base64(r->arena, tag(r, "bh"), &octets) < 0 || octets.n != MAIL_DKIM_HASH_OCTETS)
		return refuse(r, ERR_SYNTAX, "no hash of the body (bh=)");
	memcpy(r->sig->body_hash, octets.p, octets.n);
	r->sig->limit_octets = MAIL_DKIM_NO_LIMIT;
	if (mail_dkim_tags_find(r->tags, "l") && mail_dkim_number(tag(r, "l"), &r->sig->limit_octets) < 0)
		return refuse(r, ERR_SYNTAX, "l= is no number");
	return 0;
}

/* q= names ways to the key, of which at least one must be that by DNS. */
static int read_query(struct reader *r)
{
	struct span list = tag(r, "q");

	if (!list.p)
		return 0;
	while (list.p)
		if (span_ieq(mail_dkim_list_next(&list, ':'), SPAN("dns/txt")))
			return 0;
	return refuse(r, ERR_UNSUPPORTED, "unknown way to the key (q=)");
}

static int read_signer(struct reader *r)
{
	if (!domain_ok(r->sig->domain))
		return refuse(r, ERR_SYNTAX, "no domain (d=)");
	return domain_ok(r->sig->selector) ? 0 : refuse(r, ERR_SYNTAX, "no selector (s=)");
}

static int read_signature(struct reader *r)
{
	if (mail_dkim_base64(r->arena, tag(r, "b"), &r->sig->signature) < 0 || !r->sig->signature.n)
		return refuse(r, ERR_SYNTAX, "no signature (b=)");
	if (r->sig->signature.n > MAIL_DKIM_SIGNATURE_MAX)
		return refuse(r, ERR_TOOBIG, "the signature is too long");
	return 0;
}

static int read_version(struct reader *r)
{
	if (!mail_dkim_tags_find(r->tags, "v"))
		return refuse(r, ERR_SYNTAX, "no version (v=)");
	return span_eq(tag(r, "v"), SPAN("1")) ? 0 : refuse(r, ERR_UNSUPPORTED, "unknown version");
}

static int read_chain(struct reader *r)
{
	r->sig->chain = tag(r, "cv");
	if (mail_dkim_tags_find(r->tags, "h")) /* RFC 8617 section 4.1.3 */
		return refuse(r, ERR_SYNTAX, "a seal may not have h=");
	if (!span_ieq(r->sig->chain, SPAN("none")) && !span_ieq(r->sig->chain, SPAN("pass")) &&
	    !span_ieq(r->sig->chain, SPAN("fail")))
		return refuse(r, ERR_SYNTAX, "cv= is not none, pass or fail");
	return 0;
}

int mail_dkim_sig_parse(struct arena *a, enum mail_dkim_kind kind, const struct mail_field *f,
			struct mail_dkim_sig *sig_r, const char **why_r)
{
	typedef int step(struct reader *);
	static step *const dkim[] = { read_version,   read_signer, read_algorithm,
				      read_canon,     read_query,  read_names,
				      read_identity,  read_times,  read_body_hash,
				      read_signature, NULL };
	static step *const message[] = { read_instance,  read_signer, read_algorithm, read_canon,
					 read_query,     read_names,  read_times,     read_body_hash,
					 read_signature, NULL };
	static step *const seal[] = { read_instance,  read_signer, read_algorithm, read_chain, read_times,
				      read_signature, NULL };
	step *const *steps = kind == MAIL_DKIM_FIELD ? dkim : kind == MAIL_DKIM_ARC_MESSAGE ? message : seal;
	struct mail_dkim_tags tags = { .n = 0 };
	struct reader r = { .arena = a, .tags = &tags, .sig = sig_r, .why = "" };

	*sig_r = (struct mail_dkim_sig){
		.kind = kind, .limit_octets = MAIL_DKIM_NO_LIMIT, .signed_s = -1, .expires_s = -1
	};
	int err = mail_dkim_tags_parse(f->body, &tags);
	if (err < 0) {
		*why_r = err == -ERR_TOOBIG ? "too many tags" : "not a list of tags";
		return err;
	}
	sig_r->domain = tag(&r, "d");
	sig_r->selector = tag(&r, "s");
	for (; *steps && err == 0; steps++)
		err = (*steps)(&r);
	if (err < 0)
		*why_r = r.why;
	return err;
}

/* --- what is covered --- */

/* The next field of this name above @below (NULL: from the bottom), @except left out: a signature does not sign itself by h=. */
static const struct mail_field *next_up(const struct mail_head *h, const struct mail_field *below,
					struct span name, const struct mail_field *except)
{
	const struct list *it = below ? below->link.prev : h->fields.prev;

	for (; it != &h->fields; it = it->prev) {
		const struct mail_field *f = list_entry(it, const struct mail_field, link);
		if (f != except && span_ieq(f->name, name))
			return f;
	}
	return NULL;
}

/* The place in h= in front of @i that has the same name, or -1. */
static ptrdiff_t same_name_before(const struct mail_dkim_sig *sig, size_t i)
{
	for (size_t k = i; k > 0; k--)
		if (span_ieq(sig->names[k - 1], sig->names[i]))
			return (ptrdiff_t)k - 1;
	return -1;
}

bool mail_dkim_sig_cover(struct buf *out, const struct mail_head *h, const struct mail_dkim_sig *sig,
			 const struct mail_field *f)
{
	const struct mail_field
		*named[MAIL_DKIM_NAMES_MAX]; /* by each place of h=; NULL: there is no more of that name */

	for (size_t i = 0; i < sig->names_n; i++) {
		const ptrdiff_t before = same_name_before(sig, i);
		named[i] = before < 0      ? next_up(h, NULL, sig->names[i], f)
			   : named[before] ? next_up(h, named[before], sig->names[i], f)
					   : NULL;
		if (named[i] && !mail_dkim_canon_field(out, sig->head_canon, named[i]->raw))
			return false;
	}
	return mail_dkim_canon_signature(out, sig->head_canon, f->raw);
}
