/* session/session.h - the inbound dialogue: one client, from its connection to its end.
 *
 * A session is a table-driven step machine over a stream (TCP, TLS, a test's memory). It asks policies through hook/hook.h and
 * keeps messages through session/store.h; it knows neither Lua nor files.
 *
 * Ownership: session_start() takes the stream over. The session frees itself when it is closed; env->gone is the last that is
 *            heard of it.
 * Threads:   the worker's loop.
 * Errors:    none come out: what a client does wrong is answered, what breaks is logged.
 * Source:    RFC 5321; the extensions as smtp/ names them.
 * Tests:     tests/unit/session/test_dialogue.c, test_body.c, test_hooks.c, test_endings.c,
 *            tests/fuzz/fuzz_session_dialogue.c, tests/scenario/
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "dns/dns.h"
#include "hook/hook.h"
#include "io/stream.h"
#include "session/session_config.h"
#include "session/store.h"
#include "state/bans.h"
#include "state/clients.h"

struct session;

/* For a tool that has no wire: STARTTLS and AUTH succeed without a handshake or a secret, where they are offered. */
struct session_pretend {
	struct span user, realm;
};

/* What all sessions of a worker share. */
struct session_env {
	struct loop *loop;
	struct dns *dns; /* NULL: no look-ups, reverse names are OFF */
	struct session_store store;
	struct clients *clients; /* NULL: connections are not counted */
	struct bans *bans;       /* NULL: nobody is banned for failed logins */
	struct logger *log;
	struct metric_shard *metrics;
	uint64_t (*etrn)(void *arg, struct span domain); /* starts the queue for a domain; how many jobs */
	void (*gone)(void *arg, struct session *s);      /* its memory goes after this */
	void *arg;
	/* A test's or a tool's: sees the decision path after each question to the policies, before its answer is
	 * given. NULL: nobody. */
	void (*trace)(void *arg, struct session *s, const struct decision_path *path);
	const struct session_pretend *pretend; /* NULL: nothing is pretended */
	struct list sessions;
	unsigned count;
};

void session_env_init(struct session_env *env);

/* What a session gets at its start: both stay as they are for its life; @release is called when it ends. */
struct session_setup {
	const struct session_listener *listener;
	struct clients_total *total; /* of the listener, over all workers */
	struct hooks hooks;
	const void *policies;
	void (*release)(void *arg);
	void *release_arg;
};

void session_start(struct session_env *env, const struct session_setup *setup, struct stream *stream);

/* Ends all sessions that are between messages with 421, and the others when theirs is done. */
void session_drain_all(struct session_env *env);
/* Ends them now. */
void session_close_all(struct session_env *env);

const struct view_conn *session_view(const struct session *s);
struct session *session_next(const struct session_env *env, const struct session *after);
/* "helo", "waiting for hook rcpt (dns ptr ...)": for control. */
struct span session_doing(const struct session *s, struct arena *a);
