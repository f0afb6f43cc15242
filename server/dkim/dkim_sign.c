/* dkim_sign.c - the fields of a signature and of an ARC set; see dkim_signer.h. */
#include "base/check.h"
#include "dkim/dkim_priv.h"
#include "mail/mail_fold.h"
#include "tls/tls_digest.h"

/* What is signed of a header section: at most what a session takes of one, in the form that grows most. */
enum { COVER_MAX = 8 * 1024 * 1024, FIELD_MAX = 64 * 1024 };

static enum mail_dkim_algorithm algorithm_of(const struct dkim_key *k)
{
	return tls_private_key_kind(k->key) == TLS_KEY_RSA ? MAIL_DKIM_RSA_SHA256 : MAIL_DKIM_ED25519_SHA256;
}

/* Signs what is in @cover and closes the field that was begun in @out. */
static int finish(const struct dkim_key *k, const struct buf *cover, struct buf *out)
{
	struct buf signature = BUF_INIT(TLS_SIGN_MAX);
	uint8_t digest[TLS_DIGEST_MAX];
	int err = cover->overflow ? -ERR_TOOBIG : tls_digest(TLS_DIGEST_SHA256, buf_span(cover), digest);

	if (err == 0)
		err = tls_sign(k->key, digest, &signature);
	if (err == 0 && !mail_dkim_sig_finish(out, buf_span(&signature)))
		err = -ERR_TOOBIG;
	buf_free(&signature);
	return err;
}

/* One signature over @h: of DKIM, or of ARC over the message. */
static int sign_head(const struct dkim_key *k, const struct mail_head *h, const struct mail_dkim_sig *sig,
		     struct buf *out)
{
	struct buf cover = BUF_INIT(COVER_MAX);
	const size_t at = out->n;
	int err = mail_dkim_sig_write(out, sig);

	if (err == 0) {
		/* What is written so far ends behind "b=", as the field does that a verifier makes of it. */
		const struct mail_field f = { .raw = span_skip(buf_span(out), at) };
		mail_dkim_sig_cover(&cover, h, sig, &f);
		err = finish(k, &cover, out);
	}
	buf_free(&cover);
	return err;
}

static struct mail_dkim_sig begin(enum mail_dkim_kind kind, const struct dkim_key *k,
				  const uint8_t *body_hash, int64_t now_s)
{
	struct mail_dkim_sig sig = { .kind = kind,
				     .algorithm = algorithm_of(k),
				     .head_canon = MAIL_DKIM_RELAXED,
				     .body_canon = MAIL_DKIM_RELAXED,
				     .domain = span_of(k->domain->name),
				     .selector = span_of(k->selector),
				     .signed_s = now_s,
				     .expires_s = -1 };

	if (body_hash)
		memcpy(sig.body_hash, body_hash, sizeof sig.body_hash);
	return sig;
}

int dkim_sign(const struct dkim_signer *s, const struct mail_head *h, const uint8_t *body_hash, int64_t now_s,
	      struct buf *out)
{
	const struct dkim_domain *d = dkim_signer_choose(s, h);
	struct span names[MAIL_DKIM_NAMES_MAX];
	const size_t before = out->n;

	if (!d)
		return 0;
	const size_t n = mail_dkim_names_wanted(h, names);
	for (size_t i = 0; i < d->n; i++) {
		struct mail_dkim_sig sig = begin(MAIL_DKIM_FIELD, d->keys[i], body_hash, now_s);
		sig.names = names;
		sig.names_n = n;
		const int err = sign_head(d->keys[i], h, &sig, out);
		if (err < 0) {
			out->n = before;
			return err;
		}
	}
	return (int)d->n;
}

/* --- ARC --- */

/* RFC 8617 section 4.1.3 knows rsa-sha256 alone. */
static const struct dkim_key *seal_key(const struct dkim_signer *s)
{
	for (size_t i = 0; s->dflt && i < s->dflt->n; i++)
		if (algorithm_of(s->dflt->keys[i]) == MAIL_DKIM_RSA_SHA256)
			return s->dflt->keys[i];
	return NULL;
}

bool dkim_signer_seals(const struct dkim_signer *s)
{
	return seal_key(s) != NULL;
}

/* What ARC-Message-Signature covers: what a signature of ours does, and the signatures that are there (RFC 8617 section 4.1.2). */
static size_t message_names(const struct mail_head *h, struct span *names)
{
	const struct span signature = SPAN("DKIM-Signature");
	size_t n = mail_dkim_names_wanted(h, names);

	for (size_t i = mail_head_count(h, signature); i > 0 && n < MAIL_DKIM_NAMES_MAX; i--)
		names[n++] = signature;
	return n;
}

static int seal_results(unsigned instance, struct span results, struct buf *field)
{
	struct buf value = BUF_INIT(FIELD_MAX);

	buf_addf(&value, "i=%u; ", instance);
	buf_add_span(&value, results);
	const int err = value.overflow ? -ERR_TOOBIG
				       : mail_field_write(field, SPAN("ARC-Authentication-Results"),
							  buf_span(&value), 0);
	buf_free(&value);
	return err;
}

static int seal_message(const struct dkim_key *k, const struct mail_head *h, unsigned instance,
			const uint8_t *body_hash, int64_t now_s, struct buf *field)
{
	struct span names[MAIL_DKIM_NAMES_MAX];
	struct mail_dkim_sig sig = begin(MAIL_DKIM_ARC_MESSAGE, k, body_hash, now_s);

	sig.instance = instance;
	sig.names = names;
	sig.names_n = message_names(h, names);
	return sign_head(k, h, &sig, field);
}

static int seal_set(const struct dkim_key *k, const struct mail_arc *chain, bool passed, int64_t now_s,
		    struct span results, struct span message, struct buf *field)
{
	struct mail_dkim_sig sig = begin(MAIL_DKIM_ARC_SEAL, k, NULL, now_s);
	struct buf cover = BUF_INIT(COVER_MAX);

	sig.instance = (unsigned)chain->n + 1;
	sig.chain = !passed ? SPAN("fail") : chain->n ? SPAN("pass") : SPAN("none");
	int err = mail_dkim_sig_write(field, &sig);
	if (err == 0) {
		/* RFC 8617 section 5.1.2: a chain that failed is not covered, only our own set. */
		mail_arc_cover(&cover, chain, passed ? chain->n : 0, results, message, buf_span(field));
		err = finish(k, &cover, field);
	}
	buf_free(&cover);
	return err;
}

int dkim_seal(const struct dkim_signer *s, const struct mail_head *h, const struct mail_arc *chain,
	      bool passed, struct span results, const uint8_t *body_hash, int64_t now_s, struct buf *out)
{
	const struct dkim_key *k = seal_key(s);
	struct buf aar = BUF_INIT(FIELD_MAX), ams = BUF_INIT(FIELD_MAX), seal = BUF_INIT(FIELD_MAX);
	int err = 0;

	if (!k || chain->ended || chain->n >= MAIL_ARC_SETS_MAX)
		return 0;
	err = seal_results((unsigned)chain->n + 1, results, &aar);
	if (err == 0)
		err = seal_message(k, h, (unsigned)chain->n + 1, body_hash, now_s, &ams);
	if (err == 0)
		err = seal_set(k, chain, passed, now_s, buf_span(&aar), buf_span(&ams), &seal);
	if (err == 0 && buf_reserve(out, aar.n + ams.n + seal.n)) {
		buf_add_span(out, buf_span(&seal));
		buf_add_span(out, buf_span(&ams));
		buf_add_span(out, buf_span(&aar));
		err = 1;
	} else if (err == 0) {
		err = -ERR_TOOBIG;
	}
	buf_free(&aar);
	buf_free(&ams);
	buf_free(&seal);
	return err;
}
