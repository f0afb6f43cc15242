/* auth/auth_oauth_priv.h - the inside of a token source: auth_oauth.c has who asks, auth_oauth_fetch.c the endpoint. */
#pragma once

#include <pthread.h>

#include "auth/auth_oauth.h"
#include "base/arena.h"
#include "base/secret_source.h"

#define AUTH_TOKEN_SECOND_US INT64_C(1000000)

enum { AUTH_TOKEN_HOST_MAX = 256, AUTH_TOKEN_ID_MAX = 4096, AUTH_TOKEN_AGAIN_MAX_S = 600 };

struct auth_token {
	_Atomic unsigned refs;
	struct arena *mem;
	struct auth_token_config cfg; /* spans in mem */
	char host[AUTH_TOKEN_HOST_MAX];
	struct auth_services *services;
	pthread_mutex_t lock;
	pthread_cond_t idle;

	/* all under the lock */
	struct secret_source client_secret, refresh;
	struct secret token; /* empty: none */
	uint64_t generation;
	int64_t got_us, renew_us, expires_us;
	unsigned failures, refusals;
	int64_t again_us;
	bool permanent;
	char why[AUTH_TOKEN_WHY_MAX];  /* of the last failure */
	char note[AUTH_TOKEN_WHY_MAX]; /* of a rotated token that could not be written */
	struct list waiting;
	bool fetching;

	/* of the fetch under way */
	struct http_transfer transfer;
	struct buf form;
	struct secret authorization;
	int64_t asked_us, asked_clock_us;
};

/* ---- auth_oauth.c ---- */
/* Cut where it is too long. */
void auth_token_say(char why[AUTH_TOKEN_WHY_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* @us, a tenth of it more or less. */
int64_t auth_token_jittered(int64_t us);
/* Under the lock: everybody who waits gets the token, or why there is none. */
void auth_token_tell_all(struct auth_token *t, int64_t now_us);

/* ---- auth_oauth_fetch.c ---- */
/* Under the lock, with no fetch under way: begins one. */
void auth_token_fetch(struct auth_token *t, int64_t now_us);
