#include "mail/mail_dkim_key.h"

#include "base/base64.h"
#include "mail/mail_dkim_tags.h"
#include "mail/mail_punycode.h"

/* Is @word in the list of a tag? A tag that is not there allows everything. */
static bool list_has(const struct mail_dkim_tags *tags, const char *name, const char *word, bool absent)
{
	struct span list = mail_dkim_tags_value(tags, name);

	if (!list.p)
		return absent;
	while (list.p)
		if (span_ieq(mail_dkim_list_next(&list, ':'), span_of(word)))
			return true;
	return false;
}

static int kind_of(const struct mail_dkim_tags *tags, enum mail_dkim_key_kind *kind_r)
{
	const struct span k = mail_dkim_tags_value(tags, "k");

	if (k.p && !span_ieq(k, SPAN("rsa")) && !span_ieq(k, SPAN("ed25519")))
		return -ERR_UNSUPPORTED;
	*kind_r = k.p && span_ieq(k, SPAN("ed25519")) ? MAIL_DKIM_KEY_ED25519 : MAIL_DKIM_KEY_RSA;
	return 0;
}

int mail_dkim_key_parse(struct arena *a, struct span text, struct mail_dkim_key *key_r, const char **why_r)
{
	struct mail_dkim_key key = { .kind = MAIL_DKIM_KEY_RSA };
	struct mail_dkim_tags tags = { .n = 0 };

	if (text.n > MAIL_DKIM_RECORD_MAX) {
		*why_r = "the key record is too long";
		return -ERR_TOOBIG;
	}
	if (mail_dkim_tags_parse(text, &tags) < 0) {
		*why_r = "the key record is not a list of tags";
		return -ERR_SYNTAX;
	}
	const struct mail_dkim_tag *v = mail_dkim_tags_find(&tags, "v");
	/* RFC 6376 section 3.6.1: first, and this version */
	if (v && (v != tags.v || !span_eq(v->value, SPAN("DKIM1")))) {
		*why_r = "the key record is of another version";
		return -ERR_SYNTAX;
	}
	if (!mail_dkim_tags_find(&tags, "p")) {
		*why_r = "the key record has no key (p=)";
		return -ERR_SYNTAX;
	}
	if (kind_of(&tags, &key.kind) < 0) {
		*why_r = "the key is of an unknown kind";
		return -ERR_UNSUPPORTED;
	}
	if (mail_dkim_base64(a, mail_dkim_tags_value(&tags, "p"), &key.octets) < 0) {
		*why_r = "the key in the record is not base64";
		return -ERR_SYNTAX;
	}
	key.revoked = key.octets.n == 0;
	key.testing = list_has(&tags, "t", "y", false);
	key.strict = list_has(&tags, "t", "s", false);
	key.no_sha256 = !list_has(&tags, "h", "sha256", true);
	key.not_for_mail = !list_has(&tags, "s", "*", true) && !list_has(&tags, "s", "email", true);
	*key_r = key;
	return 0;
}

const char *mail_dkim_key_refuses(const struct mail_dkim_key *key, const struct mail_dkim_sig *sig)
{
	const bool ed25519 = sig->algorithm == MAIL_DKIM_ED25519_SHA256;

	if (key->not_for_mail)
		return "the key is not for mail";
	if (key->no_sha256)
		return "the key is not for this hash";
	if (key->revoked)
		return "the key was revoked";
	if ((key->kind == MAIL_DKIM_KEY_ED25519) != ed25519)
		return "the key is of another kind than the signature";
	if (key->strict && !span_ieq(sig->identity_domain, sig->domain))
		return "the key is not for subdomains";
	return NULL;
}

bool mail_dkim_key_write(struct buf *out, enum mail_dkim_key_kind kind, struct span octets)
{
	buf_add_str(out, kind == MAIL_DKIM_KEY_RSA ? "v=DKIM1; k=rsa; p=" : "v=DKIM1; k=ed25519; p=");
	return base64_encode(out, octets);
}

bool mail_dkim_key_zone_text(struct buf *out, struct span record)
{
	enum { STRING_MAX = 255 };

	for (size_t i = 0; i < record.n; i += STRING_MAX) {
		const struct span part = span_first(span_skip(record, i), STRING_MAX);
		buf_add_str(out, i ? " \"" : "\"");
		for (size_t k = 0; k < part.n; k++) {
			if (part.p[k] == '"' || part.p[k] == '\\')
				buf_add_char(out, '\\');
			buf_add_char(out, part.p[k]);
		}
		buf_add_char(out, '"');
	}
	return !out->overflow;
}

int mail_dkim_key_name(struct buf *out, struct span selector, struct span domain)
{
	const size_t before = out->n;
	int err = mail_domain_to_ascii(out, selector);

	buf_add_str(out, "._domainkey.");
	if (err == 0)
		err = mail_domain_to_ascii(out, domain);
	if (err == 0 && !out->overflow)
		return 0;
	out->n = before;
	return -ERR_INVAL;
}
