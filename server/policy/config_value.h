/* policy/config_value.h - what a configuration file said, as a tree of plain values that any thread may read.
 *
 *     const struct config_value *tls = config_get(root, "tls");
 *     struct span cert = config_text(config_get(tls, "cert"), SPAN(""));
 *
 * Every function takes NULL, and a value of another type, as a value that is not there: the schema was checked before
 * (lua/lib/postern/config.lua); who needs to tell "not there" from "wrong" looks at `type`.
 *
 * Ownership: the tree lives in an arena of whoever made it and is never changed.  Threads: any.
 * Tests: tests/unit/policy/test_config_value.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum config_type { CONFIG_NONE, CONFIG_BOOL, CONFIG_NUMBER, CONFIG_TEXT, CONFIG_LIST, CONFIG_MAP };

struct config_value {
	enum config_type type;
	unsigned line; /* 0: not known */
	unsigned id;   /* of lists and maps: where one table was used in several places, they have the same */
	struct span file; /* where it was said; NUL-terminated */
	union {
		bool boolean;
		double number;
		struct span text; /* NUL-terminated */
		struct {
			struct config_value *item;
			size_t n;
		} list;
		struct {
			struct config_pair *pair; /* sorted by key */
			size_t n;
		} map;
	};
};

struct config_pair {
	struct span key; /* NUL-terminated */
	struct config_value value;
};

/* NULL if @map has no such key. */
const struct config_value *config_get(const struct config_value *map, const char *key);
/* The same by a path: "tls.cert". */
const struct config_value *config_find(const struct config_value *map, const char *path);
size_t config_count(const struct config_value *list);
const struct config_value *config_at(const struct config_value *list, size_t i);

struct span config_text(const struct config_value *v, struct span otherwise);
double config_number(const struct config_value *v, double otherwise);
int64_t config_int(const struct config_value *v,
		   int64_t otherwise); /* what is no integer of 53 bits is not there */
bool config_bool(const struct config_value *v, bool otherwise);

/* ---- what is wrong with it ---- */

enum { CONFIG_PROBLEMS_MAX = 200 };

struct config_problem {
	struct span file; /* empty: none in particular */
	unsigned line;
	struct span text;
	bool warning;
};

struct config_problems {
	struct arena *mem;
	struct config_problem *v;
	size_t n, errors;
	size_t dropped; /* over the maximum */
};

void config_problems_init(struct config_problems *p, struct arena *mem);
/* Copies @file; at most CONFIG_PROBLEMS_MAX are kept. */
void config_problem_add(struct config_problems *p, bool warning, struct span file, unsigned line,
			const char *fmt, ...) __attribute__((format(printf, 5, 6)));
