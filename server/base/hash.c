#include "base/hash.h"

#include <endian.h>
#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

static uint64_t rotl(uint64_t v, unsigned bits)
{
	return (v << bits) | (v >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t hash_sip(const struct hash_key *key, struct span s)
{
	uint64_t v[4] = { key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
			  key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u };
	size_t i = 0;
	uint64_t m;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i, 8);
		m = le64toh(m);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)s.n << 56;
	for (unsigned shift = 0; i < s.n; i++, shift += 8)
		m |= (uint64_t)(unsigned char)s.p[i] << shift;
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* One octet at a time from a 16-entry table: for the machines without the instruction and for tails. */
static uint32_t crc_soft(uint32_t crc, const unsigned char *p, size_t n)
{
	static const uint32_t nibble[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
					     0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
					     0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
					     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		crc = nibble[crc & 15] ^ (crc >> 4);
		crc = nibble[crc & 15] ^ (crc >> 4);
	}
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_hard(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t m;
		memcpy(&m, p, 8);
		c = _mm_crc32_u64(c, m);
	}
	return crc_soft((uint32_t)c, p, n);
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n)
{
	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_hard(crc, p, n);
#endif
	return ~crc_soft(crc, p, n);
}
