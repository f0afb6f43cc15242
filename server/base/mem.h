/* base/mem.h - allocation that ends the process when the system has no memory.
 *
 * What a peer can make grow is bounded by arena and buf; so these fail only when the machine is out of memory, and then
 * a clean end (everything acknowledged is on disk) is better than code paths that nobody can test.
 *
 * Ownership: the caller frees, with free().  Threads: any.  Tests: tests/unit/base/test_mem.c
 */
#pragma once

#include <stddef.h>

void *mem_alloc(size_t n);                        /* zeroed */
void *mem_alloc_raw(size_t n);                    /* not zeroed */
void *mem_alloc_array(size_t count, size_t size); /* zeroed; overflow is checked */
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

/* Overwrites in a way that the compiler keeps. */
void mem_wipe(void *p, size_t n);
