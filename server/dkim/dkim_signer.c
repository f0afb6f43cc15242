#include "dkim/dkim_signer.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "dkim/dkim_priv.h"
#include "mail/mail_address.h"
#include "mail/mail_dkim_key.h"
#include "mail/mail_punycode.h"

static struct dkim_domain *domain_of(struct map_node *node)
{
	return map_entry(node, struct dkim_domain, node);
}

struct dkim_signer *dkim_signer_new(void)
{
	struct dkim_signer *s = mem_alloc(sizeof *s);

	map_init(&s->domains);
	return s;
}

void dkim_signer_free(struct dkim_signer **sp)
{
	struct dkim_signer *s = *sp;

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		tls_private_key_free(&s->keys[i]->key);
		free(s->keys[i]->selector);
		free(s->keys[i]);
	}
	free(s->keys);
	map_for_each_safe(it, &s->domains) {
		struct dkim_domain *d = domain_of(it);
		map_remove(&s->domains, it);
		free(d->name);
		free(d);
	}
	map_deinit(&s->domains);
	free(s);
	*sp = NULL;
}

/* As it is looked up: in lower case, A-labels. NULL if it is no domain. */
static char *canonical(struct span domain)
{
	struct buf b = BUF_INIT(MAIL_DKIM_DOMAIN_MAX);
	char *name = NULL;

	if (domain.n && mail_domain_to_ascii(&b, domain) == 0) {
		for (size_t i = 0; i < b.n; i++)
			b.p[i] = ascii_lower(b.p[i]);
		name = mem_strndup(b.p, b.n);
	}
	buf_free(&b);
	return name;
}

static struct dkim_domain *find_domain(const struct dkim_signer *s, struct span name)
{
	struct map_node *node = map_get(&s->domains, name);

	return node ? domain_of(node) : NULL;
}

/* A name in the DNS as far as a signature field allows it (RFC 6376 section 3.5). */
static bool name_ok(const char *name)
{
	bool dot = true;

	for (const char *p = name; *p; p++) {
		if (*p == '.' ? dot : !ascii_is_alnum(*p) && *p != '-' && *p != '_')
			return false;
		dot = *p == '.';
	}
	return !dot;
}

static bool has_selector(const struct dkim_domain *d, const char *selector)
{
	for (size_t i = 0; i < d->n; i++)
		if (span_ieq(span_of(d->keys[i]->selector), span_of(selector)))
			return true;
	return false;
}

static int check_names(const struct dkim_signer *s, const char *domain, const char *selector,
		       struct errtext *e)
{
	struct buf where = BUF_INIT(DKIM_NAME_MAX);
	const bool named = domain && selector && name_ok(domain) && name_ok(selector) &&
			   mail_dkim_key_name(&where, span_of(selector), span_of(domain)) == 0;

	buf_free(&where);
	if (!named)
		return errtext_set(e, ERR_INVAL, "no names in the DNS, or too long together");
	const struct dkim_domain *d = find_domain(s, span_of(domain));
	if (d && has_selector(d, selector))
		return errtext_set(e, ERR_EXISTS, "%s has two keys with the selector %s", domain, selector);
	if (d && d->n == DKIM_SIGNATURES_MAX)
		return errtext_set(e, ERR_LIMIT, "%s has more than %d keys", domain, DKIM_SIGNATURES_MAX);
	if (s->n == DKIM_KEYS_MAX)
		return errtext_set(e, ERR_LIMIT, "more than %d keys", DKIM_KEYS_MAX);
	return 0;
}

int dkim_signer_add(struct dkim_signer *s, struct span domain, struct span selector,
		    struct tls_private_key **key, struct errtext *e)
{
	char *name = canonical(domain), *label = canonical(selector);
	const int err = check_names(s, name, label, e);

	if (err < 0) {
		free(name);
		free(label);
		return err;
	}
	struct dkim_domain *d = find_domain(s, span_of(name));
	if (d) {
		free(name);
	} else {
		d = mem_alloc(sizeof *d);
		d->name = name;
		map_put(&s->domains, &d->node, span_of(name));
	}
	struct dkim_key *k = mem_alloc(sizeof *k);
	*k = (struct dkim_key){ .domain = d, .selector = label, .key = *key };
	*key = NULL;
	d->keys[d->n++] = k;
	s->keys = mem_realloc(s->keys, (s->n + 1) * sizeof *s->keys);
	s->keys[s->n++] = k;
	if (!s->dflt)
		s->dflt = d;
	return 0;
}

int dkim_signer_set_default(struct dkim_signer *s, struct span domain)
{
	char *name = canonical(domain);
	struct dkim_domain *d = name ? find_domain(s, span_of(name)) : NULL;

	free(name);
	if (!d)
		return -ERR_NOTFOUND;
	s->dflt = d;
	return 0;
}

size_t dkim_signer_count(const struct dkim_signer *s)
{
	return s->n;
}

const struct tls_private_key *dkim_signer_key(const struct dkim_signer *s, size_t i, struct span *domain_r,
					      struct span *selector_r)
{
	if (i >= s->n)
		return NULL;
	*domain_r = span_of(s->keys[i]->domain->name);
	*selector_r = span_of(s->keys[i]->selector);
	return s->keys[i]->key;
}

/* --- whose --- */

/* The first address in From (RFC 5322 section 3.6.2: it may have several), in the form of the table. */
static char *author_domain(const struct mail_field *from)
{
	enum { BOXES_MAX = 100 };
	struct arena *a = arena_new(BOXES_MAX * sizeof(struct mail_mailbox) + 64 * 1024);
	struct mail_address_list list = { .n = 0 };
	char *name = NULL;

	if (mail_address_parse(a, from->body, BOXES_MAX, &list) == 0 && list.n)
		name = canonical(list.boxes[0].domain);
	arena_free(&a);
	return name;
}

const struct dkim_domain *dkim_signer_choose(const struct dkim_signer *s, const struct mail_head *h)
{
	const struct mail_field *from = mail_head_find(h, SPAN("From"), -1);

	/* RFC 6376 section 5.4: From is signed, always; so what has none is not. */
	if (!from)
		return NULL;
	char *name = author_domain(from);
	struct dkim_domain *d = NULL;
	for (struct span rest = span_of(name); rest.p && !d; span_cut(&rest, '.'))
		d = find_domain(s, rest);
	free(name);
	return d ? d : s->dflt;
}

struct span dkim_signer_domain(const struct dkim_signer *s, const struct mail_head *h)
{
	const struct dkim_domain *d = dkim_signer_choose(s, h);

	return d ? span_of(d->name) : (struct span){ NULL, 0 };
}
