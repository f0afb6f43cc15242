/* How routes log in: what arrives of `auth` and `auth_by_sender`, and what is said when secrets are missing, empty or open to all. */
#include <stdlib.h>

#include "auth/auth_credential.h"
#include "config_bed.h"

#define HEAD "hostname = \"relay.example.org\"\n" /* line 1 */
#define LISTENER                                                                                             \
	"listener \"relay\" { bind = \"127.0.0.1:2525\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n"
#define ROUTE "route \"*\" { via = \"[smtp.example.net]:587\",\n" /* line 3 */

static void put(struct config_bed *bed, const char *name, const char *text, mode_t mode)
{
	bed_write(bed, name, text);
	NEED(chmod(bed->made[bed->nmade - 1], mode) == 0);
}

static void begin(struct config_bed *bed)
{
	bed_open(bed);
	bed_dir(bed, "secrets");
	put(bed, "secrets/upstream", "xyzzy-plugh\n", 0600);
	put(bed, "secrets/app", "app-secret\n", 0600);
	put(bed, "secrets/open", "seen-by-all\n", 0644);
	put(bed, "secrets/empty", "\n", 0600);
	put(bed, "secrets/refresh", "refresh-token\n", 0600);
}

static const struct route *other(const struct config_bed *bed)
{
	return bed->cfg->routes.other;
}

static void a_password(void)
{
	struct config_bed bed;

	begin(&bed);
	bed_need(&bed,
		 HEAD LISTENER ROUTE " auth = { user = \"relay\", password = secret \"upstream\" } }\n");
	NEED(other(&bed)->auth != NULL);
	CHECK_SPAN("relay", auth_credential_user(other(&bed)->auth));
	CHECK_SPAN("*", auth_credential_name(other(&bed)->auth));
	CHECK(!auth_credential_allows_unverified(other(&bed)->auth));
	CHECK(auth_credential_token(other(&bed)->auth) == NULL);
	CHECK_INT(0, other(&bed)->nby_sender);
	bed_close(&bed);
}

static void by_the_senders_domain(void)
{
	struct config_bed bed;

	begin(&bed);
	bed_need(
		&bed, HEAD LISTENER ROUTE
		" auth_by_sender = {\n"
		"  [\"b.example\"] = { user = \"bee\", password = secret \"upstream\", mechanisms = { \"PLAIN\", \"LOGIN\" } },\n"
		"  [\"A.example\"] = { user = \"ay\", password = secret \"app\" } } }\n");
	CHECK(other(&bed)->auth == NULL);
	NEED(other(&bed)->nby_sender == 2);
	const struct route_login *l = route_login_find(other(&bed), SPAN("x@A.Example"));
	NEED(l != NULL);
	CHECK_SPAN("ay", auth_credential_user(l->credential));
	CHECK_SPAN("*, senders of a.example", auth_credential_name(l->credential));
	l = route_login_find(other(&bed), SPAN("x@b.example"));
	NEED(l != NULL);
	CHECK_SPAN("bee", auth_credential_user(l->credential));
	CHECK(route_login_find(other(&bed), SPAN("x@c.example")) == NULL);
	CHECK(route_login_find(other(&bed), SPAN("")) == NULL);
	bed_close(&bed);
}

static void tokens_are_shared(void)
{
	struct config_bed bed;

	begin(&bed);
	bed_need(
		&bed, HEAD LISTENER
		"local m365 = { provider = \"microsoft\", tenant = \"example.org\", client_id = \"c1\", client_secret = secret \"app\" }\n"
		"route \"a.example\" { via = \"[a.example]\", auth = { user = \"a\", token = m365 } }\n"
		"route \"b.example\" { via = \"[b.example]\", auth = { user = \"b\", token = m365 } }\n"
		"route \"c.example\" { via = \"[c.example]\", auth = { user = \"c\", token = { provider = \"google\", client_id = \"g\",\n"
		"  client_secret = secret \"app\", refresh_token = secret \"refresh\" } } }\n");
	const struct route *a = route_find(&bed.cfg->routes, SPAN("a.example")),
			   *b = route_find(&bed.cfg->routes, SPAN("b.example")),
			   *c = route_find(&bed.cfg->routes, SPAN("c.example"));
	NEED(a->auth && b->auth && c->auth);
	CHECK(auth_credential_token(a->auth) != NULL);
	CHECK(auth_credential_token(a->auth) == auth_credential_token(b->auth));
	CHECK(auth_credential_token(a->auth) != auth_credential_token(c->auth));
	bed_close(&bed);
}

static void a_reload_keeps_tokens(void)
{
	static const char text[] = HEAD LISTENER ROUTE
		" auth = { user = \"a\", token = { url = \"https://login.example.net/token\", client_id = \"c\", client_secret = secret \"app\" "
		"} } }\n";
	struct config_bed bed;

	begin(&bed);
	bed_need(&bed, text);
	struct config *before = config_ref(bed.cfg);
	bed_need(&bed, text);
	CHECK(auth_credential_token(before->routes.other->auth) != auth_credential_token(other(&bed)->auth));
	config_inherit(bed.cfg, before);
	CHECK(auth_credential_token(before->routes.other->auth) == auth_credential_token(other(&bed)->auth));
	config_unref(&before);
	bed_close(&bed);
}

struct told {
	int n, last;
	char text[200];
};

static void hear(void *arg, struct span name, int result, const char *text)
{
	struct told *t = arg;

	t->n++;
	t->last = result;
	snprintf(t->text, sizeof t->text, "%.*s: %s", SPAN_ARG(name), text);
}

static void files_that_change(void)
{
	struct config_bed bed;
	struct told t = { 0 };
	char path[BED_PATH_MAX];

	begin(&bed);
	bed_need(&bed,
		 HEAD LISTENER ROUTE " auth = { user = \"relay\", password = secret \"upstream\" } }\n");
	config_refresh_secrets(bed.cfg, hear, &t);
	CHECK_INT(0, t.n);
	snprintf(path, sizeof path, "%s/secrets/upstream", bed.dir);
	NEED(unlink(path) == 0);
	config_refresh_secrets(bed.cfg, hear, &t);
	CHECK_INT(1, t.n);
	CHECK_INT(-ERR_NOTFOUND, t.last);
	CHECK(strstr(t.text, "secrets/upstream") != NULL);
	put(&bed, "secrets/upstream", "another\n", 0600);
	config_refresh_secrets(bed.cfg, hear, &t);
	CHECK_INT(2, t.n);
	CHECK_INT(1, t.last);
	bed_close(&bed);
}

static void places_of_secrets(void)
{
	struct config_bed bed;
	char dir[BED_PATH_MAX];

	begin(&bed);
	bed_dir(&bed, "elsewhere");
	put(&bed, "elsewhere/only-there", "1\n", 0600);
	/* secrets_dir may come behind the secret that it is for */
	bed_need(
		&bed, HEAD LISTENER ROUTE
		" auth = { user = \"relay\", password = secret \"only-there\" } }\nsecrets_dir = \"elsewhere\"\n");

	bed_dir(&bed, "systemd");
	put(&bed, "systemd/credential", "2\n", 0600);
	snprintf(dir, sizeof dir, "%s/systemd", bed.dir);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	bed_need(&bed,
		 HEAD LISTENER ROUTE " auth = { user = \"relay\", password = secret \"credential\" } }\n");
	unsetenv("CREDENTIALS_DIRECTORY");

	setenv("POSTERN_SECRET_UP_STREAM", "3", 1);
	bed_need(&bed,
		 HEAD LISTENER ROUTE " auth = { user = \"relay\", password = secret \"up.stream\" } }\n");
	unsetenv("POSTERN_SECRET_UP_STREAM");
	bed_close(&bed);
}

struct mistake {
	const char *text;
	unsigned line;
	bool warning;
	const char *says;
};

static const struct mistake mistakes[] = {
	{ ROUTE " auth = { user = \"u\",\n password = secret \"missing\" } }\n", 5, false,
	  "secret \"missing\": there is neither the environment variable POSTERN_SECRET_MISSING nor the file secrets/missing" },
	{ ROUTE " auth = { user = \"u\",\n password = secret \"empty\" } }\n", 5, false,
	  "secrets/empty is empty" },
	{ ROUTE " auth = { user = \"u\",\n password = secret \"open\" } }\n", 5, true,
	  "secret \"open\": everybody may read" },
	{ ROUTE " auth = { user = \"u\",\n password = \"in-the-clear\" } }\n", 5, false,
	  "is to be secret \"name\"" },
	{ ROUTE " auth = { password = secret \"upstream\" } }\n", 4, false, "user is missing" },
	{ ROUTE " auth = { user = \"u\" } }\n", 4, false, "nothing to log in with" },
	{ ROUTE " auth = \"u:p\" }\n", 4, false, "auth: \"u:p\" is no table" },
	{ ROUTE " auth = { user = \"u\", pasword = secret \"upstream\" } }\n", 4, false,
	  "did you mean password?" },
	{ ROUTE " auth = { user = \"u\", password = secret \"upstream\", mechanisms = \"CRAM-MD5\" } }\n", 4,
	  false, "\"CRAM-MD5\" is none of" },
	{ ROUTE " auth = { user = \"u\", password = secret \"upstream\", mechanisms = \"XOAUTH2\" } }\n", 4,
	  false, "none of the mechanisms can work" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { provider = \"microsoft\", client_id = \"c\", client_secret = secret \"app\" } } }\n",
	  5, false, "token.tenant is missing" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { provider = \"microsoft\", tenant = \"a/b\", client_id = \"c\", client_secret = secret "
	  "\"app\" } } }\n",
	  5, false, "neither an id nor a domain" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { provider = \"google\", client_id = \"c\", client_secret = secret \"app\" } } }\n",
	  5, false, "token.refresh_token is missing" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { client_id = \"c\", client_secret = secret \"app\" } } }\n",
	  5, false, "token.url is missing" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { url = \"http://a.example/\", client_id = \"c\", client_secret = secret \"app\" } } }\n",
	  5, false, "begin with https://" },
	{ ROUTE " auth = { user = \"u\",\n token = { url = \"https://a.example/\", client_id = \"c\" } } }\n",
	  5, false, "token.client_secret is missing" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { url = \"https://a.example/\", client_id = \"c\", refresh_token = secret \"refresh\" } } }\n",
	  5, true, "kept in memory and lost with a restart" },
	{ ROUTE
	  " auth = { user = \"u\",\n token = { url = \"https://a.example/\", client_id = \"c\", client_secret = secret \"app\",\n"
	  " keep_refresh_token = true } } }\n",
	  5, false, "no file of a refresh token" },
	{ ROUTE
	  " auth = { user = \"u\", password = secret \"upstream\",\n token = { url = \"https://a.example/\", client_id = \"c\",\n"
	  " client_secret = secret \"app\" } } }\n",
	  4, false, "a password and a token" },
	{ ROUTE " auth = { gssapi = { principal = \"relay@EXAMPLE.ORG\" } } }\n", 4, false,
	  "give keytab or ccache" },
	{ ROUTE " auth_by_sender = { { user = \"u\", password = secret \"upstream\" } } }\n", 4, false,
	  "is no domain name" },
	{ ROUTE " auth_by_sender = {\n [\"a.example\"] = \"u\" } }\n", 5, false,
	  "of \"a.example\" is no table" },
	{ ROUTE " auth_by_sender = {\n [\"a.example\"] = {\n user = \"u\" } } }\n", 5, false,
	  "nothing to log in with" },
};

static void mistakes_are_said_without_secrets(void)
{
	static const char *const secrets[] = { "xyzzy", "app-secret", "seen-by-all", "refresh-token",
					       "in-the-clear" };
	char text[2000];

	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		const struct mistake *m = &mistakes[i];
		struct config_bed bed;
		struct buf out = BUF_INIT(1 << 20);
		bool found = false;
		begin(&bed);
		snprintf(text, sizeof text, HEAD LISTENER "%s", m->text);
		const int r = bed_load(&bed, text);
		CHECK_INT(m->warning ? 0 : -ERR_INVAL, r);
		for (size_t n = 0; n < bed.problems.n; n++) {
			const struct config_problem *p = &bed.problems.v[n];
			found |= p->line == m->line && p->warning == m->warning &&
				 span_find(p->text, span_of(m->says)) >= 0;
		}
		config_problems_write(&bed.problems, &out);
		if (!found)
			FAIL("%s: expected line %u: %s; got:\n%s", m->text, m->line, m->says, buf_cstr(&out));
		for (size_t n = 0; n < sizeof secrets / sizeof *secrets; n++)
			CHECK(strstr(buf_cstr(&out), secrets[n]) == NULL);
		buf_free(&out);
		bed_close(&bed);
	}
}

TEST_MAIN(TEST(a_password), TEST(by_the_senders_domain), TEST(tokens_are_shared), TEST(a_reload_keeps_tokens),
	  TEST(files_that_change), TEST(places_of_secrets), TEST(mistakes_are_said_without_secrets))
