#include "tls/tls_sign.h"

#include "base/base64.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static const uint8_t digest[TLS_SIGN_DIGEST_OCTETS] = "thirty-two octets to be signed.";
static const uint8_t other[TLS_SIGN_DIGEST_OCTETS] = "thirty-two octets to be signed!";

static struct tls_private_key *made(enum tls_key_kind kind, unsigned bits)
{
	struct errtext e = { "" };
	struct tls_private_key *key = NULL;

	CHECK_INT(0, tls_private_key_make(kind, bits, &key, &e));
	CHECK_STR("", e.s);
	NEED(key != NULL);
	return key;
}

static struct tls_public_key *public_of(const struct tls_private_key *key)
{
	struct buf b = BUF_INIT(2000);
	struct tls_public_key *public = NULL;

	CHECK_INT(0, tls_private_key_public(key, &b));
	CHECK_INT(0, tls_public_key_parse(tls_private_key_kind(key), buf_span(&b), &public));
	buf_free(&b);
	NEED(public != NULL);
	return public;
}

static void what_is_signed_verifies(void)
{
	static const enum tls_key_kind kinds[] = { TLS_KEY_RSA, TLS_KEY_ED25519 };

	for (size_t i = 0; i < 2; i++) {
		struct tls_private_key *key = made(kinds[i], 1024);
		struct tls_public_key *public = public_of(key);
		struct buf signature = BUF_INIT(TLS_SIGN_MAX);
		CHECK_INT(0, tls_sign(key, digest, &signature));
		CHECK_INT(kinds[i] == TLS_KEY_RSA ? 128 : 64, signature.n);
		CHECK_INT(0, tls_verify(public, digest, buf_span(&signature)));
		CHECK_INT(-ERR_DENIED, tls_verify(public, other, buf_span(&signature)));
		CHECK_INT(-ERR_DENIED, tls_verify(public, digest, span_skip(buf_span(&signature), 1)));
		CHECK_INT(-ERR_DENIED, tls_verify(public, digest, SPAN("")));
		signature.p[5] ^= 1;
		CHECK_INT(-ERR_DENIED, tls_verify(public, digest, buf_span(&signature)));
		buf_free(&signature);
		tls_public_key_free(&public);
		tls_private_key_free(&key);
	}
}

static void a_key_survives_its_file(void)
{
	static const enum tls_key_kind kinds[] = { TLS_KEY_RSA, TLS_KEY_ED25519 };

	for (size_t i = 0; i < 2; i++) {
		struct tls_private_key *key = made(kinds[i], 1024), *back = NULL;
		struct tls_public_key *public = public_of(key);
		struct buf signature = BUF_INIT(TLS_SIGN_MAX);
		struct secret pem = { 0 };
		struct errtext e = { "" };
		CHECK_INT(0, tls_private_key_pem(key, &pem));
		CHECK(span_starts(secret_span(&pem), SPAN("-----BEGIN PRIVATE KEY-----\n")));
		CHECK_INT(0, tls_private_key_parse(secret_span(&pem), &back, &e));
		CHECK_STR("", e.s);
		NEED(back != NULL);
		CHECK_INT(kinds[i], tls_private_key_kind(back));
		CHECK_INT(0, tls_sign(back, digest, &signature));
		CHECK_INT(0, tls_verify(public, digest, buf_span(&signature)));
		buf_free(&signature);
		secret_deinit(&pem);
		tls_public_key_free(&public);
		tls_private_key_free(&back);
		tls_private_key_free(&key);
	}
}

/* RFC 8032 section 7.1 test 1: this secret has this public key; RFC 8463 appendix A.2 has it in base64. */
static void a_published_key(void)
{
	const struct span pem = SPAN("-----BEGIN PRIVATE KEY-----\n"
				     "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
				     "-----END PRIVATE KEY-----\n");
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };
	struct buf raw = BUF_INIT(100), text = BUF_INIT(100);

	CHECK_INT(0, tls_private_key_parse(pem, &key, &e));
	NEED(key != NULL);
	CHECK_INT(0, tls_private_key_public(key, &raw));
	CHECK(base64_encode(&text, buf_span(&raw)));
	CHECK_SPAN("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", buf_span(&text));
	buf_free(&raw);
	buf_free(&text);
	tls_private_key_free(&key);
}

static void what_is_no_key_is_refused(void)
{
	static const struct {
		const char *pem;
		int err;
	} cases[] = {
		{ "", ERR_SYNTAX },
		{ "hello", ERR_SYNTAX },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ERR_SYNTAX },
		/* a public one */
		{ "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
		  "-----END PUBLIC KEY-----\n",
		  ERR_SYNTAX },
		/* of an elliptic curve that DKIM has no name for */
		{ "-----BEGIN PRIVATE KEY-----\n"
		  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6Sb7KGklyCyAUv13\n"
		  "wjf/9gXsraZId610v/ZRUFlLtM6hRANCAASkANFegybksz0xP0Y/8VTskMIG3zuR\n"
		  "mhlZ9bJNJpHdjkR8cL+0ckzns9cH5uZ37deKnVsbzDR1OHDaI6+sfj9O\n"
		  "-----END PRIVATE KEY-----\n",
		  ERR_UNSUPPORTED },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tls_private_key *key = NULL;
		struct errtext e = { "" };
		CHECK_INT(-cases[i].err, tls_private_key_parse(span_of(cases[i].pem), &key, &e));
		CHECK(e.s[0] != '\0');
		CHECK(key == NULL);
	}
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };
	CHECK_INT(-ERR_INVAL, tls_private_key_make(TLS_KEY_RSA, 512, &key, &e));
	CHECK_INT(-ERR_NOTFOUND, tls_private_key_read("/nowhere/key.pem", &key, &e));
}

static void public_keys(void)
{
	struct tls_public_key *key = NULL;
	struct buf der = BUF_INIT(1000);

	CHECK_INT(-ERR_SYNTAX, tls_public_key_parse(TLS_KEY_RSA, SPAN("x"), &key));
	CHECK_INT(-ERR_SYNTAX, tls_public_key_parse(TLS_KEY_RSA, SPAN(""), &key));
	CHECK_INT(-ERR_SYNTAX, tls_public_key_parse(TLS_KEY_ED25519, SPAN("too short"), &key));
	/* RFC 8463 appendix A.2: 1024 bits, with and without the outer structure */
	CHECK_INT(
		0,
		base64_decode(
			&der,
			SPAN("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bd"
			     "OKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4h"
			     "stT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB")));
	CHECK_INT(0, tls_public_key_parse(TLS_KEY_RSA, buf_span(&der), &key));
	NEED(key != NULL);
	CHECK_INT(1024, tls_public_key_bits(key));
	tls_public_key_free(&key);
	CHECK_INT(0, tls_public_key_parse(TLS_KEY_RSA, span_skip(buf_span(&der), 22), &key));
	tls_public_key_free(&key);
	buf_add_char(&der, 'x');
	CHECK_INT(-ERR_SYNTAX, tls_public_key_parse(TLS_KEY_RSA, buf_span(&der), &key));
	/* an RSAPublicKey of 512 bits */
	buf_reset(&der);
	CHECK_INT(0,
		  base64_decode(
			  &der,
			  SPAN("MEgCQQDdtS0/ApzcIt5rWYfpNiPv+povvSVLYApwZ1sGktQ5ERVGpmgc7+hpsLcnt4yUI7hgNGNa"
			       "vkbAt2e7MVsTaCD9AgMBAAE=")));
	CHECK_INT(-ERR_INVAL, tls_public_key_parse(TLS_KEY_RSA, buf_span(&der), &key));
	buf_free(&der);
}

static void a_file_that_everybody_may_read_is_noted(void)
{
	char path[] = "/tmp/postern-key-XXXXXX";
	const int fd = mkstemp(path);
	struct tls_private_key *key = made(TLS_KEY_ED25519, 0), *back = NULL;
	struct secret pem = { 0 };
	struct errtext e = { "" };

	NEED(fd >= 0);
	CHECK_INT(0, tls_private_key_pem(key, &pem));
	CHECK(write(fd, secret_span(&pem).p, secret_span(&pem).n) == (ssize_t)secret_span(&pem).n);
	CHECK_INT(0, tls_private_key_read(path, &back, &e));
	tls_private_key_free(&back);
	CHECK_INT(0, fchmod(fd, 0644));
	CHECK_INT(1, tls_private_key_read(path, &back, &e));
	tls_private_key_free(&back);
	secret_deinit(&pem);
	tls_private_key_free(&key);
	close(fd);
	unlink(path);
}

TEST_MAIN(TEST(what_is_signed_verifies), TEST(a_key_survives_its_file), TEST(a_published_key),
	  TEST(what_is_no_key_is_refused), TEST(public_keys), TEST(a_file_that_everybody_may_read_is_noted))
