#include "test.h"
#include "tls/tls_digest.h"

/* Lower case hexadecimal of what was computed, against the published text. */
static void check_hex(int line, const char *want, const uint8_t *got, size_t n)
{
	char text[2 * 128 + 1];

	NEED(n <= 128);
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", got[i]);
	if (strcmp(want, text) != 0)
		FAIL("line %d: expected %s, got %s", line, want, text);
}
#define CHECK_HEX(want, got, n) check_hex(__LINE__, want, got, n)

/* FIPS 180-4's examples. */
static void digests_are_the_published(void)
{
	uint8_t out[TLS_DIGEST_MAX];

	CHECK_INT(20, tls_digest_octets(TLS_DIGEST_SHA1));
	CHECK_INT(32, tls_digest_octets(TLS_DIGEST_SHA256));
	CHECK_INT(64, tls_digest_octets(TLS_DIGEST_SHA512));
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA1, SPAN("abc"), out));
	CHECK_HEX("a9993e364706816aba3e25717850c26c9cd0d89d", out, 20);
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA256, SPAN("abc"), out));
	CHECK_HEX("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", out, 32);
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA256, (struct span){ NULL, 0 }, out));
	CHECK_HEX("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", out, 32);
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA512, SPAN("abc"), out));
	CHECK_HEX("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		  out, 64);
}

/* RFC 2202 section 3 and RFC 4231 section 4. */
static void keyed_hashes_are_the_published(void)
{
	uint8_t out[TLS_DIGEST_MAX];
	char key[131];

	CHECK_INT(0, tls_hmac(TLS_DIGEST_SHA1, SPAN("Jefe"), SPAN("what do ya want for nothing?"), out));
	CHECK_HEX("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", out, 20);
	CHECK_INT(0, tls_hmac(TLS_DIGEST_SHA256, SPAN("Jefe"), SPAN("what do ya want for nothing?"), out));
	CHECK_HEX("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", out, 32);
	memset(key, 0xaa, sizeof key);
	CHECK_INT(0, tls_hmac(TLS_DIGEST_SHA512, span_make(key, sizeof key),
			      SPAN("Test Using Larger Than Block-Size Key - Hash Key First"), out));
	CHECK_HEX("80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
		  "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
		  out, 64);
	CHECK_INT(0, tls_hmac(TLS_DIGEST_SHA256, (struct span){ NULL, 0 }, (struct span){ NULL, 0 }, out));
	CHECK_HEX("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", out, 32);
}

static void a_hash_in_pieces_is_that_of_the_whole(void)
{
	static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	const struct span whole = SPAN("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");

	for (size_t at = 0; at < sizeof text; at++) {
		struct tls_hash *h = NULL;
		uint8_t out[32];

		NEED(tls_hash_new(TLS_DIGEST_SHA256, &h) == 0);
		CHECK_INT(0, tls_hash_add(h, span_first(whole, at)));
		CHECK_INT(0, tls_hash_add(h, span_skip(whole, at)));
		CHECK_INT(0, tls_hash_add(h, (struct span){ NULL, 0 }));
		CHECK_INT(0, tls_hash_end(h, out));
		CHECK_HEX("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", out, 32);
		tls_hash_free(&h);
		CHECK(!h);
	}
	tls_hash_free(&(struct tls_hash *){ NULL });
}

/* RFC 6070 for SHA-1; RFC 7914 section 11 for SHA-256. */
static void pbkdf2_is_the_published(void)
{
	uint8_t out[64];

	CHECK_INT(0, tls_pbkdf2(TLS_DIGEST_SHA1, SPAN("password"), SPAN("salt"), 4096, out, 20));
	CHECK_HEX("4b007901b765489abead49d926f721d065a429c1", out, 20);
	CHECK_INT(0, tls_pbkdf2(TLS_DIGEST_SHA256, SPAN("passwd"), SPAN("salt"), 1, out, 64));
	CHECK_HEX("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
		  "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
		  out, 64);
}

static void pbkdf2_refuses_nonsense(void)
{
	uint8_t out[4] = { 1, 2, 3, 4 };

	CHECK_INT(-ERR_INVAL, tls_pbkdf2(TLS_DIGEST_SHA1, SPAN("p"), SPAN("s"), 0, out, 4));
	CHECK_INT(-ERR_INVAL, tls_pbkdf2(TLS_DIGEST_SHA1, SPAN("p"), SPAN("s"), 1, out, 0));
	CHECK_INT(-ERR_TOOBIG, tls_pbkdf2(TLS_DIGEST_SHA1, SPAN("p"), SPAN("s"), UINT32_MAX, out, 4));
	CHECK_INT(2, out[1]);
}

/* RFC 7914 section 12. */
static void scrypt_is_the_published(void)
{
	uint8_t out[64];

	CHECK_INT(0, tls_scrypt(SPAN(""), SPAN(""), 16, 1, 1, out, 64));
	CHECK_HEX("77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
		  "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
		  out, 64);
	CHECK_INT(0, tls_scrypt(SPAN("password"), SPAN("NaCl"), 1024, 8, 16, out, 64));
	CHECK_HEX("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
		  "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
		  out, 64);
	CHECK_INT(0, tls_scrypt(SPAN("pleaseletmein"), SPAN("SodiumChloride"), 16384, 8, 1, out, 64));
	CHECK_HEX("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
		  "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
		  out, 64);
}

static void scrypt_refuses_nonsense_and_too_much_memory(void)
{
	uint8_t out[4] = { 1, 2, 3, 4 };

	CHECK_INT(-ERR_INVAL, tls_scrypt(SPAN("p"), SPAN("s"), 0, 8, 1, out, 4));
	CHECK_INT(-ERR_INVAL, tls_scrypt(SPAN("p"), SPAN("s"), 1000, 8, 1, out, 4));
	CHECK_INT(-ERR_INVAL, tls_scrypt(SPAN("p"), SPAN("s"), 1024, 0, 1, out, 4));
	CHECK_INT(-ERR_INVAL, tls_scrypt(SPAN("p"), SPAN("s"), 1024, 8, 0, out, 4));
	CHECK_INT(-ERR_TOOBIG, tls_scrypt(SPAN("p"), SPAN("s"), 1 << 19, 8, 1, out, 4));
	CHECK_INT(-ERR_TOOBIG, tls_scrypt(SPAN("p"), SPAN("s"), UINT64_C(1) << 63, 8, 1, out, 4));
	CHECK_INT(-ERR_TOOBIG, tls_scrypt(SPAN("p"), SPAN("s"), 2, 8, UINT32_MAX, out, 4));
	CHECK_INT(2, out[1]);
}

static void random_octets_differ(void)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	CHECK_INT(0, tls_random(a, sizeof a));
	CHECK_INT(0, tls_random(b, sizeof b));
	CHECK(!tls_equal(a, b, sizeof a));
	CHECK_INT(0, tls_random(a, 0));
}

static void a_copy_goes_its_own_way(void)
{
	uint8_t first[TLS_DIGEST_MAX], second[TLS_DIGEST_MAX], want[TLS_DIGEST_MAX];
	struct tls_hash *h = NULL, *copy = NULL;

	NEED(tls_hash_new(TLS_DIGEST_SHA256, &h) == 0);
	CHECK_INT(0, tls_hash_add(h, SPAN("common, ")));
	NEED(tls_hash_copy(h, &copy) == 0);
	CHECK_INT(0, tls_hash_add(h, SPAN("one")));
	CHECK_INT(0, tls_hash_add(copy, SPAN("two")));
	CHECK_INT(0, tls_hash_end(h, first));
	CHECK_INT(0, tls_hash_end(copy, second));
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA256, SPAN("common, one"), want));
	CHECK_INT(0, memcmp(want, first, 32));
	CHECK_INT(0, tls_digest(TLS_DIGEST_SHA256, SPAN("common, two"), want));
	CHECK_INT(0, memcmp(want, second, 32));
	tls_hash_free(&h);
	tls_hash_free(&copy);
}

static void what_is_wiped_is_gone(void)
{
	char text[] = "a secret";

	tls_wipe(text, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		CHECK_INT(0, text[i]);
}

static void equality_looks_at_every_octet(void)
{
	char a[] = "0123456789", b[] = "0123456789";

	CHECK(tls_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++) {
		b[i] ^= 1;
		CHECK(!tls_equal(a, b, sizeof a));
		b[i] ^= 1;
	}
	CHECK(tls_equal(NULL, NULL, 0));
}

TEST_MAIN(TEST(digests_are_the_published), TEST(keyed_hashes_are_the_published),
	  TEST(a_hash_in_pieces_is_that_of_the_whole), TEST(pbkdf2_is_the_published),
	  TEST(pbkdf2_refuses_nonsense), TEST(scrypt_is_the_published),
	  TEST(scrypt_refuses_nonsense_and_too_much_memory), TEST(random_octets_differ),
	  TEST(a_copy_goes_its_own_way), TEST(what_is_wiped_is_gone), TEST(equality_looks_at_every_octet))
