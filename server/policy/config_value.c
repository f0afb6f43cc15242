#include "policy/config_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static int compare(const void *key, const void *pair)
{
	return span_cmp(*(const struct span *)key, ((const struct config_pair *)pair)->key);
}

static const struct config_value *get(const struct config_value *map, struct span key)
{
	if (!map || map->type != CONFIG_MAP)
		return NULL;
	const struct config_pair *p =
		map->map.n ? bsearch(&key, map->map.pair, map->map.n, sizeof *p, compare) : NULL;
	return p ? &p->value : NULL;
}

const struct config_value *config_get(const struct config_value *map, const char *key)
{
	return get(map, span_of(key));
}

const struct config_value *config_find(const struct config_value *map, const char *path)
{
	struct span rest = span_of(path);

	while (rest.p && map)
		map = get(map, span_cut(&rest, '.'));
	return map;
}

size_t config_count(const struct config_value *list)
{
	return list && list->type == CONFIG_LIST ? list->list.n : 0;
}

const struct config_value *config_at(const struct config_value *list, size_t i)
{
	return i < config_count(list) ? &list->list.item[i] : NULL;
}

struct span config_text(const struct config_value *v, struct span otherwise)
{
	return v && v->type == CONFIG_TEXT ? v->text : otherwise;
}

double config_number(const struct config_value *v, double otherwise)
{
	return v && v->type == CONFIG_NUMBER ? v->number : otherwise;
}

int64_t config_int(const struct config_value *v, int64_t otherwise)
{
	const double n = config_number(v, NAN);

	return fabs(n) <= 9007199254740992.0 && n == floor(n) ? (int64_t)n : otherwise;
}

bool config_bool(const struct config_value *v, bool otherwise)
{
	return v && v->type == CONFIG_BOOL ? v->boolean : otherwise;
}

void config_problems_init(struct config_problems *p, struct arena *mem)
{
	*p = (struct config_problems){ .mem = mem };
}

void config_problem_add(struct config_problems *p, bool warning, struct span file, unsigned line,
			const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!warning)
		p->errors++;
	if (!p->v)
		p->v = arena_array(p->mem, struct config_problem, CONFIG_PROBLEMS_MAX);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const struct config_problem problem = { .file = arena_dup(p->mem, file),
						.line = line,
						.text = arena_dup(p->mem, span_of(text)),
						.warning = warning };
	if (!p->v || p->n == CONFIG_PROBLEMS_MAX || !problem.text.p) {
		p->dropped++;
		return;
	}
	p->v[p->n++] = problem;
}
