/* Every mistake is said with file and line, all of them at once. Those inside of policies are in test_config_policies.c. */
#include "config_bed.h"

#define HEAD "hostname = \"relay.example.org\"\n" /* line 1 */
#define LISTENER                                                                                             \
	"listener \"relay\" { bind = \"127.0.0.1:2525\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n"

struct mistake {
	const char *text;
	const char *file; /* NULL: the configuration */
	unsigned line;
	const char *says;
};

/* Texts begin with line 1. */
static const struct mistake mistakes[] = {
	/* the file */
	{ HEAD "listener \"relay\" { bind = }\n" LISTENER, NULL, 2, "unexpected symbol" },
	{ HEAD LISTENER "\nlocal x = nothing.at.all\n", NULL, 4, "nothing is not defined" },
	{ HEAD LISTENER "local x = {} ; local y = x.a.b\n", NULL, 3, "attempt to index" },
	{ HEAD LISTENER "while true do end\n", NULL, 3, "takes too long" },
	{ HEAD LISTENER "io.open(\"/etc/passwd\")\n", NULL, 3, "io is not defined" },
	{ HEAD LISTENER "error(\"stop here\")\n", NULL, 3, "stop here" },
	{ LISTENER, NULL, 1, "hostname is missing" },
	{ HEAD, NULL, 1, "no listener" },
	/* names */
	{ HEAD LISTENER "hostnam = \"x\"\n", NULL, 3, "hostnam is no option; did you mean hostname?" },
	{ HEAD LISTENER "campus = {}\n", NULL, 3, "a name of your own begins with local" },
	{ HEAD LISTENER "listener = 1\n", NULL, 3, "listener is a word of the language" },
	{ HEAD LISTENER "hostname = \"b.example.org\"\n", NULL, 3, "hostname is set twice, first in line 1" },
	{ HEAD LISTENER "log = {\n  levle = \"info\",\n}\n", NULL, 4,
	  "log.levle is no option; did you mean level?" },
	{ HEAD LISTENER "log = { \"info\" }\n", NULL, 3, "a value without a name" },
	{ HEAD
	  "listener \"relay\" {\n bind = \"127.0.0.1:25\",\n -- a comment, = { \"\n mesage_size = \"1MB\" }\n",
	  NULL, 5, "mesage_size is no option; did you mean message_size?" },
	/* types and bounds */
	{ "hostname = 7\n" LISTENER, NULL, 1, "hostname: 7 is no domain name" },
	{ "hostname = \"two words\"\n" LISTENER, NULL, 1, "\"two words\" is no domain name" },
	{ HEAD LISTENER "message_size = \"25XB\"\n", NULL, 3, "\"25XB\" is no size" },
	{ HEAD LISTENER "message_size = \"1KiB\"\n", NULL, 3, "1KiB is not between 64KiB and 4GiB" },
	{ HEAD LISTENER "workers = 0\n", NULL, 3, "workers: 0 is not between 1 and 256" },
	{ HEAD LISTENER "workers = 2.5\n", NULL, 3, "workers: 2.5 is no whole number" },
	{ HEAD LISTENER "help_url = \"help.example.org\"\n", NULL, 3, "is no http:// or https:// address" },
	{ HEAD LISTENER "notice_from = \"nobody\"\n", NULL, 3, "\"nobody\" is no mail address" },
	{ HEAD LISTENER "help_text = \"a\\nb\"\n", NULL, 3, "control character" },
	{ HEAD LISTENER "log = { level = \"loud\" }\n", NULL, 3, "log.level: \"loud\" is none of error" },
	{ HEAD LISTENER "log = { subject = \"yes\" }\n", NULL, 3, "is neither true nor false" },
	{ HEAD LISTENER "log = \"json\"\n", NULL, 3, "is no table; write log = { ... }" },
	{ HEAD LISTENER "dns = {\n timeout = \"soon\" }\n", NULL, 4,
	  "dns.timeout: \"soon\" is no length of time" },
	{ HEAD LISTENER "dns = { timeout = \"1h\" }\n", NULL, 3, "1h is not between 100ms and 30s" },
	{ HEAD LISTENER "dns = { servers = {\n \"192.0.2.53\",\n \"nameserver\" } }\n", NULL, 5,
	  "\"nameserver\" is no address" },
	{ HEAD LISTENER "queue = { retry = \"5m,x\" }\n", NULL, 3,
	  "queue.retry: \"x\" is no length of time" },
	{ HEAD LISTENER "queue = { retry = \"\" }\n", NULL, 3, "queue.retry: \"\" is no length of time" },
	{ HEAD LISTENER "queue = { delay_notice = \"4h,1h\" }\n", NULL, 3,
	  "1h is not longer than what stands before it" },
	{ HEAD LISTENER "queue = { delay_notice = \"1h,2h,3h,4h,5h\" }\n", NULL, 3, "has 5; at most 4" },
	/* what comes later */
	{ HEAD LISTENER "state = redis { url = \"redis://redis\" }\n", NULL, 3,
	  "keeps its state in the node itself" },
	{ HEAD LISTENER "route \"*\" { tls = \"verfy\" }\n", NULL, 3, "tls.level: \"verfy\" is none of off" },
	{ HEAD LISTENER "route \"*\" { tls = 5 }\n", NULL, 3, "5 is neither a word nor a table" },
	{ HEAD LISTENER "route \"*\" {\n tls = { level = \"verify\",\n ca = \"/nowhere/ca.pem\" } }\n", NULL,
	  3, "/nowhere/ca.pem" },
	{ HEAD LISTENER "route \"*\" { tls = { level = \"verify\",\n names = { \"*.example.org\" } } }\n",
	  NULL, 4, "is no name that a certificate could have" },
	{ HEAD LISTENER "route \"*\" { tls = { level = \"encrypt\", names = \"a.example\" } }\n", NULL, 3,
	  "names are compared at the levels verify and dane alone" },
	{ HEAD LISTENER "route \"*\" { tls = { level = \"may\", implicit = true } }\n", NULL, 3,
	  "implicit wants the level encrypt or verify" },
	{ HEAD LISTENER "route \"*\" { tls = { min = \"1.0\" } }\n", NULL, 3, "security level 0" },
	{ HEAD LISTENER "route \"*\" { tls = \"dane\" }\n", NULL, 3, "dns.trust_ad" },
	{ HEAD LISTENER
	  "route \"*\" { tls = \"encrypt\",\n auth = { user = \"u\", gssapi = { keytab = \"k\" } } }\n",
	  NULL, 3, "the password could go to anybody" },
	{ HEAD LISTENER
	  "route \"*\" {\n via = \"[a.example]\",\n auth = { user = \"u\", password = \"p\" } }\n",
	  NULL, 5, "is to be secret \"name\"" },
	/* listeners */
	{ HEAD "listener \"l\" { policies = {} }\n", NULL, 2, "bind is missing" },
	{ HEAD "listener \"l\" { bind = {}, policies = {} }\n", NULL, 2, "bind: is empty" },
	{ HEAD "listener \"l\" { bind = \"localhost:25\", policies = {} }\n", NULL, 2,
	  "\"localhost:25\" is no address with a port" },
	{ HEAD LISTENER "listener \"b\" {\n bind = \"127.0.0.1:2525\", policies = {} }\n", NULL, 4,
	  "127.0.0.1:2525 is taken by listener \"relay\"" },
	{ HEAD LISTENER "listener \"relay\" { bind = \"127.0.0.1:26\", policies = {} }\n", NULL, 3,
	  "is there twice, first in line 2" },
	{ HEAD LISTENER "listener \"b\"\n", NULL, 3, "has no { ... } behind it" },
	{ HEAD LISTENER "listener { bind = \"127.0.0.1:26\" }\n", NULL, 3,
	  "comes first: listener \"name\" { ... }" },
	{ HEAD LISTENER "listener \"b\" \"c\"\n", NULL, 3, "\"c\" is no table" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n profile = \"copier\" }\nprofile \"copiers\" {}\n",
	  NULL, 3, "there is no profile \"copier\"; did you mean copiers?" },
	{ HEAD "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n clients = {\n total = 0 } }\n",
	  NULL, 4, "clients.total: 0 is not" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n proxy_from = { \"10.0.0.0/8\",\n \"10.0.0.0/33\" } }\n",
	  NULL, 4, "\"10.0.0.0/33\" is no network" },
	{ HEAD "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n hide = { \"DSM\" } }\n", NULL, 3,
	  "\"DSM\" is none of" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n etrn_from = file \"networks.txt\" }\n",
	  "networks.txt", 3, "\"10.0.0.300\" is no network" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n etrn_from = file \"missing.txt\" }\n",
	  NULL, 3, "No such file" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n greeting = env \"POSTERN_TEST_UNSET\" }\n",
	  NULL, 3, "is not set" },
	{ HEAD LISTENER "local s = secret \"nothing\"\n", NULL, 3,
	  "neither the environment variable POSTERN_SECRET_NOTHING nor the file secrets/nothing" },
	/* policies */
	{ HEAD "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n \"helo_characters\" } }\n", NULL, 3,
	  "is a text; write use \"helo_characters\"" },
	{ HEAD "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"../x\" {} } }\n", NULL, 3,
	  "is no name of a policy" },
	{ HEAD "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" \"&\" } }\n",
	  NULL, 3, "is no table of options" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" { forbidden = print or \"&\" } } }\n",
	  NULL, 3, "print is not defined" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" { forbidden = pairs } } }\n",
	  NULL, 3, "a function cannot be an option of a policy" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" {}:canary {} } }\n",
	  NULL, 3, "for whom?" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" {}:canary { share = 101 } } }\n",
	  NULL, 3, "share 101 is not between 0 and 100" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"helo_characters\" {}:canary { share = 5, ends = \"2026-13-01\" } } }\n",
	  NULL, 3, "is no time" },
	/* an open relay */
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"relay_networks\" { networks = \"0.0.0.0/0\" } } }\n",
	  NULL, 3, "an open relay" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"relay_networks\" { networks = { \"::/0\" } } } }\n",
	  NULL, 3, "an open relay" },
	{ HEAD
	  "listener \"l\" { bind = \"127.0.0.1:25\", policies = {\n use \"relay_networks\" { networks = { \"0.0.0.0/1\" } },\n"
	  " use \"relay_networks\" { networks = \"# half\\n128.0.0.0/1\\n\" } } }\n",
	  NULL, 4, "an open relay" },
	/* routes */
	{ HEAD LISTENER "route \"a b\" {}\n", NULL, 3, "\"a b\" is no domain" },
	{ HEAD LISTENER "route \"a.example\" {}\nroute {\n \"b.example\", \"a.example\" } {}\n", NULL, 4,
	  "has a route already, in line 3" },
	{ HEAD LISTENER "route \"*\" {\n via = \"smtp.example.org\" }\n", NULL, 4,
	  "write \"[smtp.example.org]:587\", with the brackets" },
	{ HEAD LISTENER "route \"*\" { via = \"[smtp.example.org]:99999\" }\n", NULL, 3,
	  "has no port between" },
	{ HEAD LISTENER "route \"*\" { via = { { host = \"[a.example]\", weight = 0 } } }\n", NULL, 3,
	  "weight 0 is not between" },
	{ HEAD LISTENER "route \"*\" { rate = \"fast\" }\n", NULL, 3, "\"fast\" is no rate" },
	{ HEAD LISTENER "route \"*\" { source = { \"192.0.2.1\", \"192.0.2.2\" } }\n", NULL, 3,
	  "two addresses of IPv4" },
	{ HEAD LISTENER "route \"*\" { families = \"ipv4\" }\n", NULL, 3, "\"ipv4\" is none of" },
	{ HEAD LISTENER "route \"a.example\" { name = \"x\" }\nroute \"b.example\" { name = \"x\" }\n", NULL,
	  4, "the name \"x\" is taken" },
	{ HEAD LISTENER "route {} {}\n", NULL, 3, "a route without a domain wants a name" },
	/* profiles */
	{ HEAD LISTENER "profile \"p\" { lax = {\n \"spaces\" } }\n", NULL, 4, "did you mean space?" },
	{ HEAD LISTENER "profile \"p\" {}\nprofile \"p\" {}\n", NULL, 4, "is there twice, first in line 3" },
};

static const struct config_problem *find(const struct config_bed *bed, const struct mistake *m)
{
	char file[BED_PATH_MAX + 32];

	snprintf(file, sizeof file, "%s/%s", bed->dir, m->file ? m->file : "postern.lua");
	for (size_t i = 0; i < bed->problems.n; i++) {
		const struct config_problem *p = &bed->problems.v[i];
		if (!p->warning && span_eq(p->file, span_of(file)) && p->line == m->line &&
		    span_find(p->text, span_of(m->says)) >= 0)
			return p;
	}
	return NULL;
}

static void each_mistake_is_found_at_its_line(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_write(&bed, "networks.txt", "# inside\n10.0.0.0/8\n10.0.0.300\n");
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		const struct mistake *m = &mistakes[i];
		const int r = bed_load(&bed, m->text);
		if (r < 0 && !bed.cfg && find(&bed, m))
			continue;
		FAIL("mistake %zu: expected line %u: ...%s...; it is\n%s", i, m->line, m->says, m->text);
		printf("and the problems are\n");
		bed_print(&bed);
	}
	bed_close(&bed);
}

/* One mistake does not bring others with it. */
static void a_mistake_is_said_once(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_write(&bed, "networks.txt", "# inside\n10.0.0.0/8\n10.0.0.300\n");
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		bed_load(&bed, mistakes[i].text);
		if (bed.problems.errors != 1) {
			FAIL("mistake %zu: expected one problem, found %zu; it is\n%s", i,
			     bed.problems.errors, mistakes[i].text);
			bed_print(&bed);
		}
	}
	bed_close(&bed);
}

static void all_mistakes_are_said_in_order(void)
{
	struct config_bed bed;
	const char text[] = "hostname = \"two words\"\n"
			    "workers = 0\n"
			    "listener \"relay\" {\n"
			    "  bind = { \"127.0.0.1:25\", \"127.0.0.1:25\", \"x\" },\n"
			    "  policies = {},\n"
			    "  message_size = true,\n"
			    "}\n"
			    "route \"*\" { via = 5 }\n";
	static const unsigned lines[] = { 1, 2, 4, 4, 6, 8 };

	bed_open(&bed);
	CHECK_INT(-ERR_INVAL, bed_load(&bed, text));
	CHECK_INT(sizeof lines / sizeof *lines, bed.problems.errors);
	for (size_t i = 0; i < bed.problems.n && i < sizeof lines / sizeof *lines; i++)
		CHECK_INT(lines[i], bed.problems.v[i].line);
	bed_close(&bed);
}

static void after_an_error_nothing_is_called_missing(void)
{
	struct config_bed bed;

	bed_open(&bed);
	CHECK_INT(-ERR_INVAL, bed_load(&bed, "workers = 0\nerror(\"stop\")\n"));
	NEED(bed.problems.n == 2);
	CHECK_INT(1, bed.problems.v[0].line);
	CHECK_INT(2, bed.problems.v[1].line);
	bed_close(&bed);
}

static void an_acknowledged_relay_is_let_through(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed,
		 HEAD "listener \"l\" { bind = \"127.0.0.1:25\", relay_for_everyone = \"acknowledged\",\n"
		      "policies = { use \"relay_networks\" { networks = \"0.0.0.0/0\" } } }\n");
	/* What only observes relays nothing. */
	bed_need(&bed,
		 HEAD "listener \"l\" { bind = \"127.0.0.1:25\",\n"
		      "policies = { use \"relay_networks\" { networks = \"0.0.0.0/0\" }:observe() } }\n");
	bed_close(&bed);
}

static void warnings_do_not_refuse(void)
{
	struct config_bed bed;

	bed_open(&bed);
	CHECK_INT(
		0,
		bed_load(&bed, HEAD
			 "listener \"l\" { bind = \"127.0.0.1:25\" }\nspool = { free_alarm = \"1MiB\" }\n"));
	CHECK(bed.cfg != NULL);
	CHECK_INT(0, bed.problems.errors);
	NEED(bed.problems.n == 2);
	CHECK(bed.problems.v[0].warning);
	CHECK_INT(2, bed.problems.v[0].line);
	CHECK(span_find(bed.problems.v[0].text, SPAN("no policies")) >= 0);
	CHECK_INT(3, bed.problems.v[1].line);
	bed_close(&bed);
}

static void a_secret_is_never_said(void)
{
	struct config_bed bed;
	struct buf out = BUF_INIT(65536);

	bed_open(&bed);
	bed_dir(&bed, "secrets");
	bed_write(&bed, "secrets/upstream", "hunter2\n");
	CHECK(bed_load(
		      &bed, HEAD LISTENER
		      "route \"*\" { via = secret \"upstream\", auth = secret \"upstream\" }\n"
		      "help_text = secret \"upstream\"\nlocal s = \"\" .. tostring(secret \"upstream\")\nerror(s)\n") <
	      0);
	config_problems_write(&bed.problems, &out);
	CHECK(strstr(buf_cstr(&out), "secret"));
	CHECK(!strstr(buf_cstr(&out), "hunter2"));
	buf_free(&out);
	bed_close(&bed);
}

static void check_writes_lines_and_json(void)
{
	struct config_bed bed;
	struct buf out = BUF_INIT(65536);
	char want[4 * BED_PATH_MAX];

	bed_open(&bed);
	bed_write(&bed, "postern.lua", HEAD LISTENER "workers = 0\n");
	CHECK_INT(1, config_check(bed.config, false, &out));
	snprintf(want, sizeof want, "%s:3: workers: 0 is not between 1 and 256\n%s: 1 problem\n", bed.config,
		 bed.config);
	CHECK_STR(want, buf_cstr(&out));
	buf_reset(&out);
	CHECK_INT(1, config_check(bed.config, true, &out));
	snprintf(
		want, sizeof want,
		"{\"file\":\"%s\",\"ok\":false,\"problems\":[{\"file\":\"%s\",\"line\":3,\"warning\":false,\"text\":\"workers: 0 is not "
		"between 1 and 256\"}],\"dropped\":0}\n",
		bed.config, bed.config);
	CHECK_STR(want, buf_cstr(&out));
	buf_reset(&out);
	bed_write(&bed, "postern.lua", HEAD LISTENER);
	CHECK_INT(0, config_check(bed.config, false, &out));
	snprintf(want, sizeof want, "%s: good\n", bed.config);
	CHECK_STR(want, buf_cstr(&out));
	buf_reset(&out);
	CHECK_INT(1, config_check("/nowhere/postern.lua", false, &out));
	CHECK(strstr(buf_cstr(&out), "No such file"));
	buf_free(&out);
	bed_close(&bed);
}

TEST_MAIN(TEST(each_mistake_is_found_at_its_line), TEST(a_mistake_is_said_once),
	  TEST(all_mistakes_are_said_in_order), TEST(after_an_error_nothing_is_called_missing),
	  TEST(an_acknowledged_relay_is_let_through), TEST(warnings_do_not_refuse),
	  TEST(a_secret_is_never_said), TEST(check_writes_lines_and_json))
