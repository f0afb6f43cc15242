/* policy/spec_subject.h - from the tables of a spec to the views that policies see, and back; private to policy/. */
#pragma once

#include <lua.h>

#include "dns/dns_hosts.h"
#include "hook/hook.h"

struct spec_subject {
	struct arena *mem;
	struct view_actions actions;
	struct view_conn conn;
	struct view_tls tls;
	struct view_txn txn;
	struct view_rcpt rcpt;
	struct view_msg msg;
	struct span sender, new_sender; /* what actions left */
};

void spec_subject_init(struct spec_subject *s, struct arena *mem);
/* The fields of the table at @i replace what was there: remote_ip helo esmtp reverse auth_user auth_mech auth_realm
 * tls_version tls_cipher ... device profile ..., from size smtputf8, to orcpt, text (a whole message) or header and body. Raises
 * for what is none. */
void spec_subject_read(lua_State *L, int i, struct spec_subject *s, bool message);
/* The event that @name and the table at 3 tell of. -ERR_NOTFOUND. */
int spec_subject_event(lua_State *L, const char *name, struct spec_subject *s, struct hook_event *ev_r,
		       struct verdict *v);
/* { name =, type =, value = } or { name =, type =, result = } on top of the stack. */
int spec_subject_host(lua_State *L, struct dns_hosts *hosts, struct errtext *why);

void spec_subject_push_verdict(lua_State *L, const struct verdict *v);
void spec_subject_push_state(lua_State *L, const struct spec_subject *s);
