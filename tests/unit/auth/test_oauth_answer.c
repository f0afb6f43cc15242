/* What token endpoints say, in the shapes that Microsoft and Google have, and what is made of it. */
#include "auth/auth_oauth_answer.h"

#include "test.h"

static struct auth_oauth_answer a;

static int parse(const char *json)
{
	auth_oauth_answer_deinit(&a);
	a = (struct auth_oauth_answer){ 0 };
	return auth_oauth_answer_parse(span_of(json), &a);
}

static void tokens(void)
{
	CHECK_INT(0, parse("{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,"
			   "\"access_token\":\"eyJ0.a_b-c\"}"));
	CHECK_SPAN("eyJ0.a_b-c", secret_span(&a.access));
	CHECK_SPAN("", secret_span(&a.refresh));
	CHECK_INT(3599, a.expires_s);
	CHECK(auth_oauth_answer_is_good(&a, 200));
	CHECK(!auth_oauth_answer_is_good(&a, 400));

	CHECK_INT(0, parse("{\"access_token\":\"t\\u006f\",\"refresh_token\":\"r2\",\"expires_in\":\"3600\","
			   "\"token_type\":\"bearer\",\"scope\":[\"a\",{\"access_token\":\"inner\"}]}"));
	CHECK_SPAN("to", secret_span(&a.access));
	CHECK_SPAN("r2", secret_span(&a.refresh));
	CHECK_INT(3600, a.expires_s);
	CHECK(auth_oauth_answer_is_good(&a, 200));

	CHECK_INT(0, parse("{\"access_token\":\"t\"}"));
	CHECK_INT(-1, a.expires_s);
	CHECK(auth_oauth_answer_is_good(&a, 200));
	CHECK_INT(0, parse("{\"access_token\":\"t\",\"expires_in\":-5}"));
	CHECK_INT(-1, a.expires_s);
	CHECK_INT(0, parse("{\"access_token\":\"t\",\"expires_in\":1e300}"));
	CHECK_INT(-1, a.expires_s);
	/* What would break the line it is for. */
	CHECK_INT(0, parse("{\"access_token\":\"a b\"}"));
	CHECK(!auth_oauth_answer_is_good(&a, 200));
	CHECK_INT(0, parse("{\"access_token\":\"a\\u0001b\"}"));
	CHECK(!auth_oauth_answer_is_good(&a, 200));
	CHECK_INT(0, parse("{\"access_token\":\"t\",\"token_type\":\"mac\"}"));
	CHECK(!auth_oauth_answer_is_good(&a, 200));
	auth_oauth_answer_deinit(&a);
}

static void no_tokens(void)
{
	char long_one[AUTH_OAUTH_TOKEN_MAX + 100];
	struct buf text = BUF_INIT(AUTH_OAUTH_ANSWER_MAX * 2);

	CHECK_INT(-ERR_SYNTAX, parse(""));
	CHECK_INT(-ERR_SYNTAX, parse("<html>"));
	CHECK_INT(-ERR_SYNTAX, parse("[\"access_token\"]"));
	CHECK_INT(-ERR_SYNTAX, parse("\"access_token\""));
	CHECK_INT(-ERR_SYNTAX, parse("{\"access_token\":\"t\""));
	CHECK_INT(0, parse("{}"));
	CHECK(!auth_oauth_answer_is_good(&a, 200));
	memset(long_one, 'x', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = 0;
	buf_addf(&text, "{\"access_token\":\"%s\"}", long_one);
	CHECK_INT(-ERR_TOOBIG, parse(buf_cstr(&text)));
	while (text.n <= AUTH_OAUTH_ANSWER_MAX)
		buf_add_str(&text, "          ");
	CHECK_INT(-ERR_TOOBIG, auth_oauth_answer_parse(buf_span(&text), &a));
	buf_free(&text);
}

struct said {
	enum auth_provider provider;
	unsigned status;
	const char *json; /* NULL: no JSON */
	bool permanent;
	const char *begins, *has;
};

static void words(void)
{
	static const struct said list[] = {
		{ AUTH_PROVIDER_MICROSOFT, 401,
		  "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided. Ensure the "
		  "secret being sent ...\",\"error_codes\":[7000215],\"trace_id\":\"x\"}",
		  true, "AADSTS7000215: ", "the secret's value, not its id" },
		{ AUTH_PROVIDER_MICROSOFT, 400,
		  "{\"error\":\"unauthorized_client\",\"error_description\":\"AADSTS700016: Application with identifier 'x' was not "
		  "found in the directory\"}",
		  true, "AADSTS700016: ", "client_id is not known in this tenant" },
		{ AUTH_PROVIDER_MICROSOFT, 400,
		  "{\"error\":\"invalid_request\",\"error_description\":\"AADSTS90002: Tenant 'x' not found.\"}",
		  true, "AADSTS90002: ", "no such tenant" },
		{ AUTH_PROVIDER_MICROSOFT, 401,
		  "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: The provided client secret keys are "
		  "expired.\"}",
		  true, "AADSTS7000222: ", "has expired" },
		{ AUTH_PROVIDER_MICROSOFT, 400,
		  "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS99999: Something\\r\\nnew. Trace\"}",
		  true, "invalid_grant: AADSTS99999: Something  new. Trace", "" },
		{ AUTH_PROVIDER_MICROSOFT, 503,
		  "{\"error\":\"temporarily_unavailable\",\"error_description\":\"AADSTS90033: A transient error\"}",
		  false, "AADSTS90033: ", "cannot do it now" },
		{ AUTH_PROVIDER_GOOGLE, 400,
		  "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}",
		  true, "invalid_grant: ", "get a new one" },
		{ AUTH_PROVIDER_GOOGLE, 401, "{\"error\":\"deleted_client\"}", true,
		  "deleted_client: ", "console" },
		{ AUTH_PROVIDER_GENERIC, 400, "{\"error\":\"invalid_scope\"}", true,
		  "invalid_scope: ", "scope" },
		{ AUTH_PROVIDER_GENERIC, 401, "{\"error\":\"invalid_client\"}", true,
		  "invalid_client: ", "basic = true" },
		{ AUTH_PROVIDER_GENERIC, 400, "{\"error\":\"odd_one\",\"error_description\":\"because\"}",
		  true, "odd_one: because", "" },
		{ AUTH_PROVIDER_GENERIC, 500, "{\"error\":\"odd_one\"}", false, "odd_one: ", "" },
		{ AUTH_PROVIDER_GENERIC, 400, "{\"error\":\"slow_down\"}", false, "slow_down: ", "" },
		{ AUTH_PROVIDER_GENERIC, 429, NULL, false, "the endpoint says 429", "" },
		{ AUTH_PROVIDER_GENERIC, 502, NULL, false, "the endpoint says 502", "" },
		{ AUTH_PROVIDER_GENERIC, 404, NULL, true, "the endpoint says 404", "is the URL right?" },
		{ AUTH_PROVIDER_GENERIC, 302, NULL, true, "the endpoint says 302", "elsewhere" },
		{ AUTH_PROVIDER_GENERIC, 200, NULL, true, "the endpoint answered without a token", "" },
		{ AUTH_PROVIDER_GENERIC, 200, "{\"access_token\":\"t\",\"token_type\":\"mac\"}", true,
		  "the endpoint gave a token", "" },
	};
	char why[AUTH_TOKEN_WHY_MAX];

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		const struct said *s = &list[i];
		auth_oauth_answer_deinit(&a);
		a = (struct auth_oauth_answer){ .expires_s = -1, .bearer = true };
		if (s->json)
			CHECK_INT(0, parse(s->json));
		CHECK(!auth_oauth_answer_is_good(&a, s->status));
		const bool permanent = auth_oauth_answer_explain(&a, s->status, s->provider, why, sizeof why);
		if (permanent != s->permanent)
			FAIL("case %zu: expected %s", i, s->permanent ? "permanent" : "temporary");
		if (strncmp(why, s->begins, strlen(s->begins)) != 0 || !strstr(why, s->has))
			FAIL("case %zu: expected \"%s...%s\", got \"%s\"", i, s->begins, s->has, why);
	}
	auth_oauth_answer_deinit(&a);
}

static void challenges(void)
{
	char why[160];

	auth_oauth_challenge_explain(
		SPAN("{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}"),
		why, sizeof why);
	CHECK(strstr(why, "status 400, it wants scope https://mail.google.com/") != NULL);
	auth_oauth_challenge_explain(SPAN("{\"status\":\"insufficient_scope\"}"), why, sizeof why);
	CHECK(strstr(why, "is scope right?") != NULL);
	auth_oauth_challenge_explain(
		SPAN("{\"status\":\"invalid_token\",\"openid-configuration\":\"https://x\"}"), why,
		sizeof why);
	CHECK(strstr(why, "SMTP AUTH") != NULL);
	auth_oauth_challenge_explain(SPAN("no JSON"), why, sizeof why);
	CHECK_STR("the server refuses the token", why);
	auth_oauth_challenge_explain(SPAN(""), why, sizeof why);
	CHECK_STR("the server refuses the token", why);
}

static void forms(void)
{
	struct buf b = BUF_INIT(200), small = BUF_INIT(10);

	CHECK(auth_oauth_form_add(&b, "scope", SPAN("https://outlook.office365.com/.default")));
	CHECK(auth_oauth_form_add(&b, "client_secret", SPAN("a~b c&d=\xc3\xa9+*-._")));
	CHECK_SPAN(
		"scope=https%3A%2F%2Foutlook.office365.com%2F.default&client_secret=a%7Eb+c%26d%3D%C3%A9%2B*-._",
		buf_span(&b));
	CHECK(!auth_oauth_form_add(&small, "scope", SPAN("too long for it")));
	buf_free(&b);
	buf_free(&small);
}

TEST_MAIN(TEST(tokens), TEST(no_tokens), TEST(words), TEST(challenges), TEST(forms))
