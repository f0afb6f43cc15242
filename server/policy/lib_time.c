/* policy/lib_time.c - relay.time: the calendar's clock of the loop, which tests can move. */
#include <lauxlib.h>
#include <stdio.h>
#include <time.h>

#include "mail/mail_date.h"
#include "policy/lib.h"
#include "policy/vm.h"

static int pl_now(lua_State *L)
{
	lua_pushnumber(L, (double)loop_wall_us(vm_of(L)->rt->env.loop) / 1e6);
	return 1;
}

static bool number(struct span *s, size_t digits, int min, int max, int *v_r)
{
	uint64_t v;

	if (s->n < digits || !span_to_u64(span_first(*s, digits), (uint64_t)max, &v) || (int)v < min)
		return false;
	*s = span_skip(*s, digits);
	*v_r = (int)v;
	return true;
}

static bool take(struct span *s, const char *any)
{
	if (!s->n || !strchr(any, s->p[0]))
		return false;
	*s = span_skip(*s, 1);
	return true;
}

/* "2026-12-31", "2026-12-31T23:59Z", "2026-12-31 23:59:59+01:00" (RFC 3339, and less of it); without a zone it is UTC. */
static bool parse_iso(struct span s, double *at_r)
{
	struct tm t = { 0 };
	int year, month, zone_h = 0, zone_m = 0, sign = 1;

	if (!number(&s, 4, 1970, 9999, &year) || !take(&s, "-") || !number(&s, 2, 1, 12, &month) ||
	    !take(&s, "-") || !number(&s, 2, 1, 31, &t.tm_mday))
		return false;
	t.tm_year = year - 1900;
	t.tm_mon = month - 1;
	const int day = t.tm_mday;
	if (s.n) {
		if (!take(&s, "Tt ") || !number(&s, 2, 0, 23, &t.tm_hour) || !take(&s, ":") ||
		    !number(&s, 2, 0, 59, &t.tm_min))
			return false;
		if (take(&s, ":") && !number(&s, 2, 0, 60, &t.tm_sec))
			return false;
		if (s.n && !take(&s, "Zz")) {
			sign = s.p[0] == '-' ? -1 : 1;
			if (!take(&s, "+-") || !number(&s, 2, 0, 14, &zone_h) || !take(&s, ":") ||
			    !number(&s, 2, 0, 59, &zone_m))
				return false;
		}
		if (s.n)
			return false;
	}
	const time_t at = timegm(&t);
	if (t.tm_mday != day && t.tm_sec != 60) /* the 31st of a month of 30 days was moved on */
		return false;
	*at_r = (double)at - sign * (zone_h * 3600 + zone_m * 60);
	return true;
}

/* parse(text) -> seconds since 1970, or nil: RFC 3339, or the date of a message */
static int pl_parse(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	const struct span text = box_span(L, 1);
	struct mail_date date;
	double at;

	if (parse_iso(span_trim(text), &at))
		lua_pushnumber(L, at);
	else if (mail_date_parse(text, &date) == 0)
		lua_pushnumber(L, (double)date.unix_s);
	else
		lua_pushnil(L);
	return 1;
}

static bool broken_down(lua_State *L, struct tm *t)
{
	const double at = luaL_checknumber(L, 1);
	const time_t whole = (time_t)at;

	return at >= 0 && at < 253402300800.0 && gmtime_r(&whole, t);
}

static int pl_format(lua_State *L)
{
	struct tm t;
	char text[40];

	if (!broken_down(L, &t))
		return 0;
	(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t);
	lua_pushstring(L, text);
	return 1;
}

/* utc(seconds) -> { year, month, day, hour, minute, second, weekday (1: Monday) } */
static int pl_utc(lua_State *L)
{
	struct tm t;

	if (!broken_down(L, &t))
		return 0;
	const struct {
		const char *name;
		int value;
	} fields[] = { { "year", t.tm_year + 1900 },
		       { "month", t.tm_mon + 1 },
		       { "day", t.tm_mday },
		       { "hour", t.tm_hour },
		       { "minute", t.tm_min },
		       { "second", t.tm_sec },
		       { "weekday", t.tm_wday ? t.tm_wday : 7 } };
	lua_createtable(L, 0, ARRAY_LEN(fields));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		lua_pushinteger(L, fields[i].value);
		lua_setfield(L, -2, fields[i].name);
	}
	return 1;
}

void lib_time_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "now", pl_now }, { "parse", pl_parse }, { "format", pl_format },
		{ "utc", pl_utc }, { NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "time");
}
