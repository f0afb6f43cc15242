/* policy/instantiate.c - from use records to functions that hooks call.
 *
 * The Lua half is lua/lib/relay/policy.lua. A use whose table stands in several lists is set up once. Loading and
 * setup() run in a coroutine, under a budget of their own, like everything that policies do. */
#include <lauxlib.h>
#include <stdio.h>

#include "base/log.h"
#include "policy/bundle_priv.h"
#include "policy/config_lua.h"
#include "policy/vm.h"

enum { USES_MAX = 1000 /* of a configuration */, LIST_MAX = 100 /* of a listener */ };

struct maker {
	struct policy_vm *vm;
	struct config_problems *problems;
	unsigned *ids; /* of vm->uses: the config_value.id they were made of */
};

static void problem(struct maker *m, const struct config_value *at, const char *policy, const char *text)
{
	config_problem_add(m->problems, false, at->file, at->line, "policy %s: %s", policy, text);
}

static const char *policy_name(const struct config_value *record)
{
	const struct span name = config_text(config_get(record, "name"), SPAN("?"));

	return name.p; /* NUL-terminated */
}

/* ---- the coroutine ---------------------------------------------------------------------------------------------------- */

/* Runs relay.policy.instantiate(name, options). True: name and functions are on the stack of @co. */
static bool run_instantiate(struct maker *m, lua_State *co, const struct config_value *record)
{
	struct policy_vm *vm = m->vm;
	struct budget budget = { .instructions_max = vm->rt->env.budget.setup_instructions_max,
				 .compute_us_max = 5000000 };
	const char *name = policy_name(record);

	lua_rawgeti(co, LUA_REGISTRYINDEX, vm->instantiate_ref);
	lua_pushstring(co, name);
	config_push(co, config_get(record, "options"));
	if (!lua_istable(co, -1)) {
		lua_pop(co, 1);
		lua_newtable(co);
	}
	vm->loading = name;
	const int status = box_resume(&vm->box, co, 2, &budget);
	vm->loading = NULL;
	if (budget.blown) {
		char text[BOX_TEXT_MAX];
		(void)snprintf(text, sizeof text, "loading it takes too long, at %s", vm->box.at);
		problem(m, record, name, text);
		return false;
	}
	if (status == LUA_YIELD || status != 0) {
		const char *text = status == LUA_YIELD ? "it waits while it is loaded" : lua_tostring(co, -1);
		problem(m, record, name, text ? text : "an error that is no text");
		return false;
	}
	if (lua_type(co, 1) == LUA_TSTRING)
		return true;
	const int n = (int)lua_objlen(co, 2);
	for (int i = 1; i <= n; i++) {
		lua_rawgeti(co, 2, i);
		problem(m, record, name, lua_tostring(co, -1));
		lua_pop(co, 1);
	}
	return false;
}

static int function_ref(lua_State *co, const char *name)
{
	lua_getfield(co, 2, name);
	if (lua_isfunction(co, -1))
		return luaL_ref(co, LUA_REGISTRYINDEX);
	lua_pop(co, 1);
	return LUA_NOREF;
}

/* ---- mode ------------------------------------------------------------------------------------------------------------- */

static void read_canary(struct maker *m, struct policy_use *use)
{
	const struct config_value *networks = config_get(use->record, "networks");

	use->share = config_number(config_get(use->record, "share"), 0);
	use->until_us = config_int(config_get(use->record, "until_at"), 0) * 1000000;
	if (use->share < 0 || use->share > 100)
		problem(m, use->record, use->name, "'share' is a number of percent");
	for (size_t i = 0; i < config_count(networks); i++) {
		struct ip_net net;
		if (!ip_net_parse(config_text(config_at(networks, i), SPAN("")), &net)) {
			problem(m, use->record, use->name, "'networks' must be a list of networks");
			continue;
		}
		if (!use->networks)
			use->networks = ip_set_new();
		ip_set_add(use->networks, &net);
	}
	if (use->share <= 0 && !use->networks)
		problem(m, use->record, use->name, "a canary needs a share of the clients or networks");
}

static void read_mode(struct maker *m, struct policy_use *use)
{
	const struct span mode = config_text(config_get(use->record, "mode"), SPAN("enforce"));

	if (span_eq(mode, SPAN("observe"))) {
		use->mode = HOOK_MODE_OBSERVE;
	} else if (span_eq(mode, SPAN("canary"))) {
		use->mode = HOOK_MODE_CANARY;
		read_canary(m, use);
	} else if (!span_eq(mode, SPAN("enforce"))) {
		problem(m, use->record, use->name, "'mode' is enforce, observe or canary");
	}
}

/* ---- uses and lists --------------------------------------------------------------------------------------------------- */

static struct policy_use *make_use(struct maker *m, const struct config_value *record)
{
	struct policy_vm *vm = m->vm;
	lua_State *co = lua_newthread(vm->box.L);
	struct policy_use *use = NULL;

	if (run_instantiate(m, co, record)) {
		use = arena_new_of(vm->mem, struct policy_use);
		use->record = record;
		use->name = runtime_intern(vm->rt, box_span(co, 1));
		for (int i = 0; i < HOOK_MAX_; i++)
			use->hook[i] = function_ref(co, hook_name((enum hook_id)i));
		for (int i = 0; i < OBSERVER_MAX_; i++)
			use->observer[i] = function_ref(co, observer_id_name((enum observer_id)i));
		read_mode(m, use);
		m->ids[vm->nuses] = record->id;
		vm->uses[vm->nuses++] = use;
	}
	lua_pop(vm->box.L, 1);
	return use;
}

static struct policy_use *use_of(struct maker *m, const struct config_value *record)
{
	for (size_t i = 0; i < m->vm->nuses; i++)
		if (record->id && m->ids[i] == record->id)
			return m->vm->uses[i];
	if (m->vm->nuses == USES_MAX) {
		problem(m, record, policy_name(record), "too many policies");
		return NULL;
	}
	return make_use(m, record);
}

static void fill_list(struct maker *m, const struct config_value *policies, struct policy_uses *list)
{
	const size_t n = config_count(policies);

	list->use = arena_array(m->vm->mem, struct policy_use *, n ? n : 1);
	if (n > LIST_MAX) {
		config_problem_add(m->problems, false, policies->file, policies->line,
				   "a listener with more than %d policies", LIST_MAX);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct policy_use *use = use_of(m, config_at(policies, i));
		if (!use)
			continue;
		list->use[list->n++] = use;
		for (int h = 0; h < HOOK_MAX_; h++)
			list->hooks |= (uint32_t)(use->hook[h] != LUA_NOREF) << h;
		for (int o = 0; o < OBSERVER_MAX_; o++)
			list->observers |= (uint32_t)(use->observer[o] != LUA_NOREF) << o;
	}
}

static void log_loaded(const struct policy_vm *vm)
{
	const struct policy_env *env = &vm->rt->env;

	for (size_t i = 0; i < vm->nuses && env->log && env->worker == 0; i++) {
		static const char *const modes[] = { "enforce", "observe", "canary" };
		const struct policy_use *use = vm->uses[i];
		struct log_rec r;
		if (!log_begin(&r, env->log, LOG_EV_POLICY_LOADED))
			return;
		log_cstr(&r, LOG_F_POLICY, use->name);
		log_str(&r, LOG_F_FILE, use->record->file);
		log_cstr(&r, LOG_F_MODE, modes[use->mode]);
		log_end(&r);
	}
}

int vm_instantiate(struct policy_vm *vm, struct config_problems *problems)
{
	const struct config_value *listeners = config_get(policy_bundle_config(vm->bundle), "listeners");
	const size_t errors = problems->errors;
	struct maker m = { .vm = vm, .problems = problems, .ids = arena_array(vm->mem, unsigned, USES_MAX) };

	vm->uses = arena_array(vm->mem, struct policy_use *, USES_MAX);
	for (size_t i = 0; i < config_count(listeners); i++)
		(void)runtime_list(vm->rt, config_text(config_get(config_at(listeners, i), "name"), SPAN("")),
				   true);
	vm->nlists = vm->rt->nlists;
	vm->lists = arena_array(vm->mem, struct policy_uses, vm->nlists ? vm->nlists : 1);
	for (size_t i = 0; i < config_count(listeners); i++) {
		const struct config_value *listener = config_at(listeners, i);
		const struct policy_list *list =
			runtime_list(vm->rt, config_text(config_get(listener, "name"), SPAN("")), false);
		fill_list(&m, config_get(listener, "policies"), &vm->lists[list->index]);
	}
	if (problems->errors > errors)
		return -ERR_INVAL;
	log_loaded(vm);
	return 0;
}
