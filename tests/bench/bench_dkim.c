/* bench_dkim.c - processor time that signatures cost a worker, on one core.
 *
 *   bench_dkim [messages]
 *
 * A message of 4 KiB is hashed and signed, and its signature verified, the way a session does it, key and network left out; then
 * how fast a long body is hashed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "dkim/dkim_body.h"
#include "dkim/dkim_signer.h"
#include "tls/tls_digest.h"

enum { MESSAGE_OCTETS = 4096, LINE_OCTETS = 76 };

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const char head_text[] =
	"From: Copier <scans@bio.example.edu>\r\nTo: office@example.org\r\nSubject: Scan from the second floor\r\n"
	"Date: Thu, 21 Nov 2024 07:15:00 -0600\r\nMessage-ID: <1@bio.example.edu>\r\nMIME-Version: 1.0\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n\r\n";

static void fill(struct buf *b, size_t octets)
{
	static const char words[] =
		"the quick brown fox jumps over the lazy dog and what was scanned follows ";

	while (b->n < octets) {
		buf_add(b, words, sizeof words - 1);
		buf_add_str(b, "\r\n");
	}
}

static void hash_body(struct span body, struct dkim_body **b_r)
{
	struct dkim_body *b = dkim_body_new();

	require(dkim_body_want(b, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT) == 0);
	dkim_body_add(b, body);
	dkim_body_end(b);
	*b_r = b;
}

static void sign_one(const struct dkim_signer *s, struct span body, struct buf *out)
{
	struct arena *a = arena_new(64 * 1024);
	struct mail_head *h = NULL;
	struct dkim_body *b = NULL;

	require(mail_head_parse(a, span_of(head_text), sizeof head_text, &h) > 0);
	hash_body(body, &b);
	buf_reset(out);
	require(dkim_sign(s, h, dkim_body_hash(b, 0), 1700000000, out) > 0);
	dkim_body_free(&b);
	arena_free(&a);
}

static void add_key(struct dkim_signer *s, enum tls_key_kind kind, unsigned bits,
		    struct tls_public_key **public_r)
{
	struct tls_private_key *key = NULL;
	struct buf octets = BUF_INIT(4096);
	struct errtext why = { "" };

	require(tls_private_key_make(kind, bits, &key, &why) == 0);
	require(tls_private_key_public(key, &octets) == 0);
	require(tls_public_key_parse(kind, buf_span(&octets), public_r) == 0);
	require(dkim_signer_add(s, SPAN("example.edu"), SPAN("s"), &key, &why) == 0);
	buf_free(&octets);
}

static void measure(const char *name, enum tls_key_kind kind, unsigned bits, unsigned messages,
		    struct span body)
{
	struct dkim_signer *s = dkim_signer_new();
	struct tls_public_key *public = NULL;
	struct buf out = BUF_INIT(64 * 1024), signature = BUF_INIT(TLS_SIGN_MAX);
	uint8_t digest[TLS_SIGN_DIGEST_OCTETS] = { 0 };
	struct span domain, selector;

	add_key(s, kind, bits, &public);
	sign_one(s, body, &out); /* what is made once is made */
	double began = cpu_us();
	for (unsigned i = 0; i < messages; i++)
		sign_one(s, body, &out);
	const double signing = (cpu_us() - began) / messages;
	require(tls_sign(dkim_signer_key(s, 0, &domain, &selector), digest, &signature) == 0);
	began = cpu_us();
	for (unsigned i = 0; i < messages; i++)
		require(tls_verify(public, digest, buf_span(&signature)) == 0);
	const double verifying = (cpu_us() - began) / messages;
	printf("%-10s %8.1f us to sign %d octets, %7.1f us to check the signature\n", name, signing,
	       MESSAGE_OCTETS, verifying);
	buf_free(&out);
	buf_free(&signature);
	tls_public_key_free(&public);
	dkim_signer_free(&s);
}

/* Both forms of a body of lines, as from a scanner that sends base64. */
static void measure_body(enum mail_dkim_canon canon)
{
	enum { OCTETS = 64 * 1024 * 1024, PIECE = 64 * 1024 };
	struct buf piece = BUF_INIT(2 * PIECE);
	struct dkim_body *b = dkim_body_new();

	while (piece.n < PIECE) {
		for (int i = 0; i < LINE_OCTETS; i++)
			buf_add_char(&piece, "ABCDEFGHIJKLMNOPQRSTUVWXYZ+/0123"[(piece.n + (size_t)i) % 32]);
		buf_add_str(&piece, "\r\n");
	}
	require(dkim_body_want(b, canon, MAIL_DKIM_NO_LIMIT) == 0);
	const double began = cpu_us();
	size_t octets = 0;
	for (; octets < OCTETS; octets += piece.n)
		dkim_body_add(b, buf_span(&piece));
	dkim_body_end(b);
	printf("%-10s %8.0f MB/s of body\n", mail_dkim_canon_name(canon),
	       (double)octets / (cpu_us() - began));
	dkim_body_free(&b);
	buf_free(&piece);
}

int main(int argc, char **argv)
{
	const unsigned messages = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	struct buf body = BUF_INIT(2 * MESSAGE_OCTETS);

	fill(&body, MESSAGE_OCTETS);
	measure("RSA-2048", TLS_KEY_RSA, 2048, messages, buf_span(&body));
	measure("Ed25519", TLS_KEY_ED25519, 0, messages, buf_span(&body));
	measure_body(MAIL_DKIM_SIMPLE);
	measure_body(MAIL_DKIM_RELAXED);
	buf_free(&body);
	return 0;
}
