/* auth/auth_oauth_fetch.c - asking a token endpoint: the form, the answer, the words and the wait after a failure. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/auth_oauth_answer.h"
#include "auth/auth_oauth_priv.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/random.h"

enum { FORM_MAX = 7 * AUTH_OAUTH_TOKEN_MAX };
enum {
	LIFE_UNKNOWN_S =
		600,   /* of a token that does not say when it ends (RFC 6749 section 5.1: RECOMMENDED) */
	MARGIN_S = 30, /* no token is given out that ends sooner */
	AGAIN_S = 5,
	AGAIN_PERMANENT_S = 60,
	AGAIN_SAID_MAX_S = 3600,
	HIDE_MIN = 4, /* shorter ones are found in any text */
};

static int64_t clock_us(void)
{
	struct timespec ts;

	require(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * AUTH_TOKEN_SECOND_US + ts.tv_nsec / 1000;
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* A provider that repeats what it was sent must not bring it into a log. */
static void hide(struct auth_token *t, const struct secret_source *s)
{
	/* Its beginning is enough: their words may have been cut. */
	const struct span secret = span_first(secret_source_span(s), 8);

	if (secret.n >= HIDE_MIN && span_find(span_of(t->why), secret) >= 0)
		auth_token_say(t->why, "token endpoint %s: it refuses, with words that hold a secret",
			       t->host);
}

static void failed(struct auth_token *t, int64_t now_us, int64_t retry_after_s)
{
	const int64_t first_s = t->permanent ? AGAIN_PERMANENT_S : AGAIN_S;
	int64_t wait_s = first_s;

	hide(t, &t->client_secret);
	hide(t, &t->refresh);
	for (unsigned i = 0; i < t->failures && wait_s < AUTH_TOKEN_AGAIN_MAX_S; i++)
		wait_s *= 2;
	if (wait_s > AUTH_TOKEN_AGAIN_MAX_S)
		wait_s = AUTH_TOKEN_AGAIN_MAX_S;
	t->failures++;
	if (retry_after_s > wait_s)
		wait_s = retry_after_s < AGAIN_SAID_MAX_S ? retry_after_s : AGAIN_SAID_MAX_S;
	t->again_us = now_us + auth_token_jittered(wait_s * AUTH_TOKEN_SECOND_US);
}

/* Nobody answered. */
static void transfer_failed(struct auth_token *t)
{
	static const char *const said[] = {
		[HTTP_STEP_REQUEST] = "cannot be asked", [HTTP_STEP_RESOLVE] = "its name is not found",
		[HTTP_STEP_CONNECT] = "no connection",   [HTTP_STEP_TLS] = "TLS failed",
		[HTTP_STEP_ANSWER] = "no answer",
	};

	t->permanent = t->transfer.status == -ERR_DENIED || t->transfer.status == -ERR_INVAL;
	auth_token_say(t->why, "token endpoint %s: %s: %s", t->host, said[t->transfer.step], t->transfer.why);
}

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

static void got(struct auth_token *t, struct auth_oauth_answer *a)
{
	const int64_t life_us = (a->expires_s < 0 ? LIFE_UNKNOWN_S : a->expires_s) * AUTH_TOKEN_SECOND_US;
	const int64_t margin_us = life_us / 10 < MARGIN_S * AUTH_TOKEN_SECOND_US
					  ? life_us / 10
					  : MARGIN_S * AUTH_TOKEN_SECOND_US;

	secret_deinit(&t->token);
	t->token = a->access;
	a->access = (struct secret){ 0 };
	t->generation++;
	t->got_us = t->asked_us;
	t->expires_us = t->asked_us + life_us - margin_us;
	t->renew_us = t->asked_us + life_us * 3 / 4 + (int64_t)random_below((uint64_t)(life_us / 10 + 1));
	t->failures = 0;
	t->again_us = 0;
	t->permanent = false;
	t->why[0] = 0;
}

/* Replaces the file, unless the operator did so while the endpoint was asked: that one is read soon. */
static int write_rotated(struct auth_token *t, const struct secret *old, struct span fresh,
			 struct secret_source *s, struct errtext *e)
{
	secret_source_init(s, t->cfg.refresh_path, t->cfg.refresh_variable);
	if (!t->cfg.keep)
		return errtext_set(e, ERR_UNSUPPORTED, "keep_refresh_token is not set");
	if (secret_source_refresh(s, NULL) >= 0 && !secret_eq(old, secret_source_span(s)))
		return errtext_set(e, ERR_EXISTS, "%s was replaced meanwhile", s->path ? s->path : "it");
	return secret_source_write(s, fresh, e);
}

/* The provider gave another refresh token: what is in the file, and in memory, is that one from now on. */
static void keep_rotated(struct auth_token *t, struct span fresh)
{
	struct secret old = { 0 };
	struct secret_source source;
	struct errtext e = { "" };

	pthread_mutex_lock(&t->lock);
	secret_set(&old, secret_source_span(&t->refresh));
	pthread_mutex_unlock(&t->lock);
	if (!fresh.n || !secret_source_is_there(&t->refresh) || secret_eq(&old, fresh)) {
		secret_deinit(&old);
		return;
	}
	const int r = write_rotated(t, &old, fresh, &source, &e);
	pthread_mutex_lock(&t->lock);
	if (r == 0) {
		secret_source_deinit(&t->refresh);
		t->refresh = source;
		t->note[0] = 0;
	} else {
		secret_source_deinit(&source);
		if (r != -ERR_EXISTS)
			secret_source_replace(&t->refresh, fresh);
		auth_token_say(
			t->note,
			"the provider gave a new refresh token; it is in memory only and lost with a restart: %s",
			e.s);
	}
	pthread_mutex_unlock(&t->lock);
	secret_deinit(&old);
}

/* On libcurl's thread. */
static void on_answer(struct http_transfer *transfer)
{
	struct auth_token *t = container_of(transfer, struct auth_token, transfer);
	struct auth_oauth_answer a = { .expires_s = -1 };
	int64_t retry_after_s = -1;

	bool good = transfer->status == 0;
	if (good) {
		retry_after_s = transfer->answer.retry_after_s;
		/* What is no JSON has no token in it; its status says the rest. */
		(void)auth_oauth_answer_parse(buf_span(&transfer->answer.body), &a);
		good = auth_oauth_answer_is_good(&a, transfer->answer.status);
		if (good)
			keep_rotated(t, secret_span(&a.refresh));
	}
	pthread_mutex_lock(&t->lock);
	const int64_t now_us = t->asked_us + (clock_us() - t->asked_clock_us);
	if (good) {
		got(t, &a);
	} else if (transfer->status < 0) {
		transfer_failed(t);
		failed(t, now_us, -1);
	} else {
		char words[AUTH_TOKEN_WHY_MAX - AUTH_TOKEN_HOST_MAX / 2];
		t->permanent = auth_oauth_answer_explain(&a, transfer->answer.status, t->cfg.provider, words,
							 sizeof words);
		auth_token_say(t->why, "token endpoint %.100s: %s", t->host, words);
		failed(t, now_us, retry_after_s);
	}
	auth_oauth_answer_deinit(&a);
	http_transfer_deinit(transfer);
	buf_wipe(&t->form);
	secret_deinit(&t->authorization);
	auth_token_tell_all(t, now_us);
	t->fetching = false;
	pthread_cond_broadcast(&t->idle);
	pthread_mutex_unlock(&t->lock);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* "Basic " and base64 of id ":" secret, both form-encoded (RFC 6749 section 2.3.1). */
static void make_authorization(struct auth_token *t)
{
	struct buf pair = BUF_INIT(FORM_MAX), text = BUF_INIT(BASE64_LEN(FORM_MAX) + 8);

	buf_reserve(&pair, FORM_MAX);
	buf_reserve(&text, text.max);
	auth_oauth_form_value(&pair, t->cfg.client_id);
	buf_add_char(&pair, ':');
	auth_oauth_form_value(&pair, secret_source_span(&t->client_secret));
	buf_add_str(&text, "Basic ");
	base64_encode(&text, buf_span(&pair));
	secret_set(&t->authorization, buf_span(&text));
	buf_wipe(&pair);
	buf_wipe(&text);
}

static void make_form(struct auth_token *t)
{
	const bool refresh = secret_source_is_there(&t->refresh);

	t->form = BUF_INIT(FORM_MAX);
	buf_reserve(&t->form, FORM_MAX);
	auth_oauth_form_add(&t->form, "grant_type",
			    refresh ? SPAN("refresh_token") : SPAN("client_credentials"));
	if (refresh)
		auth_oauth_form_add(&t->form, "refresh_token", secret_source_span(&t->refresh));
	if (t->cfg.scope.n)
		auth_oauth_form_add(&t->form, "scope", t->cfg.scope);
	if (t->cfg.basic) {
		make_authorization(t);
		return;
	}
	auth_oauth_form_add(&t->form, "client_id", t->cfg.client_id);
	if (secret_source_is_there(&t->client_secret))
		auth_oauth_form_add(&t->form, "client_secret", secret_source_span(&t->client_secret));
}

/* Under the lock. */
void auth_token_fetch(struct auth_token *t, int64_t now_us)
{
	make_form(t);
	http_transfer_init(&t->transfer, on_answer);
	t->transfer.request = (struct http_request){
		.url = t->cfg.url,
		.body = buf_span(&t->form),
		.content_type = SPAN("application/x-www-form-urlencoded"),
		.authorization = secret_span(&t->authorization),
		.accept = SPAN("application/json"),
		.ca_file = t->cfg.ca_file,
		.proxy = t->cfg.proxy,
		.body_max = AUTH_OAUTH_ANSWER_MAX,
		.deadline_us = t->cfg.deadline_us,
	};
	t->asked_us = now_us;
	t->asked_clock_us = clock_us();
	t->fetching = true;
	if (http_transfer_start(t->services->http, &t->transfer) == 0)
		return;
	t->fetching = false;
	t->permanent = false;
	auth_token_say(t->why, "token endpoint %s: too many requests wait already", t->host);
	failed(t, now_us, -1);
	auth_token_tell_all(t, now_us);
	buf_wipe(&t->form);
	secret_deinit(&t->authorization);
}
