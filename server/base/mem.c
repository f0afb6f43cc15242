#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *mem_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	require(p != NULL);
	return p;
}

void *mem_alloc_raw(size_t n)
{
	void *p = malloc(n ? n : 1);

	require(p != NULL);
	return p;
}

void *mem_alloc_array(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	require(p != NULL);
	return p;
}

void *mem_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	require(q != NULL);
	return q;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
	char *p = mem_alloc_raw(n + 1);

	if (n)
		memcpy(p, s, n);
	p[n] = 0;
	return p;
}

void mem_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}
