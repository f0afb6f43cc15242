/* session_list.c - all sessions of a worker: ended together, and looked at from outside. */
#include "session/session_priv.h"

void session_env_init(struct session_env *env)
{
	list_init(&env->sessions);
	env->count = 0;
}

void session_drain_all(struct session_env *env)
{
	list_for_each(it, &env->sessions) {
		struct session *s = list_entry(it, struct session, link);
		s->draining = true;
		session_run_soon(s);
	}
}

void session_close_all(struct session_env *env)
{
	list_for_each(it, &env->sessions) {
		struct session *s = list_entry(it, struct session, link);
		if (s->ended || s->stream_closed)
			continue;
		if (!s->end_reason)
			s->end_reason = "shutdown";
		if (s->stream)
			stream_close(s->stream, false);
		else
			session_tls_cancel(s);
	}
}

const struct view_conn *session_view(const struct session *s)
{
	return &s->conn;
}

struct session *session_next(const struct session_env *env, const struct session *after)
{
	const struct list *next = after ? after->link.next : env->sessions.next;

	return next == &env->sessions ? NULL : list_entry((struct list *)next, struct session, link);
}

struct span session_doing(const struct session *s, struct arena *a)
{
	static const char *const phases[] = {
#define X(name) #name,
		SESSION_PHASE_MAP(X)
#undef X
	};
	static const char *const step_names[] = {
#define X(name) #name,
		SESSION_STEP_MAP(X)
#undef X
	};
	const char *waits = s->call.pending             ? hook_name(s->call.id)
			    : op_pending(&s->commit.op) ? "commit"
			    : s->reverse                ? "reverse name"
			    : session_tls_pending(s)    ? "tls handshake"
			    : session_auth_pending(s)   ? "auth"
			    : session_dkim_pending(s)   ? "dkim keys"
			    : s->waiting_room           ? "spool"
							: "client";

	return arena_printf(a, "%s/%s, waits for %s", phases[s->phase], step_names[s->step], waits);
}
