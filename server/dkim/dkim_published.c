#include "dkim/dkim_published.h"

#include "mail/mail_dkim_key.h"

const char *dkim_published_name(enum dkim_published p)
{
	static const char *const names[] = { "good", "weak", "bad", "unknown" };

	return names[p];
}

int dkim_published_record(const struct tls_private_key *key, struct buf *out)
{
	struct buf octets = BUF_INIT(MAIL_DKIM_RECORD_MAX / 2);
	int err = tls_private_key_public(key, &octets);

	if (err == 0 && !mail_dkim_key_write(out,
					     tls_private_key_kind(key) == TLS_KEY_RSA ? MAIL_DKIM_KEY_RSA
										      : MAIL_DKIM_KEY_ED25519,
					     buf_span(&octets)))
		err = -ERR_TOOBIG;
	buf_free(&octets);
	return err;
}

/* The worse of what was found. */
static void lower(enum dkim_published *p, enum dkim_published to)
{
	if (*p < to)
		*p = to;
}

static void judge_rest(const struct mail_dkim_key *record, enum dkim_published *p, struct buf *words)
{
	if (record->not_for_mail) {
		buf_add_str(words, "Its s= says that the key is not for mail.\n");
		lower(p, DKIM_PUBLISHED_BAD);
	}
	if (record->no_sha256) {
		buf_add_str(words, "Its h= leaves sha256 out, which is what signatures use.\n");
		lower(p, DKIM_PUBLISHED_BAD);
	}
	if (record->testing) {
		buf_add_str(
			words,
			"Its t=y says that the domain is only trying DKIM out; take it away when it works.\n");
		lower(p, DKIM_PUBLISHED_WEAK);
	}
	if (record->strict)
		buf_add_str(words, "Its t=s: it is for addresses in the domain itself, not below it.\n");
}

static void judge_match(const struct mail_dkim_key *record, const struct tls_private_key *key,
			enum dkim_published *p, struct buf *words)
{
	struct buf mine = BUF_INIT(MAIL_DKIM_RECORD_MAX);

	if ((tls_private_key_kind(key) == TLS_KEY_RSA) != (record->kind == MAIL_DKIM_KEY_RSA)) {
		buf_addf(words, "The record is for a key of another kind; the private key is %s.\n",
			 tls_key_kind_name(tls_private_key_kind(key)));
		lower(p, DKIM_PUBLISHED_BAD);
	} else if (tls_private_key_public(key, &mine) < 0 || !span_eq(buf_span(&mine), record->octets)) {
		buf_add_str(
			words,
			"The record holds another key than the private key: what is signed with it does not pass.\n");
		lower(p, DKIM_PUBLISHED_BAD);
	} else {
		buf_add_str(words, "It is the public half of the private key.\n");
	}
	buf_free(&mine);
}

static void judge_key(const struct mail_dkim_key *record, enum dkim_published *p, struct buf *words)
{
	const enum tls_key_kind kind = record->kind == MAIL_DKIM_KEY_RSA ? TLS_KEY_RSA : TLS_KEY_ED25519;
	struct tls_public_key *key = NULL;
	const int err = tls_public_key_parse(kind, record->octets, &key);

	if (err == -ERR_INVAL) {
		buf_addf(words,
			 "The RSA key has less than %d bits or more than %d; verifiers do not believe it.\n",
			 TLS_RSA_BITS_MIN, TLS_RSA_BITS_MAX);
		lower(p, DKIM_PUBLISHED_BAD);
	} else if (err < 0) {
		buf_add_str(words, "What stands in p= is no key.\n");
		lower(p, DKIM_PUBLISHED_BAD);
	} else if (kind == TLS_KEY_ED25519) {
		buf_add_str(
			words,
			"The record holds an Ed25519 key; not every verifier knows them, so have an RSA key too.\n");
	} else {
		buf_addf(words, "The record holds an RSA key of %u bits.\n", tls_public_key_bits(key));
		if (tls_public_key_bits(key) < TLS_RSA_BITS_WANTED) {
			buf_addf(words, "Less than %d bits is not recommended any more (RFC 8301).\n",
				 TLS_RSA_BITS_WANTED);
			lower(p, DKIM_PUBLISHED_WEAK);
		}
	}
	tls_public_key_free(&key);
}

static enum dkim_published judge_record(struct span text, const struct tls_private_key *key,
					struct buf *words)
{
	struct arena *a = arena_new(4 * MAIL_DKIM_RECORD_MAX);
	enum dkim_published p = DKIM_PUBLISHED_GOOD;
	struct mail_dkim_key record;
	const char *why = "";

	if (mail_dkim_key_parse(a, text, &record, &why) < 0) {
		buf_addf(words, "Verifiers cannot use it: %s.\n", why);
		p = DKIM_PUBLISHED_BAD;
	} else if (record.revoked) {
		buf_add_str(words, "The key was revoked: p= is empty.\n");
		p = DKIM_PUBLISHED_BAD;
	} else {
		judge_key(&record, &p, words);
		if (key)
			judge_match(&record, key, &p, words);
		judge_rest(&record, &p, words);
	}
	arena_free(&a);
	return p;
}

enum dkim_published dkim_published_judge(struct span name, const struct dns_answer *a,
					 const struct tls_private_key *key, struct buf *words)
{
	switch (a->result) {
	case DNS_OK:
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		buf_addf(words, "There is no TXT record at %.*s.\n", SPAN_ARG(name));
		return DKIM_PUBLISHED_BAD;
	case DNS_TEMPFAIL:
		buf_addf(words, "The DNS did not answer for %.*s: %s.\n", SPAN_ARG(name), a->why);
		return DKIM_PUBLISHED_UNKNOWN;
	case DNS_INVALID:
		buf_addf(words, "%.*s cannot be asked for: %s.\n", SPAN_ARG(name), a->why);
		return DKIM_PUBLISHED_BAD;
	}
	enum dkim_published p = judge_record(a->record[0].data, key, words);
	if (a->n > 1) { /* RFC 6376 section 3.6.2.2 */
		buf_addf(
			words,
			"There are %zu TXT records at %.*s; which of them counts is left to the verifier. Leave one.\n",
			a->n, SPAN_ARG(name));
		lower(&p, DKIM_PUBLISHED_WEAK);
	}
	return p;
}
