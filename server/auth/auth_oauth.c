/* Happy path:
 *
 *   1. auth_token_get(): no token, no fetch, not told to wait: the form is built and the transfer started     (a loop)
 *   2. whoever else asks meanwhile is put into the list                                                       (their loops)
 *   3. on_answer(): the answer is read; a rotated refresh token goes to its file first, then the token is
 *      set and everybody in the list gets a copy and a letter                                                 (libcurl's thread)
 *   4. told() on each loop
 *
 * A fetch that fails tells the same words to all in the list and sets the time before which nobody asks again. The lock is held for
 * moments only: neither a request nor a file is waited for under it.
 */
#include "auth/auth_oauth.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_oauth_answer.h"
#include "auth/auth_oauth_priv.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	CONFIG_MEM_MAX = 64 * 1024,
	REFUSED_AGAIN_S = 30,
	REFUSED_FRESH_S = 300, /* a server that refuses a token so new would refuse the next one too */
	DEADLINE_S = 20,
};

int64_t auth_token_jittered(int64_t us)
{
	return us - us / 10 + (int64_t)random_below((uint64_t)(us / 5 + 1));
}

void auth_token_say(char why[AUTH_TOKEN_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, AUTH_TOKEN_WHY_MAX, fmt, ap);
	va_end(ap);
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static bool is_good(const struct auth_token *t, int64_t now_us)
{
	return secret_span(&t->token).n && now_us < t->expires_us;
}

static void give(const struct auth_token *t, struct auth_token_wait *w)
{
	w->status = secret_set(&w->token, secret_span(&t->token));
	w->generation = t->generation;
}

static void give_failure(const struct auth_token *t, struct auth_token_wait *w, int64_t now_us)
{
	const int64_t left_s = (t->again_us - now_us + AUTH_TOKEN_SECOND_US - 1) / AUTH_TOKEN_SECOND_US;

	w->status = t->permanent ? -ERR_DENIED : -ERR_UNREACH;
	w->permanent = t->permanent;
	if (left_s > 0)
		auth_token_say(w->why, "%.*s (asked again in %lld s)", AUTH_TOKEN_WHY_MAX - 40, t->why,
			       (long long)left_s);
	else
		auth_token_say(w->why, "%s", t->why);
}

static void on_letter(struct letter *letter)
{
	struct auth_token_wait *w = container_of(letter, struct auth_token_wait, letter_);

	w->told(w);
}

void auth_token_tell_all(struct auth_token *t, int64_t now_us)
{
	struct list *link;

	while ((link = list_pop_front(&t->waiting))) {
		struct auth_token_wait *w = list_entry(link, struct auth_token_wait, link_);
		if (is_good(t, now_us))
			give(t, w);
		else
			give_failure(t, w, now_us);
		w->sent_ = true;
		require(loop_post(w->loop_, &w->letter_)); /* from here on its loop may free it */
	}
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

int auth_token_get(struct auth_token *t, struct loop *loop, struct auth_token_wait *w)
{
	const int64_t now_us = loop_now_us(loop);
	int r = 1;

	pthread_mutex_lock(&t->lock);
	const bool good = is_good(t, now_us), may_ask = !t->fetching && now_us >= t->again_us;
	if (good) {
		give(t, w);
		if (may_ask && now_us >= t->renew_us)
			auth_token_fetch(t, now_us);
	} else if (!t->fetching && !may_ask) {
		give_failure(t, w, now_us);
	} else {
		w->loop_ = loop;
		w->sent_ = false;
		list_push_back(&t->waiting, &w->link_);
		if (may_ask)
			auth_token_fetch(t, now_us);
		r = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

bool auth_token_leave(struct auth_token *t, struct auth_token_wait *w)
{
	pthread_mutex_lock(&t->lock);
	const bool left = !w->sent_;
	list_remove(&w->link_);
	pthread_mutex_unlock(&t->lock);
	return left;
}

void auth_token_refused(struct auth_token *t, uint64_t generation, struct loop *loop)
{
	const int64_t now_us = loop_now_us(loop);

	pthread_mutex_lock(&t->lock);
	if (generation == t->generation && secret_span(&t->token).n) {
		secret_deinit(&t->token);
		t->refusals =
			now_us - t->got_us < REFUSED_FRESH_S * AUTH_TOKEN_SECOND_US ? t->refusals + 1 : 1;
		if (t->refusals > 1) {
			int64_t wait_s = REFUSED_AGAIN_S;
			for (unsigned i = 2; i < t->refusals && wait_s < AUTH_TOKEN_AGAIN_MAX_S; i++)
				wait_s *= 2;
			t->again_us = now_us + auth_token_jittered((wait_s < AUTH_TOKEN_AGAIN_MAX_S
									    ? wait_s
									    : AUTH_TOKEN_AGAIN_MAX_S) *
								   AUTH_TOKEN_SECOND_US);
			t->permanent = true;
			auth_token_say(
				t->why,
				"the mail server refuses tokens that are quite new: may this client send as this user?");
		}
	}
	pthread_mutex_unlock(&t->lock);
}

void auth_token_wait_init(struct auth_token_wait *w, void (*told)(struct auth_token_wait *w))
{
	*w = (struct auth_token_wait){ .told = told, .letter_ = { .open = on_letter } };
	list_init(&w->link_);
}

void auth_token_wait_deinit(struct auth_token_wait *w)
{
	secret_deinit(&w->token);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void take_host(struct auth_token *t)
{
	struct span rest = t->cfg.url;
	const ptrdiff_t at = span_find(rest, SPAN("://"));

	rest = span_skip(rest, at < 0 ? 0 : (size_t)at + 3);
	const struct span host = span_cut(&rest, '/');
	snprintf(t->host, sizeof t->host, "%.*s", SPAN_ARG(span_first(host, sizeof t->host - 1)));
}

static void copy_config(struct auth_token *t, const struct auth_token_config *cfg)
{
	struct span *const texts[] = { &t->cfg.url,
				       &t->cfg.client_id,
				       &t->cfg.scope,
				       &t->cfg.secret_path,
				       &t->cfg.secret_variable,
				       &t->cfg.refresh_path,
				       &t->cfg.refresh_variable,
				       &t->cfg.ca_file,
				       &t->cfg.proxy };

	t->cfg = *cfg;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*texts[i] = arena_dup(t->mem, *texts[i]);
		require(texts[i]->p);
	}
	if (t->cfg.deadline_us <= 0)
		t->cfg.deadline_us = DEADLINE_S * AUTH_TOKEN_SECOND_US;
}

static int check(const struct auth_token_config *cfg, struct errtext *e)
{
	if (!span_istarts(cfg->url, SPAN("https://")) || cfg->url.n > HTTP_URL_MAX)
		return errtext_set(e, ERR_INVAL, "the token endpoint has to begin with https://");
	if (!cfg->client_id.n || cfg->client_id.n > AUTH_TOKEN_ID_MAX || cfg->scope.n > AUTH_TOKEN_ID_MAX)
		return errtext_set(e, ERR_INVAL, "client_id or scope is missing or too long");
	return 0;
}

static int read_secrets(struct auth_token *t, struct errtext *e)
{
	const int a = secret_source_refresh(&t->client_secret, e);
	const int b = a < 0 ? 0 : secret_source_refresh(&t->refresh, e);

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	/* So that the form holds them, encoded. */
	if (secret_source_span(&t->client_secret).n > AUTH_OAUTH_TOKEN_MAX / 2 ||
	    secret_source_span(&t->refresh).n > AUTH_OAUTH_TOKEN_MAX)
		return errtext_set(e, ERR_TOOBIG, "a secret of the token is too long");
	return a || b;
}

static void destroy(struct auth_token *t)
{
	secret_source_deinit(&t->client_secret);
	secret_source_deinit(&t->refresh);
	secret_deinit(&t->token);
	auth_services_unref(&t->services);
	pthread_cond_destroy(&t->idle);
	pthread_mutex_destroy(&t->lock);
	arena_free(&t->mem);
	free(t);
}

int auth_token_new(const struct auth_token_config *cfg, struct auth_services *services,
		   struct auth_token **t_r, struct errtext *e)
{
	int r = check(cfg, e);

	if (r < 0)
		return r;
	struct auth_token *t = mem_alloc(sizeof *t);
	atomic_init(&t->refs, 1);
	t->mem = arena_new(CONFIG_MEM_MAX);
	t->services = auth_services_ref(services);
	copy_config(t, cfg);
	take_host(t);
	require(pthread_mutex_init(&t->lock, NULL) == 0 && pthread_cond_init(&t->idle, NULL) == 0);
	list_init(&t->waiting);
	secret_source_init(&t->client_secret, t->cfg.secret_path, t->cfg.secret_variable);
	secret_source_init(&t->refresh, t->cfg.refresh_path, t->cfg.refresh_variable);
	r = read_secrets(t, e);
	if (r < 0) {
		destroy(t);
		return r;
	}
	*t_r = t;
	return 0;
}

struct auth_token *auth_token_ref(struct auth_token *t)
{
	require(atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed) > 0);
	return t;
}

void auth_token_unref(struct auth_token **tp)
{
	struct auth_token *t = *tp;

	*tp = NULL;
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	pthread_mutex_lock(&t->lock);
	require(list_empty(&t->waiting));
	if (t->fetching)
		http_transfer_cancel(t->services->http, &t->transfer);
	while (t->fetching)
		pthread_cond_wait(&t->idle, &t->lock);
	pthread_mutex_unlock(&t->lock);
	destroy(t);
}

bool auth_token_same(const struct auth_token *a, const struct auth_token *b)
{
	const struct auth_token_config *x = &a->cfg, *y = &b->cfg;

	return x->provider == y->provider && x->basic == y->basic && x->keep == y->keep &&
	       x->deadline_us == y->deadline_us && span_eq(x->url, y->url) &&
	       span_eq(x->client_id, y->client_id) && span_eq(x->scope, y->scope) &&
	       span_eq(x->secret_path, y->secret_path) && span_eq(x->secret_variable, y->secret_variable) &&
	       span_eq(x->refresh_path, y->refresh_path) &&
	       span_eq(x->refresh_variable, y->refresh_variable) && span_eq(x->ca_file, y->ca_file) &&
	       span_eq(x->proxy, y->proxy);
}

int auth_token_refresh(struct auth_token *t, struct errtext *e)
{
	pthread_mutex_lock(&t->lock);
	const int r = read_secrets(t, e);
	if (r > 0) {
		secret_deinit(&t->token);
		t->again_us = 0;
		t->failures = t->refusals = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static bool is_exposed(struct auth_token *t, const struct secret_source *s)
{
	pthread_mutex_lock(&t->lock);
	const bool exposed = s->exposed;
	pthread_mutex_unlock(&t->lock);
	return exposed;
}

bool auth_token_exposes_secret(struct auth_token *t)
{
	return is_exposed(t, &t->client_secret);
}

bool auth_token_exposes_refresh(struct auth_token *t)
{
	return is_exposed(t, &t->refresh);
}

void auth_token_status(struct auth_token *t, int64_t now_us, struct auth_token_status *s_r)
{
	pthread_mutex_lock(&t->lock);
	*s_r = (struct auth_token_status){
		.has_token = is_good(t, now_us),
		.fetching = t->fetching,
		.expires_in_us = is_good(t, now_us) ? t->expires_us - now_us : 0,
		.retry_in_us = t->again_us > now_us ? t->again_us - now_us : 0,
		.failures = t->failures,
	};
	snprintf(s_r->why, sizeof s_r->why, "%s", t->why[0] ? t->why : t->note);
	pthread_mutex_unlock(&t->lock);
}
