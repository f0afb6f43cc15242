#include <lauxlib.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "policy/view_ud.h"
#include "policy/vm.h"

static void attach(struct policy_subject *s, struct policy_vm *vm)
{
	s->vm = vm;
	list_push_back(&vm->subjects, &s->link);
	vm->transactions += s->class == &view_txn_class;
	s->ud = view_ud_push(vm->box.L, s->class, s->view);
	s->ud->subject = s;
	s->ud_ref = luaL_ref(vm->box.L, LUA_REGISTRYINDEX);
	s->vars_ref = LUA_NOREF;
}

static void detach(struct policy_subject *s)
{
	struct policy_vm *vm = s->vm;

	s->ud->p = NULL;
	s->ud->subject = NULL;
	s->ud = NULL;
	luaL_unref(vm->box.L, LUA_REGISTRYINDEX, s->ud_ref);
	luaL_unref(vm->box.L, LUA_REGISTRYINDEX, s->vars_ref);
	s->ud_ref = s->vars_ref = LUA_NOREF;
	list_remove(&s->link);
	vm->transactions -= s->class == &view_txn_class;
	s->vm = NULL;
	vm_touch(vm);
}

static void move(struct policy_subject *s, struct policy_vm *to)
{
	struct policy_vm *from = s->vm;
	int vars = LUA_NOREF;

	if (s->vars_ref != LUA_NOREF) {
		lua_rawgeti(from->box.L, LUA_REGISTRYINDEX, s->vars_ref);
		copy_plain(from->box.L, -1, to->box.L);
		lua_pop(from->box.L, 1);
		vars = luaL_ref(to->box.L, LUA_REGISTRYINDEX);
	}
	detach(s);
	attach(s, to);
	s->vars_ref = vars;
}

struct policy_subject *subject_get(struct policy_vm *vm, const struct view_class *class, void *view,
				   void **slot)
{
	struct policy_subject *s = *slot;

	if (!s) {
		s = mem_alloc(sizeof *s);
		s->class = class;
		s->view = view;
		list_init(&s->link);
		*slot = s;
	}
	if (!s->vm)
		attach(s, vm);
	else if (s->vm != vm)
		move(s, vm);
	return s;
}

void subject_end(void **slot)
{
	struct policy_subject *s = *slot;

	if (!s)
		return;
	*slot = NULL;
	if (s->vm)
		detach(s);
	free(s);
}

void subject_lose(struct policy_subject *s)
{
	if (s->vm)
		detach(s);
}

void subject_push(lua_State *L, struct policy_subject *s)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->ud_ref);
}

void subject_push_vars(lua_State *L, struct policy_subject *s)
{
	if (s->vars_ref == LUA_NOREF) {
		lua_newtable(L);
		s->vars_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->vars_ref);
}
