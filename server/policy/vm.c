#include "policy/vm.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/all.h"
#include "policy/bundle_priv.h"
#include "policy/lib.h"
#include "policy/run.h"
#include "policy/verdict.h"

enum { VM_MEM_MAX = 64 * 1024 * 1024 };

/* ---- what only the loader of policies needs (lua/lib/relay/policy.lua)
 * ---------------------------------------------------- */

static int pl_is_loading(lua_State *L)
{
	lua_pushboolean(L, vm_of(L)->loading != NULL);
	return 1;
}

/* compile(kind, name, environment) -> function, file */
static int pl_compile(lua_State *L)
{
	struct policy_bundle *bundle = vm_of(L)->bundle;
	const char *kind = luaL_checkstring(L, 1);
	struct bundle_text *t;
	struct errtext why;
	char chunkname[1100];

	(void)luaL_checkstring(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	const int r = kind[0] == 'p' ? bundle_policy(bundle, box_span(L, 2), &t, &why)
				     : bundle_library(bundle, box_span(L, 2), &t, &why);
	if (r < 0) {
		lua_pushstring(L, why.s);
		return lua_error(L);
	}
	(void)snprintf(chunkname, sizeof chunkname, "@%s", t->file);
	if (box_compile(L, t->text, chunkname))
		return lua_error(L);
	lua_pushvalue(L, 3);
	(void)lua_setfenv(L, -2);
	lua_pushstring(L, t->file);
	return 2;
}

static int pl_open_core(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "all", pl_all }, { "is_loading", pl_is_loading }, { "compile", pl_compile }, { NULL, NULL }
	};

	view_ud_open(L);
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_newtable(L);
	verdict_open(L);
	lua_setfield(L, -2, "verdicts");
	lib_text_open(L);
	lib_pattern_open(L);
	lib_set_open(L);
	lib_json_open(L);
	lib_check_open(L);
	lib_mail_open(L);
	lib_time_open(L);
	lib_log_open(L);
	lib_dns_open(L);
	lib_limit_open(L);
	box_set_module(L, "relay.core");
	box_push_module(L, "relay");
	lua_pop(L, 1);
	box_push_module(L, "relay.policy");
	lua_getfield(L, -1, "instantiate");
	lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
	return 1;
}

/* ---- a state's life --------------------------------------------------------------------------------------------------- */

static void vm_free(struct policy_vm *vm)
{
	for (size_t i = 0; i < vm->nuses; i++)
		ip_set_free(&vm->uses[i]->networks);
	box_close(&vm->box);
	coro_pool_deinit(&vm->coros);
	list_remove(&vm->link);
	arena_free(&vm->mem);
	policy_bundle_unref(&vm->bundle);
	free(vm);
}

static void on_closed(struct scope *s)
{
	struct policy_vm *vm = container_of(s, struct policy_vm, scope);
	struct policy_runtime *rt = vm->rt;

	vm_free(vm);
	task_schedule(rt->env.loop, &rt->tidy);
}

int vm_new(struct policy_runtime *rt, struct policy_bundle *bundle, struct config_problems *problems,
	   struct errtext *why, struct policy_vm **vm_r)
{
	struct policy_vm *vm = mem_alloc(sizeof *vm);
	struct arena *scratch = arena_new(1024 * 1024);
	struct config_problems own;

	vm->rt = rt;
	vm->bundle = policy_bundle_ref(bundle);
	vm->mem = arena_new(VM_MEM_MAX);
	list_init(&vm->link);
	list_init(&vm->runs);
	list_init(&vm->subjects);
	scope_init(&vm->scope, rt->env.loop, on_closed);
	config_problems_init(&own, scratch);
	if (!problems)
		problems = &own;
	int r = box_open(&vm->box, rt->env.budget.memory_max_bytes, vm);
	if (r == 0) {
		lua_pushcfunction(vm->box.L, pl_open_core);
		r = box_call(&vm->box, 0, 1, why);
	}
	if (r == 0) {
		vm->instantiate_ref = (int)lua_tointeger(vm->box.L, -1);
		lua_pop(vm->box.L, 1);
		coro_pool_init(&vm->coros, vm->box.L);
		r = vm_instantiate(vm, problems);
		if (r < 0 && problems->n)
			(void)errtext_set(why, ERR_INVAL, "%.*s:%u: %.*s", SPAN_ARG(problems->v[0].file),
					  problems->v[0].line, SPAN_ARG(problems->v[0].text));
	}
	arena_free(&scratch);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	list_push_back(&rt->vms, &vm->link);
	*vm_r = vm;
	return 0;
}

void vm_close(struct policy_vm *vm)
{
	vm->closing = true;
	list_for_each_safe(it, &vm->subjects)
		subject_lose(list_entry(it, struct policy_subject, link));
	scope_close(&vm->scope);
}

const struct policy_uses *vm_uses(const struct policy_vm *vm, const struct policy_list *list)
{
	static const struct policy_uses none;

	return list && list->index < vm->nlists ? &vm->lists[list->index] : &none;
}

void vm_touch(struct policy_vm *vm)
{
	if (vm->retiring || vm->rebuild)
		task_schedule(vm->rt->env.loop, &vm->rt->tidy);
}
