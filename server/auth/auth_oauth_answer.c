#include "auth/auth_oauth_answer.h"

#include <stdio.h>
#include <string.h>

#include "base/json_parse.h"

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reader {
	struct auth_oauth_answer *a;
	unsigned depth;
	char key[32]; /* of the value that comes, in the outermost object */
	bool is_object;
	bool too_long;
};

static void copy_printable(char *to, size_t max, struct span from)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n && n + 1 < max; i++) {
		const unsigned char c = (unsigned char)from.p[i];
		if (c >= 128)
			continue;
		to[n++] = c < ' ' || c == 127 ? ' ' : (char)c;
	}
	to[n] = 0;
}

static void take_string(struct reader *r, struct span value)
{
	struct auth_oauth_answer *a = r->a;
	uint64_t n;

	if (strcmp(r->key, "access_token") == 0 || strcmp(r->key, "refresh_token") == 0) {
		if (value.n > AUTH_OAUTH_TOKEN_MAX)
			r->too_long = true;
		else
			secret_set(r->key[0] == 'a' ? &a->access : &a->refresh, value);
	} else if (strcmp(r->key, "token_type") == 0) {
		a->bearer = span_ieq(value, SPAN("bearer"));
	} else if (strcmp(r->key, "expires_in") == 0) {
		/* A number by the book, but not with everybody. */
		if (span_to_u64(value, AUTH_OAUTH_LIFE_MAX_S, &n))
			a->expires_s = (int64_t)n;
	} else if (strcmp(r->key, "error") == 0) {
		copy_printable(a->error, sizeof a->error, value);
	} else if (strcmp(r->key, "error_description") == 0) {
		copy_printable(a->description, sizeof a->description, value);
	}
}

/* error_codes: [7000215] of Microsoft. */
static void take_number(struct reader *r, double v)
{
	struct auth_oauth_answer *a = r->a;

	if (r->depth == 1 && strcmp(r->key, "expires_in") == 0 && v >= 0 && v <= AUTH_OAUTH_LIFE_MAX_S)
		a->expires_s = (int64_t)v;
	else if (r->depth == 2 && strcmp(r->key, "error_codes") == 0 && !a->aadsts && v >= 1 && v <= 99999999)
		a->aadsts = (unsigned)v;
}

static int on_token(void *arg, const struct json_token *t)
{
	struct reader *r = arg;

	switch (t->event) {
	case JSON_OBJECT:
		r->is_object |= r->depth == 0;
		r->depth++;
		break;
	case JSON_ARRAY:
		r->depth++;
		break;
	case JSON_OBJECT_END:
	case JSON_ARRAY_END:
		r->depth--;
		break;
	case JSON_KEY:
		if (r->depth == 1)
			copy_printable(r->key, sizeof r->key, t->string);
		break;
	case JSON_STRING:
		if (r->depth == 1 && r->is_object)
			take_string(r, t->string);
		break;
	case JSON_NUMBER:
		if (r->is_object)
			take_number(r, t->number);
		break;
	case JSON_NULL:
	case JSON_BOOL:
		break;
	}
	return 0;
}

/* "AADSTS7000215: Invalid client secret provided. ..." */
static unsigned aadsts_of(const char *description)
{
	const char *at = strstr(description, "AADSTS");
	unsigned n = 0;

	if (!at)
		return 0;
	for (at += 6; ascii_is_digit(*at) && n < 100000000; at++)
		n = n * 10 + (unsigned)(*at - '0');
	return n;
}

int auth_oauth_answer_parse(struct span json, struct auth_oauth_answer *a_r)
{
	struct auth_oauth_answer a = { .expires_s = -1, .bearer = true };
	struct reader r = { .a = &a };
	const char *why;
	size_t at;

	if (json.n > AUTH_OAUTH_ANSWER_MAX)
		return -ERR_TOOBIG;
	int err = json_parse(json, on_token, &r, &at, &why);
	if (err == 0 && !r.is_object)
		err = -ERR_SYNTAX;
	if (err == 0 && r.too_long)
		err = -ERR_TOOBIG;
	if (err < 0) {
		auth_oauth_answer_deinit(&a);
		return err;
	}
	if (!a.aadsts)
		a.aadsts = aadsts_of(a.description);
	*a_r = a;
	return 0;
}

void auth_oauth_answer_deinit(struct auth_oauth_answer *a)
{
	secret_deinit(&a->access);
	secret_deinit(&a->refresh);
}

bool auth_oauth_answer_is_good(const struct auth_oauth_answer *a, unsigned status)
{
	const struct span token = secret_span(&a->access);

	if (status != 200 || !token.n || !a->bearer || a->error[0])
		return false;
	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] <= ' ' || token.p[i] >= 127)
			return false;
	return true;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

struct meaning {
	const char *code;
	const char *words;
	bool passes; /* it may go away without the operator */
};

/* RFC 6749 section 5.2, and what is said beyond it. */
static const struct meaning errors[] = {
	{ "invalid_client",
	  "client_id or the client's secret is wrong, or the secret is to be sent the other way (basic = true)",
	  false },
	{ "invalid_grant",
	  "the refresh token is no longer good: expired, revoked, or of another client; get a new one",
	  false },
	{ "unauthorized_client",
	  "this client may not use this grant; allow it where the client is registered", false },
	{ "unsupported_grant_type", "the endpoint does not know this grant; is the URL right?", false },
	{ "invalid_scope", "the scope is wrong or not allowed to this client", false },
	{ "invalid_request", "the endpoint misses something in the request; are url, tenant and scope right?",
	  false },
	{ "access_denied", "the provider does not allow it", false },
	{ "invalid_target", "the resource that is asked for does not exist there", false },
	{ "temporarily_unavailable", "the provider cannot do it now", true },
	{ "server_error", "the provider failed", true },
	{ "slow_down", "the provider wants to be asked less often", true },
};

static const struct meaning google[] = {
	{ "invalid_grant",
	  "the refresh token is no longer good: revoked, unused for six months, the password was changed, or the "
	  "project is in testing (seven days); get a new one",
	  false },
	{ "invalid_client", "client_id is not known, or client_secret is not its secret", false },
	{ "deleted_client", "the OAuth client was deleted in the Google Cloud console", false },
	{ "disabled_client", "the OAuth client is disabled in the Google Cloud console", false },
	{ "org_internal", "the client is for users of its own organisation only", false },
	{ "admin_policy_enforced", "the Workspace administrator does not allow this scope to this client",
	  false },
	{ "invalid_rapt", "the Workspace administrator demands a new login; get a new refresh token", false },
	{ "rate_limit_exceeded", "too many tokens were asked for", true },
};

static const struct {
	unsigned code;
	const char *words;
	bool passes;
} microsoft[] = {
	{ 7000215, "the client secret is wrong: give the secret's value, not its id", false },
	{ 7000222, "the client secret has expired: make a new one in the app registration", false },
	{ 7000218, "the client secret is missing: set client_secret", false },
	{ 700016,
	  "client_id is not known in this tenant: wrong client_id, wrong tenant, or the app has no consent there",
	  false },
	{ 7000012, "the grant is of another tenant: is tenant right?", false },
	{ 7000112, "the app is disabled in this tenant", false },
	{ 7000229, "the app has no service principal in this tenant: an administrator must consent to it",
	  false },
	{ 700082, "the refresh token was unused for too long: get a new one", false },
	{ 70000, "the refresh token is not good: get a new one", false },
	{ 70008, "the refresh token has expired: get a new one", false },
	{ 70011, "the scope is wrong: with client credentials it ends in /.default", false },
	{ 70002, "client_id or the client's secret is wrong", false },
	{ 70001, "client_id is not known in this tenant", false },
	{ 50173, "the refresh token was revoked, by a new password perhaps: get a new one", false },
	{ 50034, "the user does not exist in this tenant", false },
	{ 50057, "the user is disabled", false },
	{ 50076, "a second factor is demanded: get a new refresh token with it", false },
	{ 50079, "a second factor is demanded: get a new refresh token with it", false },
	{ 53003, "a conditional access policy blocks it: allow this host or this app", false },
	{ 65001, "nobody has consented to the permission: an administrator must grant it (SMTP.SendAsApp)",
	  false },
	{ 500011, "the resource of the scope is not known in this tenant: is scope right?", false },
	{ 500113, "the app registration has no reply address", false },
	{ 90002, "there is no such tenant", false },
	{ 900023, "tenant is neither an id nor a domain of a tenant", false },
	{ 900021, "tenant is missing in the URL", false },
	{ 90014, "a field is missing in the request", false },
	{ 90033, "the provider cannot do it now", true },
	{ 90055, "too many tokens were asked for", true },
	{ 50196, "too many tokens were asked for in a row", true },
};

static const struct meaning *look_up(const struct meaning *list, size_t n, const char *code)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].code, code) == 0)
			return &list[i];
	return NULL;
}

static const struct meaning *meaning_of(const char *error, enum auth_provider provider)
{
	const struct meaning *m = NULL;

	if (provider == AUTH_PROVIDER_GOOGLE)
		m = look_up(google, sizeof google / sizeof *google, error);
	return m ? m : look_up(errors, sizeof errors / sizeof *errors, error);
}

/* The endpoint of the wrong path, a proxy's page, trouble: nothing that RFC 6749 knows. */
static bool explain_status(const struct auth_oauth_answer *a, unsigned status, char *why, size_t why_max)
{
	const bool passes = status >= 500 || status == 429 || status == 408;

	if (status == 200 && secret_span(&a->access).n)
		snprintf(why, why_max, "the endpoint gave a token that is no bearer token");
	else if (status == 200)
		snprintf(why, why_max, "the endpoint answered without a token; is the URL right?");
	else if (status == 429)
		snprintf(why, why_max, "the endpoint says 429: it is asked too often");
	else if (passes)
		snprintf(why, why_max, "the endpoint says %u: it cannot do it now", status);
	else if (status >= 300 && status < 400)
		snprintf(why, why_max, "the endpoint says %u: it is elsewhere; is the URL right?", status);
	else
		snprintf(why, why_max, "the endpoint says %u without an OAuth error; is the URL right?",
			 status);
	return !passes;
}

bool auth_oauth_answer_explain(const struct auth_oauth_answer *a, unsigned status,
			       enum auth_provider provider, char *why, size_t why_max)
{
	if (a->aadsts) {
		for (size_t i = 0; i < sizeof microsoft / sizeof *microsoft; i++) {
			if (microsoft[i].code != a->aadsts)
				continue;
			snprintf(why, why_max, "AADSTS%u: %s", a->aadsts, microsoft[i].words);
			return !microsoft[i].passes;
		}
	}
	if (!a->error[0])
		return explain_status(a, status, why, why_max);
	const struct meaning *m = meaning_of(a->error, provider);
	/* Their own words are more exact where the number is not known to us; they name no secrets. */
	if (a->aadsts || !m)
		snprintf(why, why_max, "%s: %s", a->error,
			 a->description[0] ? a->description : "the provider says no more");
	else
		snprintf(why, why_max, "%s: %s", a->error, m->words);
	return m ? !m->passes : status < 500 && status != 429;
}

/* ---- a mail server's word on a token ------------------------------------------------------------------------------ */

struct challenge {
	char key[16], status[32], scope[100];
	unsigned depth;
};

static int on_challenge(void *arg, const struct json_token *t)
{
	struct challenge *c = arg;

	if (t->event == JSON_OBJECT || t->event == JSON_ARRAY) {
		c->depth++;
	} else if (t->event == JSON_OBJECT_END || t->event == JSON_ARRAY_END) {
		c->depth--;
	} else if (c->depth == 1 && t->event == JSON_KEY) {
		copy_printable(c->key, sizeof c->key, t->string);
	} else if (c->depth == 1 && t->event == JSON_STRING) {
		if (strcmp(c->key, "status") == 0)
			copy_printable(c->status, sizeof c->status, t->string);
		else if (strcmp(c->key, "scope") == 0)
			copy_printable(c->scope, sizeof c->scope, t->string);
	}
	return 0;
}

void auth_oauth_challenge_explain(struct span json, char *why, size_t why_max)
{
	struct challenge c = { .depth = 0 };
	const char *text;
	size_t at;

	if (json_parse(json, on_challenge, &c, &at, &text) < 0 || !c.status[0]) {
		snprintf(why, why_max, "the server refuses the token");
		return;
	}
	const bool user = strcmp(c.status, "invalid_token") == 0 || strcmp(c.status, "401") == 0 ||
			  strcmp(c.status, "400") == 0;
	snprintf(why, why_max, "the server refuses the token (status %s%s%s)%s", c.status,
		 c.scope[0] ? ", it wants scope " : "", c.scope,
		 strcmp(c.status, "insufficient_scope") == 0 ? ": is scope right?"
		 : user ? ": may this client send as this user, and is the mailbox open for SMTP AUTH?"
			: "");
}

/* ---- forms ------------------------------------------------------------------------------------------------------ */

bool auth_oauth_form_value(struct buf *out, struct span value)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		const unsigned char c = (unsigned char)value.p[i];
		if (ascii_is_alnum((char)c) || c == '-' || c == '.' || c == '_' || c == '*') {
			buf_add_char(out, (char)c);
		} else if (c == ' ') {
			buf_add_char(out, '+');
		} else {
			buf_add_char(out, '%');
			buf_add_char(out, hex[c >> 4]);
			buf_add_char(out, hex[c & 15]);
		}
	}
	return !out->overflow;
}

bool auth_oauth_form_add(struct buf *out, const char *name, struct span value)
{
	if (out->n)
		buf_add_char(out, '&');
	buf_add_str(out, name);
	buf_add_char(out, '=');
	return auth_oauth_form_value(out, value);
}
