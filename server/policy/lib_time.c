/* policy/lib_time.c - relay.time: the calendar's clock of the loop, which tests can move. */
#include <lauxlib.h>
#include <time.h>

#include "base/rfc3339.h"
#include "mail/mail_date.h"
#include "policy/lib.h"
#include "policy/vm.h"

static int pl_now(lua_State *L)
{
	lua_pushnumber(L, (double)loop_wall_us(vm_of(L)->rt->env.loop) / 1e6);
	return 1;
}

/* parse(text) -> seconds since 1970, or nil: RFC 3339, or the date of a message */
static int pl_parse(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	const struct span text = box_span(L, 1);
	struct mail_date date;
	int64_t at_s;

	if (rfc3339_parse(span_trim(text), &at_s))
		lua_pushnumber(L, (double)at_s);
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
	const double at = luaL_checknumber(L, 1);
	const struct rfc3339_text text = rfc3339_format(at >= 0 && at < 1e15 ? (int64_t)at : -1);

	if (!text.s[0])
		return 0;
	lua_pushstring(L, text.s);
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
