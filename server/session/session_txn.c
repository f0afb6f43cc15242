/* session_txn.c - a transaction's life: from MAIL to its message, RSET, HELO or the end of the session. */
#include "session/session_priv.h"

struct session_txn *session_txn_begin(struct session *s)
{
	require(!s->txn);
	if (!s->txn_mem)
		s->txn_mem = arena_new(SESSION_TXN_MEM_MAX);
	s->txn = arena_new_of(s->txn_mem, struct session_txn);
	if (s->txn) {
		s->txn->view =
			(struct view_txn){ .conn = &s->conn, .started_wall_us = loop_wall_us(s->env->loop) };
		decision_path_init(&s->txn->path, s->txn_mem);
	}
	return s->txn;
}

void session_txn_end(struct session *s)
{
	require(!s->msg);
	if (!s->txn)
		return;
	if (s->setup.hooks.ops->txn_gone)
		s->setup.hooks.ops->txn_gone(s->setup.hooks.impl, &s->txn->view);
	s->txn = NULL;
	s->rcpt = NULL;
	arena_release(s->txn_mem);
	if (s->phase > SESSION_PHASE_READY)
		s->phase = SESSION_PHASE_READY;
}
