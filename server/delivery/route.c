#include "delivery/route.h"

#include <stdlib.h>

#include "base/mem.h"
#include "dns/dns_name.h"

void route_table_init(struct route_table *t)
{
	*t = (struct route_table){ 0 };
	map_init(&t->exact);
	map_init(&t->suffix);
	map_init(&t->by_name);
}

static void free_matches(struct map *m)
{
	for (struct map_node *e = map_next(m, NULL), *next; e; e = next) {
		next = map_next(m, e);
		free(map_entry(e, struct route_match, node));
	}
	map_deinit(m);
}

void route_table_deinit(struct route_table *t)
{
	free_matches(&t->exact);
	free_matches(&t->suffix);
	for (struct map_node *e = map_next(&t->by_name, NULL), *next; e; e = next) {
		next = map_next(&t->by_name, e);
		free(map_entry(e, struct route_name, node));
	}
	map_deinit(&t->by_name);
	t->other = NULL;
}

struct route *route_table_add(struct route_table *t, const struct route *r)
{
	struct route_name *named = mem_alloc(sizeof *named);

	named->route = *r;
	if (!map_put(&t->by_name, &named->node, named->route.name)) {
		free(named);
		return NULL;
	}
	return &named->route;
}

int route_table_match(struct route_table *t, struct span domain, const struct route *r)
{
	if (span_eq(domain, SPAN("*"))) {
		if (t->other)
			return -ERR_EXISTS;
		t->other = r;
		return 0;
	}
	const bool suffix = domain.n && domain.p[0] == '.';
	const struct span name = suffix ? span_skip(domain, 1) : domain;
	if (!name.n)
		return -ERR_SYNTAX;
	struct route_match *m = mem_alloc(sizeof *m);
	*m = (struct route_match){ .domain = name, .route = r };
	if (!map_put(suffix ? &t->suffix : &t->exact, &m->node, m->domain)) {
		free(m);
		return -ERR_EXISTS;
	}
	return 0;
}

const struct route *route_find(const struct route_table *t, struct span domain)
{
	const struct map_node *found = map_get(&t->exact, domain);

	/* The longest suffix wins: from left to right, one label less each time. */
	for (struct span rest = domain; !found && t->suffix.n && span_find_char(rest, '.') >= 0;) {
		span_cut(&rest, '.');
		found = map_get(&t->suffix, rest);
	}
	return found ? map_entry((struct map_node *)found, struct route_match, node)->route : t->other;
}

const struct route *route_by_name(const struct route_table *t, struct span name)
{
	struct map_node *found = map_get(&t->by_name, name);

	return found ? &map_entry(found, struct route_name, node)->route : NULL;
}

/* ---- TLS and logins ----------------------------------------------------------------------------------------------- */

static const struct span levels[ROUTE_TLS_MAX_] = {
#define X(name, text) [ROUTE_TLS_##name] = SPAN_INIT(text),
	ROUTE_TLS_MAP(X)
#undef X
};

const char *route_tls_name(enum route_tls_level level)
{
	return (unsigned)level < ROUTE_TLS_MAX_ ? levels[level].p : "";
}

int route_tls_parse(struct span text, enum route_tls_level *level_r)
{
	for (unsigned i = 0; i < ROUTE_TLS_MAX_; i++) {
		if (!span_eq(text, levels[i]))
			continue;
		*level_r = (enum route_tls_level)i;
		return 0;
	}
	return -ERR_NOTFOUND;
}

const struct route_login *route_login_of(const struct route *r, struct span domain)
{
	size_t low = 0, high = r->nby_sender;

	while (low < high) {
		const size_t at = (low + high) / 2;
		const int order = span_icmp(domain, r->by_sender[at].domain);
		if (order == 0)
			return &r->by_sender[at];
		if (order < 0)
			high = at;
		else
			low = at + 1;
	}
	return NULL;
}

const struct route_login *route_login_find(const struct route *r, struct span sender)
{
	const ptrdiff_t at = span_rfind_char(sender, '@');

	return at < 0 ? NULL : route_login_of(r, span_skip(sender, (size_t)at + 1));
}

int route_host_parse(struct span s, struct route_host *h_r)
{
	const ptrdiff_t end = span_find_char(s, ']');
	uint64_t port = ROUTE_PORT;

	if (s.n < 3 || s.p[0] != '[' || end < 2)
		return -ERR_SYNTAX;
	const struct span name = span_make(s.p + 1, (size_t)end - 1);
	const struct span rest = span_skip(s, (size_t)end + 1);
	if (rest.n && (rest.p[0] != ':' || !span_to_u64(span_skip(rest, 1), 65535, &port) || port == 0))
		return -ERR_SYNTAX;
	struct ip_addr addr;
	struct dns_name canonical;
	const char *why;
	if (!ip_parse(name, &addr) && dns_name_parse(name, &canonical, &why) < 0)
		return -ERR_SYNTAX;
	*h_r = (struct route_host){ .name = name, .text = s, .port = (uint16_t)port, .weight = 1 };
	return 0;
}
