/* policy/lib.h - the C half of `relay`: what each lib_*.c adds to the table "relay.core", of which lua/lib/relay/
 * makes what policies see; private to policy/.
 *
 * Every lib_x_open() sets fields of the table on top of the stack and may raise; it runs once per state.
 */
#pragma once

#include <lua.h>

#include "base/ip.h"

/* Can be used in every state of ours, also without policies in it. */
void lib_text_open(lua_State *L);    /* text: find_any glob ... */
void lib_pattern_open(lua_State *L); /* pattern: find, step */
void lib_set_open(lua_State *L);     /* cidr, domains */
void lib_json_open(lua_State *L);    /* json: encode decode */
void lib_check_open(lua_State *L);   /* check(kind, text) */
void lib_mail_open(lua_State *L);    /* address */

/* Want a struct policy_vm. */
void lib_time_open(lua_State *L);  /* time: now parse */
void lib_log_open(lua_State *L);   /* log, metric */
void lib_dns_open(lua_State *L);   /* dns */
void lib_limit_open(lua_State *L); /* limit */

/* (level, event [, fields]) at 1: relay.log.*, conn:log, txn:log. */
int pl_log_any(lua_State *L);

/* For what would change something: true if the policy only observes; what it would have done is remembered for the log. */
bool lib_would(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct reverse;
/* { status =, name =, names = { ... } } */
void push_reverse_result(lua_State *L, const struct reverse *r);
void push_reverse_temperror(lua_State *L);
/* Yields; resumed with such a table. */
int wait_for_reverse(lua_State *L, const char *function, const struct ip_addr *addr);

struct buf;
/* Appends the value at @i as JSON. Returns NULL, or a phrase that says what cannot be written. Does not raise. */
const char *json_of_lua(lua_State *L, int i, struct buf *out);
/* Pushes the value of the text; or pushes nothing and returns a phrase. Does not raise if the memory limit is not enforced. */
enum { JSON_TEXT_MAX = 1024 * 1024, JSON_VALUES_MAX = 100000 /* for policies */ };
const char *lua_of_json(lua_State *L, struct span text, unsigned values_max);
