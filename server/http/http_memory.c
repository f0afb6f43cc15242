/* http/http_memory.c - libcurl's memory: headers and bodies with secrets in them are in its buffers on their way, so what it gives
 * back is overwritten. Each block has its length in front of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/http_priv.h"

struct block {
	_Alignas(max_align_t) size_t n;
	char octets[];
};

static struct block *block_of(void *p)
{
	return container_of(p, struct block, octets);
}

static void *wiping_alloc(size_t n)
{
	struct block *b = mem_alloc_raw(offsetof(struct block, octets) + n);

	b->n = n;
	return b->octets;
}

static void wiping_free(void *p)
{
	if (!p)
		return;
	struct block *b = block_of(p);
	mem_wipe(b->octets, b->n);
	free(b);
}

static void *wiping_realloc(void *p, size_t n)
{
	const size_t had = p ? block_of(p)->n : 0;
	void *q = wiping_alloc(n);

	if (p)
		memcpy(q, p, had < n ? had : n);
	wiping_free(p);
	return q;
}

static void *wiping_calloc(size_t count, size_t size)
{
	size_t n;

	require(!__builtin_mul_overflow(count, size, &n));
	return memset(wiping_alloc(n), 0, n);
}

static char *wiping_strdup(const char *s)
{
	const size_t n = strlen(s) + 1;

	return memcpy(wiping_alloc(n), s, n);
}

void http_library_open(void)
{
	require(curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiping_alloc, wiping_free, wiping_realloc,
				     wiping_strdup, wiping_calloc) == CURLE_OK);
}

void http_library_close(void)
{
	curl_global_cleanup();
}
