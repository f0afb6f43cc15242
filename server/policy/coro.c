#include "policy/coro.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"

void coro_pool_init(struct coro_pool *p, lua_State *L)
{
	*p = (struct coro_pool){ .L = L };
	list_init(&p->idle);
}

void coro_pool_deinit(struct coro_pool *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		free(p->v[i]);
	free(p->v);
	*p = (struct coro_pool){ 0 };
	list_init(&p->idle);
}

static struct coro *new_slot(struct coro_pool *p)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 16;
		p->v = mem_realloc(p->v, p->cap * sizeof(struct coro *));
	}
	struct coro *c = mem_alloc(sizeof *c);
	c->token.slot = p->n;
	c->ref = LUA_NOREF;
	list_init(&c->link);
	list_init(&c->waits);
	p->v[p->n++] = c;
	return c;
}

struct coro *coro_take(struct coro_pool *p, struct policy_run *run)
{
	struct list *idle = list_pop_front(&p->idle);
	struct coro *c = idle ? list_entry(idle, struct coro, link) : new_slot(p);

	if (!c->L) {
		c->L = lua_newthread(p->L);
		c->ref = luaL_ref(p->L, LUA_REGISTRYINDEX);
	}
	c->run = run;
	c->waiting_for = NULL;
	c->all = NULL;
	c->parent = NULL;
	return c;
}

static void retire(struct coro_pool *p, struct coro *c)
{
	c->token.generation++;
	c->run = NULL;
	list_remove(&c->link);
	list_push_front(&p->idle, &c->link);
}

void coro_give(struct coro_pool *p, struct coro *c)
{
	lua_settop(c->L, 0);
	retire(p, c);
}

void coro_drop(struct coro_pool *p, struct coro *c)
{
	luaL_unref(p->L, LUA_REGISTRYINDEX, c->ref);
	c->ref = LUA_NOREF;
	c->L = NULL;
	retire(p, c);
}

struct coro *coro_find(const struct coro_pool *p, struct coro_token token)
{
	struct coro *c = token.slot < p->n ? p->v[token.slot] : NULL;

	return c && c->run && c->token.generation == token.generation ? c : NULL;
}
