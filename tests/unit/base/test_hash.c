#include "base/hash.h"
#include "test.h"

/* The values are those of another implementation: CPython 3.11 hashes bytes with SipHash-1-3 and its seed gives the key. */
static void siphash_agrees_with_others(void)
{
	static const struct {
		struct hash_key key;
		struct span text;
		uint64_t want;
	} cases[] = {
		{ { 0, 0 }, SPAN_INIT("a"), 0x407448d2b89b1813u },
		{ { 0, 0 }, SPAN_INIT("postern"), 0x41d87bb29f670a4au },
		{ { 0, 0 }, SPAN_INIT("12345678"), 0x3489982430560a87u },
		{ { 0, 0 }, SPAN_INIT("0123456789abcdef0123"), 0x560ed5360a9a319au },
		{ { 0xdc504fd368cd90afu, 0xb920bb9ffe99e9c1u }, SPAN_INIT("a"), 0xfe4a47335692551eu },
		{ { 0xdc504fd368cd90afu, 0xb920bb9ffe99e9c1u }, SPAN_INIT("postern"), 0xa27e285cabc46a04u },
		{ { 0xdc504fd368cd90afu, 0xb920bb9ffe99e9c1u }, SPAN_INIT("12345678"), 0x84eb586ab30cc7f5u },
		{ { 0xdc504fd368cd90afu, 0xb920bb9ffe99e9c1u },
		  SPAN_INIT("0123456789abcdef0123"),
		  0x69cc51f096905d3fu },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_INT(cases[i].want, hash_sip(&cases[i].key, cases[i].text));
}

static void siphash_sees_the_length(void)
{
	const struct hash_key key = { 1, 2 };

	CHECK(hash_sip(&key, SPAN("")) != hash_sip(&key, SPAN("\0")));
	CHECK(hash_sip(&key, SPAN("\0")) != hash_sip(&key, SPAN("\0\0")));
	CHECK(hash_sip(&key, (struct span){ NULL, 0 }) == hash_sip(&key, SPAN("")));
}

/* RFC 3720 appendix B.4, and the usual check value. */
static void crc32c_agrees_with_the_rfc(void)
{
	unsigned char octets[32];

	CHECK_INT(0xe3069283u, hash_crc32c(0, "123456789", 9));
	CHECK_INT(0, hash_crc32c(0, "", 0));
	memset(octets, 0, sizeof octets);
	CHECK_INT(0x8a9136aau, hash_crc32c(0, octets, sizeof octets));
	memset(octets, 0xff, sizeof octets);
	CHECK_INT(0x62a8ab43u, hash_crc32c(0, octets, sizeof octets));
	for (unsigned i = 0; i < 32; i++)
		octets[i] = (unsigned char)i;
	CHECK_INT(0x46dd794eu, hash_crc32c(0, octets, sizeof octets));
}

static uint32_t bit_by_bit(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

static void crc32c_continues_anywhere(void)
{
	unsigned char octets[100];

	for (unsigned i = 0; i < sizeof octets; i++)
		octets[i] = (unsigned char)(i * 37 + 11);
	const uint32_t whole = bit_by_bit(octets, sizeof octets);
	for (size_t at = 0; at <= sizeof octets; at++)
		CHECK_INT(whole, hash_crc32c(hash_crc32c(0, octets, at), octets + at, sizeof octets - at));
}

TEST_MAIN(TEST(siphash_agrees_with_others), TEST(siphash_sees_the_length), TEST(crc32c_agrees_with_the_rfc),
	  TEST(crc32c_continues_anywhere))
