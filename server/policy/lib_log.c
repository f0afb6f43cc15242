/* policy/lib_log.c - relay.log and relay.metric, and what a policy that observes would have done. */
#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "policy/lib.h"
#include "policy/run.h"
#include "policy/view_msg.h"

enum { LOG_OPTIONS_MAX = 8 * 1024, METRIC_NAME_MAX = 64 };

bool lib_would(lua_State *L, const char *fmt, ...)
{
	struct policy_run *run = vm_of(L)->running;
	va_list ap;

	if (!run || !run->observing)
		return false;
	if (run->would.n)
		buf_add_str(&run->would, ", ");
	va_start(ap, fmt);
	(void)buf_vaddf(&run->would, fmt, ap);
	va_end(ap);
	return true;
}

static bool event_of(const char *level, enum log_event *event_r)
{
	static const struct {
		const char *level;
		enum log_event event;
	} events[] = { { "debug", LOG_EV_POLICY_DEBUG },
		       { "info", LOG_EV_POLICY_LOG },
		       { "warn", LOG_EV_POLICY_WARNING },
		       { "error", LOG_EV_POLICY_WARNING } };

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (strcmp(events[i].level, level) == 0) {
			*event_r = events[i].event;
			return true;
		}
	}
	return false;
}

static void write_record(lua_State *L, enum log_event event, struct span text)
{
	struct policy_vm *vm = vm_of(L);
	struct buf options = BUF_INIT(LOG_OPTIONS_MAX);
	struct log_rec r;

	/* A bundle that is only checked has no log. */
	if (!vm->rt->env.log || !log_begin(&r, vm->rt->env.log, event))
		return;
	if (vm->running)
		run_report_who(vm->running, &r);
	log_str(&r, LOG_F_TEXT, text);
	if (lua_type(L, 3) == LUA_TTABLE && !json_of_lua(L, 3, &options))
		json_raw(log_json(&r, LOG_F_OPTIONS), NULL, buf_span(&options));
	log_end(&r);
	buf_free(&options);
}

int pl_log_any(lua_State *L)
{
	struct policy_run *run = vm_of(L)->running;
	enum log_event event;

	if (!event_of(luaL_checkstring(L, 1), &event))
		return luaL_error(L, "log: the level is debug, info, warn or error, not '%s'",
				  lua_tostring(L, 1));
	(void)luaL_checkstring(L, 2);
	if (!lua_isnoneornil(L, 3))
		luaL_checktype(L, 3, LUA_TTABLE);
	if (run && run->logged++ >= RUN_LOG_MAX)
		return 0;
	const bool enforced = lib_relax(L);
	write_record(L, event, box_span(L, 2));
	lib_enforce(L, enforced);
	return 0;
}

/* relay.log.info(event [, fields]): the level is an upvalue */
static int pl_log_level(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	return pl_log_any(L);
}

/* relay.metric.count(name [, label]) */
static int pl_count(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *label = luaL_optstring(L, 2, NULL);
	const size_t n = strlen(name);
	char key[METRIC_LABEL_BYTES_MAX];

	for (size_t i = 0; i < n; i++)
		if (!ascii_is_alnum(name[i]) && name[i] != '_' && name[i] != '-')
			return luaL_error(L, "relay.metric.count: '%s' is no name", name);
	luaL_argcheck(L, n > 0 && n <= METRIC_NAME_MAX, 1, "a name of at most 64 characters");
	const int used = label ? snprintf(key, sizeof key, "%s:%s", name, label)
			       : snprintf(key, sizeof key, "%s", name);
	if (vm_of(L)->rt->env.metrics)
		metric_add_label(vm_of(L)->rt->env.metrics, METRIC_POLICY_COUNTS_TOTAL,
				 span_make(key, (size_t)used < sizeof key ? (size_t)used : sizeof key - 1),
				 1);
	return 0;
}

void lib_log_open(lua_State *L)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	static const luaL_Reg metric[] = { { "count", pl_count }, { NULL, NULL } };

	lua_newtable(L);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		lua_pushstring(L, levels[i]);
		lua_pushcclosure(L, pl_log_level, 1);
		lua_setfield(L, -2, levels[i]);
	}
	lua_setfield(L, -2, "log");
	lua_newtable(L);
	luaL_setfuncs(L, metric, 0);
	lua_setfield(L, -2, "metric");
}
