#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/check.h"

static const char alphabet[] = "23456789abcdefghijkmnpqrstuvwxyz";

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n) {
		const ssize_t got = getrandom(at, n, 0);
		if (got < 0) {
			require(errno == EINTR);
			continue;
		}
		at += got;
		n -= (size_t)got;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof v);
	return v;
}

uint64_t random_below(uint64_t bound)
{
	uint64_t v;

	require(bound > 0);
	const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
	do
		v = random_u64();
	while (v >= limit);
	return v % bound;
}

struct id id_from_u64(uint64_t v)
{
	struct id id;

	for (unsigned i = ID_LEN; i > 0; i--, v >>= 5)
		id.s[i - 1] = alphabet[v & 31];
	id.s[ID_LEN] = 0;
	return id;
}

bool id_parse(struct span s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n != ID_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(alphabet, ascii_lower(s.p[i])) : NULL;
		if (!at)
			return false;
		v = v << 5 | (uint64_t)(at - alphabet);
	}
	*v_r = v;
	return true;
}

struct id id_random(void)
{
	return id_from_u64(random_u64());
}
