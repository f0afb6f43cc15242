#include "dkim/dkim_published.h"

#include "test.h"

static struct tls_private_key *made(enum tls_key_kind kind, unsigned bits)
{
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };

	NEED(tls_private_key_make(kind, bits, &key, &e) == 0);
	return key;
}

/* Judges records, separated by "|". */
static void check_words(const char *records, const struct tls_private_key *key, enum dkim_published want,
			const char *words)
{
	struct dns_record r[4] = { { .ttl_s = 60 } };
	struct buf out = BUF_INIT(4000);
	size_t n = 0;

	for (struct span rest = span_of(records); rest.p && n < 4;)
		r[n++].data = span_cut(&rest, '|');
	struct dns_answer *a = dns_answer_new(DNS_TXT, SPAN("s._domainkey.a.example"), r, n);
	CHECK_STR(dkim_published_name(want),
		  dkim_published_name(dkim_published_judge(SPAN("s._domainkey.a.example"), a, key, &out)));
	CHECK_SPAN(words, buf_span(&out));
	dns_answer_unref(&a);
	buf_free(&out);
}

static void records_are_judged(void)
{
	struct tls_private_key *rsa = made(TLS_KEY_RSA, 2048), *small = made(TLS_KEY_RSA, 1024),
			       *ed25519 = made(TLS_KEY_ED25519, 0);
	struct buf good = BUF_INIT(2000), weak = BUF_INIT(2000), curve = BUF_INIT(2000), two = BUF_INIT(4000);

	CHECK_INT(0, dkim_published_record(rsa, &good));
	CHECK_INT(0, dkim_published_record(small, &weak));
	CHECK_INT(0, dkim_published_record(ed25519, &curve));
	check_words(buf_cstr(&good), rsa, DKIM_PUBLISHED_GOOD,
		    "The record holds an RSA key of 2048 bits.\nIt is the public half of the private key.\n");
	check_words(buf_cstr(&good), NULL, DKIM_PUBLISHED_GOOD,
		    "The record holds an RSA key of 2048 bits.\n");
	check_words(
		buf_cstr(&curve), ed25519, DKIM_PUBLISHED_GOOD,
		"The record holds an Ed25519 key; not every verifier knows them, so have an RSA key too.\n"
		"It is the public half of the private key.\n");
	check_words(buf_cstr(&weak), small, DKIM_PUBLISHED_WEAK,
		    "The record holds an RSA key of 1024 bits.\n"
		    "Less than 2048 bits is not recommended any more (RFC 8301).\n"
		    "It is the public half of the private key.\n");
	check_words(
		buf_cstr(&weak), rsa, DKIM_PUBLISHED_BAD,
		"The record holds an RSA key of 1024 bits.\n"
		"Less than 2048 bits is not recommended any more (RFC 8301).\n"
		"The record holds another key than the private key: what is signed with it does not pass.\n");
	check_words(buf_cstr(&good), ed25519, DKIM_PUBLISHED_BAD,
		    "The record holds an RSA key of 2048 bits.\n"
		    "The record is for a key of another kind; the private key is ed25519.\n");
	buf_addf(&two, "%s; t=y:s|something else", buf_cstr(&good));
	check_words(
		buf_cstr(&two), rsa, DKIM_PUBLISHED_WEAK,
		"The record holds an RSA key of 2048 bits.\nIt is the public half of the private key.\n"
		"Its t=y says that the domain is only trying DKIM out; take it away when it works.\n"
		"Its t=s: it is for addresses in the domain itself, not below it.\n"
		"There are 2 TXT records at s._domainkey.a.example; which of them counts is left to the verifier. Leave "
		"one.\n");
	buf_reset(&two);
	buf_addf(&two, "%s; s=other; h=sha1", buf_cstr(&good));
	check_words(buf_cstr(&two), NULL, DKIM_PUBLISHED_BAD,
		    "The record holds an RSA key of 2048 bits.\nIts s= says that the key is not for mail.\n"
		    "Its h= leaves sha256 out, which is what signatures use.\n");
	check_words("v=DKIM1; p=", rsa, DKIM_PUBLISHED_BAD, "The key was revoked: p= is empty.\n");
	check_words(
		"v=DKIM1; p=Zm9v", rsa, DKIM_PUBLISHED_BAD,
		"What stands in p= is no key.\n"
		"The record holds another key than the private key: what is signed with it does not pass.\n");
	check_words("v=spf1 -all", rsa, DKIM_PUBLISHED_BAD,
		    "Verifiers cannot use it: the key record is of another version.\n");
	buf_free(&good);
	buf_free(&weak);
	buf_free(&curve);
	buf_free(&two);
	tls_private_key_free(&rsa);
	tls_private_key_free(&small);
	tls_private_key_free(&ed25519);
}

static void no_record(void)
{
	static const struct {
		enum dns_result result;
		enum dkim_published want;
		const char *words;
	} cases[] = {
		{ DNS_NXDOMAIN, DKIM_PUBLISHED_BAD, "There is no TXT record at s.example.\n" },
		{ DNS_NODATA, DKIM_PUBLISHED_BAD, "There is no TXT record at s.example.\n" },
		{ DNS_TEMPFAIL, DKIM_PUBLISHED_UNKNOWN, "The DNS did not answer for s.example: SERVFAIL.\n" },
		{ DNS_INVALID, DKIM_PUBLISHED_BAD, "s.example cannot be asked for: SERVFAIL.\n" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dns_answer *a =
			dns_answer_new_empty(DNS_TXT, SPAN("s.example"), cases[i].result, "SERVFAIL");
		struct buf out = BUF_INIT(1000);
		CHECK_INT(cases[i].want, dkim_published_judge(SPAN("s.example"), a, NULL, &out));
		CHECK_SPAN(cases[i].words, buf_span(&out));
		buf_free(&out);
		dns_answer_unref(&a);
	}
}

TEST_MAIN(TEST(records_are_judged), TEST(no_record))
