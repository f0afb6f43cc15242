/* Credentials: what they can do, what is none, what happens when a file changes. */
#include "auth/auth_credential.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth/auth_client_priv.h"
#include "test.h"

static struct auth_services *services;
static char dir[64], path[96];

static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	NEED(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void begin(void)
{
	services = auth_services_new();
	snprintf(dir, sizeof dir, "/tmp/postern-cred-XXXXXX");
	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/p", dir);
	put("pencil\n");
}

static void end(void)
{
	unlink(path);
	rmdir(dir);
	auth_services_unref(&services);
}

static struct auth_credential_config config(void)
{
	return (struct auth_credential_config){ .name = SPAN("here"),
						.user = SPAN("relay"),
						.password_path = span_of(path) };
}

static void names(void)
{
	enum auth_client_mech mech;

	CHECK_INT(0, auth_client_mech_parse(SPAN("scram-sha-256-plus"), &mech));
	CHECK_STR("SCRAM-SHA-256-PLUS", auth_client_mech_name(mech));
	CHECK_INT(-ERR_NOTFOUND, auth_client_mech_parse(SPAN("CRAM-MD5"), &mech));
	CHECK_INT(-ERR_NOTFOUND, auth_client_mech_parse(SPAN(""), &mech));
}

static void what_is_none(void)
{
	struct auth_credential *c;
	struct auth_credential_config cfg;
	struct errtext e;

	begin();
	cfg = config();
	cfg.password_path = SPAN("");
	CHECK_INT(-ERR_INVAL, auth_credential_new(&cfg, services, &c, &e));
	CHECK(strstr(e.s, "nothing to log in with") != NULL);
	cfg = config();
	cfg.user = SPAN("");
	CHECK_INT(-ERR_INVAL, auth_credential_new(&cfg, services, &c, &e));
	CHECK(strstr(e.s, "user is missing") != NULL);
	cfg = config();
	cfg.user = SPAN("a\001b");
	CHECK_INT(-ERR_INVAL, auth_credential_new(&cfg, services, &c, &e));
	cfg = config();
	cfg.mechs = UINT32_C(1) << AUTH_CLIENT_MECH_XOAUTH2;
	CHECK_INT(-ERR_INVAL, auth_credential_new(&cfg, services, &c, &e));
	CHECK(strstr(e.s, "none of the mechanisms") != NULL);
	put("\n");
	cfg = config();
	CHECK_INT(-ERR_INVAL, auth_credential_new(&cfg, services, &c, &e));
	CHECK(strstr(e.s, "is empty") != NULL);
	end();
}

static void a_password_that_changes(void)
{
	struct auth_credential *c;
	struct secret password = { 0 }, other = { 0 };
	uint8_t salted[AUTH_SCRAM_KEY] = { 1, 2, 3 }, got[AUTH_SCRAM_KEY];
	struct errtext e;

	begin();
	const struct auth_credential_config cfg = config();
	NEED(auth_credential_new(&cfg, services, &c, &e) == 0);
	CHECK(auth_credential_has_password(c));
	CHECK_SPAN("here", auth_credential_name(c));
	CHECK_SPAN("relay", auth_credential_user(c));
	auth_credential_password(c, &password);
	CHECK_SPAN("pencil", secret_span(&password));

	CHECK(!auth_credential_salted(c, SPAN("salt"), 4096, got));
	secret_set(&other, SPAN("another"));
	auth_credential_keep_salted(c, &other, SPAN("salt"), 4096,
				    salted); /* of a password that is no more */
	CHECK(!auth_credential_salted(c, SPAN("salt"), 4096, got));
	auth_credential_keep_salted(c, &password, SPAN("salt"), 4096, salted);
	CHECK(auth_credential_salted(c, SPAN("salt"), 4096, got));
	CHECK_INT(3, got[2]);
	CHECK(!auth_credential_salted(c, SPAN("salt"), 4097, got));
	CHECK(!auth_credential_salted(c, SPAN("pepper"), 4096, got));

	CHECK_INT(0, auth_credential_refresh(c, &e));
	unlink(path);
	put("crayon\n");
	CHECK_INT(1, auth_credential_refresh(c, &e));
	auth_credential_password(c, &password);
	CHECK_SPAN("crayon", secret_span(&password));
	CHECK(!auth_credential_salted(c, SPAN("salt"), 4096, got));
	unlink(path);
	CHECK_INT(-ERR_NOTFOUND, auth_credential_refresh(c, &e));
	auth_credential_password(c, &password);
	CHECK_SPAN("crayon", secret_span(&password));
	secret_deinit(&password);
	secret_deinit(&other);
	auth_credential_unref(&c);
	end();
}

static struct auth_credential *with_token(struct auth_token *t)
{
	struct auth_credential_config cfg = { .name = SPAN("here"), .user = SPAN("relay"), .token = t };
	struct auth_credential *c = NULL;
	struct errtext e;

	NEED(auth_credential_new(&cfg, services, &c, &e) == 0);
	auth_token_unref(&t);
	return c;
}

static struct auth_token *token(const char *id)
{
	const struct auth_token_config cfg = { .url = SPAN("https://login.example.org/"),
					       .client_id = span_of(id),
					       .secret_path = span_of(path) };
	struct auth_token *t = NULL;
	struct errtext e;

	NEED(auth_token_new(&cfg, services, &t, &e) == 0);
	return t;
}

static void a_token_source_is_inherited(void)
{
	begin();
	struct auth_credential *before = with_token(token("one")), *same = with_token(token("one")),
			       *other = with_token(token("two"));
	CHECK_INT((1 << AUTH_CLIENT_MECH_OAUTHBEARER) | (1 << AUTH_CLIENT_MECH_XOAUTH2),
		  auth_credential_mechs(same));
	auth_credential_inherit(same, before);
	CHECK(auth_credential_token(same) == auth_credential_token(before));
	auth_credential_inherit(other, before);
	CHECK(auth_credential_token(other) != auth_credential_token(before));
	auth_credential_unref(&before);
	auth_credential_unref(&same);
	auth_credential_unref(&other);
	auth_credential_unref(&other); /* NULL by now */
	end();
}

TEST_MAIN(TEST(names), TEST(what_is_none), TEST(a_password_that_changes), TEST(a_token_source_is_inherited))
