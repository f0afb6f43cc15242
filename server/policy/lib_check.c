/* policy/lib_check.c - check(kind, text): is it one, and how is it written properly? For option declarations and for the
 * configuration, which must agree about what an address is. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/duration.h"
#include "base/ip.h"
#include "base/rate.h"
#include "mail/mail_rewrite.h"
#include "policy/box.h"
#include "policy/lib.h"
#include "smtp/smtp_domain.h"
#include "smtp/smtp_path.h"

enum { CANONICAL_MAX = 512 };

/* Writes the proper form to @out; NULL, or a phrase that says what it should have been. */
typedef const char *check_fn(struct span text, char *out);

static void copy(struct span text, char *out)
{
	(void)snprintf(out, CANONICAL_MAX, "%.*s", SPAN_ARG(text));
}

static const char *check_ip(struct span text, char *out)
{
	struct ip_addr addr;

	if (!ip_parse(text, &addr))
		return "is no IP address";
	copy(span_of(ip_format(&addr).s), out);
	return NULL;
}

static const char *check_cidr(struct span text, char *out)
{
	struct ip_net net;

	if (!ip_net_parse(text, &net))
		return "is no network (\"192.0.2.0/24\") and no IP address";
	copy(span_of(ip_net_format(&net).s), out);
	return NULL;
}

static const char *check_endpoint(struct span text, char *out)
{
	struct ip_endpoint e;

	if (!ip_endpoint_parse(text, &e))
		return "is no address with a port (\"192.0.2.1:25\", \"[2001:db8::1]:25\")";
	const struct ip_text addr = ip_format(&e.addr);
	(void)snprintf(out, CANONICAL_MAX, e.addr.len == 16 ? "[%s]:%u" : "%s:%u", addr.s, e.port);
	return NULL;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = ascii_lower(*s);
}

static const char *check_domain(struct span text, char *out)
{
	unsigned tolerated = 0;
	const char *why;
	/* ".example.edu" is every name below it */
	const struct span name = span_starts(text, SPAN(".")) ? span_skip(text, 1) : text;
	const int n = smtp_domain_check(name, SMTP_ALLOW_UTF8 | SMTP_LAX_UNDERSCORE | SMTP_LAX_TRAILING_DOT,
					&tolerated, &why);

	if (n < 0)
		return "is no domain";
	copy(span_first(text, (size_t)n + (name.p != text.p)), out);
	lower(out);
	return NULL;
}

static const char *check_address(struct span text, char *out)
{
	struct arena *a = arena_new(8192);
	struct buf b = BUF_INIT(CANONICAL_MAX - 1);
	struct smtp_path path;
	const char *why = NULL;

	if (smtp_path_parse_mailbox(a, text, SMTP_ALLOW_UTF8, &path, &why) < 0 || !path.domain.n ||
	    smtp_path_format_mailbox(&path, &b) < 0)
		why = "is no mail address";
	else
		copy(buf_span(&b), out);
	buf_free(&b);
	arena_free(&a);
	return why ? "is no mail address" : NULL;
}

static const char *check_rate(struct span text, char *out)
{
	struct rate rate;

	if (!rate_parse(text, &rate))
		return "is no rate (\"60/hour\", \"60/hour,burst=10\")";
	copy(text, out);
	return NULL;
}

static const char *check_template(struct span text, char *out)
{
	struct errtext why;

	if (mail_rewrite_check(text, &why) < 0)
		return "is no template for addresses (\"scans+{local}-{domain}@example.edu\")";
	copy(text, out);
	return NULL;
}

/* "90s", "5m", "1h30m", "2d": the proper form is the number of seconds, with a fraction if there are milliseconds. */
static const char *check_duration(struct span text, char *out)
{
	int64_t us;

	if (!duration_parse(text, &us))
		return "is no duration (\"90s\", \"5m\", \"1h30m\", \"2d\")";
	const long long ms = us / 1000;
	(void)snprintf(out, CANONICAL_MAX, ms % 1000 ? "%lld.%03lld" : "%lld", ms / 1000, ms % 1000);
	return NULL;
}

static const struct {
	const char *kind;
	check_fn *check;
} checks[] = {
	{ "ip", check_ip },
	{ "cidr", check_cidr },
	{ "endpoint", check_endpoint },
	{ "domain", check_domain },
	{ "address", check_address },
	{ "rate", check_rate },
	{ "duration", check_duration },
	{ "template", check_template },
};

/* check(kind, text) -> proper form; or nil, message */
static int pl_check(lua_State *L)
{
	const char *kind = luaL_checkstring(L, 1);
	char out[CANONICAL_MAX];

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (strcmp(checks[i].kind, kind) != 0)
			continue;
		const struct span text = lua_type(L, 2) == LUA_TSTRING ? box_span(L, 2) : SPAN("");
		const char *why = text.n < CANONICAL_MAX && !memchr(text.p, 0, text.n)
					  ? checks[i].check(text, out)
					  : "is too long";
		if (!why) {
			lua_pushstring(L, out);
			return 1;
		}
		lua_pushnil(L);
		lua_pushfstring(L, "'%s' %s", text.n < CANONICAL_MAX ? text.p : "...", why);
		return 2;
	}
	return luaL_error(L, "check: unknown kind '%s'", kind);
}

void lib_check_open(lua_State *L)
{
	lua_pushcfunction(L, pl_check);
	lua_setfield(L, -2, "check");
}
