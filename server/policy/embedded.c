#include "policy/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static int load_override(const char *name, struct span *text_r, char **free_r)
{
	const char *dir = getenv("POSTERN_LUA_DIR");
	char path[1024];

	if (!dir || !*dir || strstr(name, "..") ||
	    (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return -ERR_NOTFOUND;
	FILE *f = fopen(path, "rbe");
	if (!f)
		return -ERR_NOTFOUND;
	char *text = mem_alloc_raw(EMBEDDED_FILE_MAX);
	const size_t n = fread(text, 1, EMBEDDED_FILE_MAX, f);
	const int failed = ferror(f) || n == EMBEDDED_FILE_MAX;
	(void)fclose(f);
	if (failed) {
		free(text);
		return -ERR_NOTFOUND;
	}
	*free_r = mem_realloc(text, n + 1);
	*text_r = span_make(*free_r, n);
	return 0;
}

static int compare(const void *name, const void *file)
{
	return strcmp(name, ((const struct embedded_file *)file)->name);
}

int embedded_load(const char *name, struct span *text_r, char **free_r)
{
	if (load_override(name, text_r, free_r) == 0)
		return 0;
	const struct embedded_file *f = bsearch(name, embedded_files, embedded_files_n, sizeof *f, compare);
	if (!f)
		return -ERR_NOTFOUND;
	*text_r = span_make(f->bytes, f->n);
	*free_r = NULL;
	return 0;
}
