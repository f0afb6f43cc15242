/* main/config_reload.c - what differs between two configurations and cannot change while the server runs.
 *
 * The loader lists the options that schema/config.lua marks with `restart`; their values are compared as they stand in the two
 * trees. Listeners are their names and sockets.
 */
#include "main/config_priv.h"

static bool value_eq(const struct config_value *a, const struct config_value *b)
{
	const enum config_type type = a ? a->type : CONFIG_NONE;

	if (type != (b ? b->type : CONFIG_NONE))
		return false;
	switch (type) {
	case CONFIG_NONE:
		return true;
	case CONFIG_BOOL:
		return a->boolean == b->boolean;
	case CONFIG_NUMBER:
		return !(a->number < b->number) && !(a->number > b->number);
	case CONFIG_TEXT:
		return span_eq(a->text, b->text);
	case CONFIG_LIST:
		if (a->list.n != b->list.n)
			return false;
		for (size_t i = 0; i < a->list.n; i++)
			if (!value_eq(&a->list.item[i], &b->list.item[i]))
				return false;
		return true;
	case CONFIG_MAP:
		if (a->map.n != b->map.n)
			return false;
		for (size_t i = 0; i < a->map.n; i++)
			if (!span_eq(a->map.pair[i].key, b->map.pair[i].key) ||
			    !value_eq(&a->map.pair[i].value, &b->map.pair[i].value))
				return false;
		return true;
	}
	return false;
}

static const struct config_value *listener_value(const struct config_value *root, struct span name)
{
	const struct config_value *list = config_get(root, "listeners");

	for (size_t i = 0; i < config_count(list); i++)
		if (span_eq(config_span(config_at(list, i), "name"), name))
			return config_at(list, i);
	return NULL;
}

static const char RESTART[] = "a running server cannot change that; restart it";

static size_t check_options(const struct config_value *was, const struct config_value *is,
			    struct config_problems *problems)
{
	const struct config_value *options = config_get(is, "restart");
	size_t n = 0;

	for (size_t i = 0; i < config_count(options); i++) {
		const struct config_value *o = config_at(options, i);
		const struct span name = config_span(o, "option"); /* NUL-terminated */
		if (value_eq(config_find(was, name.p), config_find(is, name.p)))
			continue;
		config_problem_add(problems, false, o->file, o->line, "%s: %s", name.p, RESTART);
		n++;
	}
	return n;
}

static size_t check_listeners(const struct config_value *was, const struct config_value *is,
			      struct config_problems *problems)
{
	const struct config_value *old = config_get(was, "listeners"), *new = config_get(is, "listeners");
	size_t n = 0;

	for (size_t i = 0; i < config_count(new); i++) {
		const struct config_value *v = config_at(new, i);
		const struct span name = config_span(v, "name");
		const struct config_value *before = listener_value(was, name);
		if (before && value_eq(config_get(before, "bind"), config_get(v, "bind")))
			continue;
		config_problem_add(problems, false, v->file, v->line, "listener \"%.*s\"%s: %s",
				   SPAN_ARG(name), before ? ": bind" : " is new", RESTART);
		n++;
	}
	for (size_t i = 0; i < config_count(old); i++) {
		const struct span name = config_span(config_at(old, i), "name");
		if (listener_value(is, name))
			continue;
		config_problem_add(problems, false, is->file, 0, "listener \"%.*s\" is gone: %s",
				   SPAN_ARG(name), RESTART);
		n++;
	}
	return n;
}

size_t config_reload_check(const struct config *now, const struct config *next,
			   struct config_problems *problems)
{
	const struct config_value *was = policy_bundle_config(now->bundle),
				  *is = policy_bundle_config(next->bundle);

	return check_options(was, is, problems) + check_listeners(was, is, problems);
}
