/* config_bed.h - a directory with a configuration and what it reads, for the tests of main/config.h. */
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "main/config.h"
#include "test.h"

enum { BED_FILES_MAX = 16, BED_PATH_MAX = 300 };

struct config_bed {
	char dir[64];
	char config[BED_PATH_MAX];
	char made[BED_FILES_MAX][BED_PATH_MAX];
	unsigned nmade;
	struct arena *mem;
	struct config_problems problems;
	struct config *cfg;
};

static inline void bed_write(struct config_bed *bed, const char *name, const char *text)
{
	char *path = bed->made[bed->nmade++];

	NEED(bed->nmade < BED_FILES_MAX);
	snprintf(path, BED_PATH_MAX, "%s/%s", bed->dir, name);
	FILE *f = fopen(path, "wb");
	NEED(f);
	NEED(fputs(text, f) >= 0 && fclose(f) == 0);
}

static inline void bed_dir(struct config_bed *bed, const char *name)
{
	char *path = bed->made[bed->nmade++];

	NEED(bed->nmade < BED_FILES_MAX);
	snprintf(path, BED_PATH_MAX, "%s/%s", bed->dir, name);
	NEED(mkdir(path, 0700) == 0);
}

static inline void bed_open(struct config_bed *bed)
{
	const char *tmp = getenv("TMPDIR");

	*bed = (struct config_bed){ .mem = arena_new(1 << 20) };
	snprintf(bed->dir, sizeof bed->dir, "%.40s/postern-XXXXXX", tmp ? tmp : "/tmp");
	NEED(mkdtemp(bed->dir));
	snprintf(bed->config, sizeof bed->config, "%s/postern.lua", bed->dir);
	config_problems_init(&bed->problems, bed->mem);
}

/* Returns what config_load_text() does; bed->cfg is NULL on error. */
static inline int bed_load(struct config_bed *bed, const char *text)
{
	config_unref(&bed->cfg);
	arena_reset(bed->mem);
	config_problems_init(&bed->problems, bed->mem);
	return config_load_text(span_of(text), bed->config, &bed->problems, &bed->cfg);
}

static inline void bed_print(const struct config_bed *bed)
{
	struct buf out = BUF_INIT(1 << 20);

	config_problems_write(&bed->problems, &out);
	printf("%s", buf_cstr(&out));
	buf_free(&out);
}

/* It must load without a word. */
static inline void bed_need(struct config_bed *bed, const char *text)
{
	const int r = bed_load(bed, text);

	if (r < 0 || bed->problems.n)
		bed_print(bed);
	NEED(r == 0 && bed->problems.n == 0);
}

static inline void bed_close(struct config_bed *bed)
{
	config_unref(&bed->cfg);
	while (bed->nmade)
		(void)remove(bed->made[--bed->nmade]);
	(void)rmdir(bed->dir);
	arena_free(&bed->mem);
}
