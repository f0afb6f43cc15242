#include "hook/hook.h"

#include <string.h>

const char *verdict_kind_name(enum verdict_kind kind)
{
	static const char *const names[VERDICT_KIND_MAX_] = {
#define X(name, text) [VERDICT_##name] = text,
		VERDICT_KIND_MAP(X)
#undef X
	};

	return (unsigned)kind < VERDICT_KIND_MAX_ ? names[kind] : "?";
}

const char *hook_name(enum hook_id id)
{
	static const char *const names[HOOK_MAX_] = {
#define X(name, text) [HOOK_##name] = text,
		HOOK_MAP(X)
#undef X
	};

	return (unsigned)id < HOOK_MAX_ ? names[id] : "?";
}

void decision_path_init(struct decision_path *p, struct arena *mem)
{
	*p = (struct decision_path){ .mem = mem };
}

static bool grow(struct decision_path *p)
{
	const uint16_t cap = p->cap ? (uint16_t)(p->cap * 2) : 4;

	if (cap > DECISION_PATH_MAX)
		return false;
	struct decision *step = arena_array(p->mem, struct decision, cap);
	if (!step)
		return false;
	if (p->n)
		memcpy(step, p->step, p->n * sizeof *step);
	p->step = step;
	p->cap = cap;
	return true;
}

void decision_path_add(struct decision_path *p, const struct decision *d)
{
	if (p->n == p->cap && !grow(p)) {
		p->dropped++;
		return;
	}
	struct decision *to = &p->step[p->n];
	*to = *d;
	to->policy = arena_dup(p->mem, d->policy);
	to->rule = arena_dup(p->mem, d->rule);
	to->text = arena_dup(p->mem, d->text);
	if (!to->policy.p || !to->rule.p || !to->text.p) {
		p->dropped++;
		return;
	}
	p->n++;
}
