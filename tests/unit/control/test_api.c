/* The endpoints are those of schema/admin_api.lua, with its parameters; each answers over a real socket; what is not among them is
 * refused. */
#include <lauxlib.h>
#include <lualib.h>
#include <time.h>

#include "control_bed.h"
#include "policy/embedded.h"

/* The tables of the schema, as text: "METHOD PATH param param ...", a line each, sorted. */
static const char to_text[] = "local api = ...\n"
			      "local lines = {}\n"
			      "for _, e in ipairs(api.endpoints) do\n"
			      "  for _, p in ipairs(e.params) do assert(api.params[p], p) end\n"
			      "  assert(type(e[3]) == 'string' and e.answer[200], e[2])\n"
			      "  table.sort(e.params)\n"
			      "  lines[#lines + 1] = table.concat({ e[1], e[2], unpack(e.params) }, ' ')\n"
			      "end\n"
			      "table.sort(lines)\n"
			      "return table.concat(lines, '\\n')\n";

static const char sort_lines[] = "local lines = {}\n"
				 "for line in (...):gmatch('[^\\n]+') do\n"
				 "  local words = {}\n"
				 "  for w in line:gmatch('%S+') do words[#words + 1] = w end\n"
				 "  local first, second = table.remove(words, 1), table.remove(words, 1)\n"
				 "  table.sort(words)\n"
				 "  lines[#lines + 1] = table.concat({ first, second, unpack(words) }, ' ')\n"
				 "end\n"
				 "table.sort(lines)\n"
				 "return table.concat(lines, '\\n')\n";

static void push_result(lua_State *L, const char *chunk)
{
	NEED(luaL_loadstring(L, chunk) == 0);
	lua_insert(L, -2);
	if (lua_pcall(L, 1, 1, 0) != 0)
		FAIL("%s", lua_tostring(L, -1));
}

static void the_schema_lists_what_is_served(void)
{
	lua_State *L = luaL_newstate();
	struct buf served = BUF_INIT(100000);
	struct span text;
	char *owned = NULL;
	size_t n;
	const struct control_endpoint *e = control_endpoints(&n);

	NEED(L != NULL);
	luaL_openlibs(L);
	NEED(embedded_load("schema/admin_api.lua", &text, &owned) == 0);
	NEED(luaL_loadbuffer(L, text.p, text.n, "admin_api") == 0 && lua_pcall(L, 0, 1, 0) == 0);
	push_result(L, to_text);
	for (size_t i = 0; i < n; i++)
		buf_addf(&served, "%s %s %s\n", e[i].method, e[i].path, e[i].params);
	lua_pushlstring(L, served.p, served.n);
	push_result(L, sort_lines);
	CHECK_STR(lua_tostring(L, -2), lua_tostring(L, -1));
	lua_close(L);
	buf_free(&served);
	free(owned);
}

/* "{id}" in a path becomes an id. */
static void fill(const char *path, char *out, size_t size)
{
	const char *at = strstr(path, "{id}");

	if (at)
		snprintf(out, size, "%.*s%s%s", (int)(at - path), path, id_from_u64(5).s, at + 4);
	else
		snprintf(out, size, "%s", path);
}

static void every_endpoint_answers(void)
{
	struct bed b;
	size_t n;
	const struct control_endpoint *e = control_endpoints(&n);

	bed_open(&b);
	for (size_t i = 0; i < n; i++) {
		char target[200];
		fill(e[i].path, target, sizeof target);
		struct http_unix_answer a = bed_ask(&b, e[i].method, target);
		if (!a.status || a.status == 404 || a.status == 405)
			FAIL("%s %s: %u", e[i].method, target, a.status);
		buf_free(&a.body);
		const bool post = strcmp(e[i].method, "POST") == 0;
		bed_check(&b, post ? "PUT" : "POST", target, 405, "\"error\"");
		strncat(target, "?nonsense=1", sizeof target - strlen(target) - 1);
		bed_check(&b, e[i].method, target, 400, "nonsense");
	}
	bed_close(&b);
}

static void other_paths_are_refused(void)
{
	static const char *const paths[] = { "/",
					     "/v1",
					     "/v1/",
					     "/v1/nothing",
					     "/v2/status",
					     "/v1/queue/",
					     "/v1/queue/x/y",
					     "/metrics/x",
					     "/health",
					     "/v1/status/",
					     "/v1/queue/no",
					     "/v1/queue//export",
					     "//v1/status",
					     "/v1/queue/import/x" };
	struct bed b;

	bed_open(&b);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		bed_check(&b, "GET", paths[i], 404, "\"error\"");
	bed_close(&b);
}

static void answers_say_what_the_server_does(void)
{
	struct bed b;

	bed_open(&b);
	bed_check(&b, "GET", "/v1/status", 200, "\"generation\":7,\"started_at\":1,\"complete\":true");
	bed_check(&b, "GET", "/v1/sessions", 200, "\"workers\":[[],[],[]]");
	bed_check(&b, "GET", "/health/live", 200, "{\"ok\":true}");
	b.not_ready = true;
	bed_check(&b, "GET", "/health/ready", 503, "worker 1 does not serve");
	metric_add(&b.metrics[0], METRIC_COMMANDS_TOTAL, 2);
	metric_add(&b.metrics[2], METRIC_COMMANDS_TOTAL, 3);
	bed_check(&b, "GET", "/metrics", 200, "postern_commands_total 5\n");
	bed_check(&b, "GET", "/metrics", 200, "postern_bugs_total 0\n");
	bed_check(&b, "POST", "/v1/reload", 200, "\"reloaded\":true,\"generation\":7,\"problems\":[]");
	b.reload_fails = true;
	bed_check(&b, "POST", "/v1/reload", 422, "\"problems\":[{\"text\":\"no\"}]");
	CHECK_INT(2, b.reloads);
	bed_check(&b, "POST", "/v1/shutdown", 200, "\"stopping\":true");
	control_stop(&b.control); /* it is told when the answer is out */
	CHECK_INT(1, b.shutdowns);
	bed_close(&b);
}

static void orders_want_a_selector_and_a_reason(void)
{
	struct bed b;

	bed_open(&b);
	bed_check(&b, "POST", "/v1/queue/retry", 400, "nothing is selected");
	bed_check(&b, "POST", "/v1/queue/remove?reason=x", 400, "nothing is selected");
	bed_check(&b, "POST", "/v1/queue/remove?reason=x&to=", 400, "to: it is empty");
	bed_check(&b, "POST", "/v1/queue/hold?to=a%40b", 400, "a reason is wanted");
	bed_check(&b, "POST", "/v1/queue/bounce?all=1&reason=%20", 400, "a reason is wanted");
	bed_check(&b, "POST", "/v1/queue/retry?id=short", 400, "no queue id");
	bed_check(&b, "POST", "/v1/queue/retry?status=ready,lost", 400, "\\\"lost\\\" is none of");
	bed_check(&b, "POST", "/v1/queue/retry?older_than=2h", 400, "a number of seconds");
	bed_check(&b, "GET", "/v1/queue?limit=0", 400, "limit");
	bed_check(&b, "GET", "/v1/queue?limit=10001", 400, "up to 10000");
	bed_check(&b, "POST", "/v1/queue/import", 400, "the body is empty");
	/* These workers have no queue, as while they start: what was not asked is said to be missing. */
	bed_check(&b, "POST", "/v1/queue/retry?all=1", 504, "\"complete\":false");
	bed_check(&b, "GET", "/v1/queue", 200,
		  "\"messages\":[],\"more\":false,\"unreadable\":0,\"complete\":false");
	bed_close(&b);
}

static void bans_are_listed_and_lifted(void)
{
	const struct bans_rules rules = {
		.failures_max = 1, .user_failures_max = 1, .find_us = 60000000, .ban_us = INT64_C(3600000000)
	};
	struct ip_addr four, six;
	struct timespec now;
	struct bed b;

	bed_open(&b);
	bed_check(&b, "GET", "/v1/bans", 200, "{\"bans\":[],\"more\":0}");
	NEED(ip_parse(SPAN("192.0.2.1"), &four) && ip_parse(SPAN("2001:db8:1:2::9"), &six));
	clock_gettime(CLOCK_MONOTONIC, &now);
	const int64_t now_us = (int64_t)now.tv_sec * 1000000;
	bans_failed(b.bans, &rules, &four, SPAN(""), NULL, now_us, NULL);
	bans_failed(b.bans, &rules, &six, SPAN("Copier7@example.edu"), NULL, now_us, NULL);
	bed_check(&b, "GET", "/v1/bans", 200,
		  "{\"kind\":\"address\",\"client\":\"192.0.2.1\",\"failures\":1,\"since\":");
	bed_check(&b, "GET", "/v1/bans", 200, "\"client\":\"2001:db8:1:2::/64\"");
	bed_check(&b, "GET", "/v1/bans", 200, "\"user\":\"copier7@example.edu\"");
	bed_check(&b, "POST", "/v1/bans/remove", 400, "whose ban");
	bed_check(&b, "POST", "/v1/bans/remove?client=192.0.2.1&user=u", 400, "whose ban");
	bed_check(&b, "POST", "/v1/bans/remove?client=192.0.2.0/24", 400, "no address");
	bed_check(&b, "POST", "/v1/bans/remove?client=192.0.2.2", 404, "192.0.2.2 is not banned");
	bed_check(&b, "POST", "/v1/bans/remove?client=192.0.2.1&reason=a%20test", 200, "{\"removed\":1}");
	bed_check(&b, "POST", "/v1/bans/remove?user=COPIER7%40example.edu", 200, "{\"removed\":1}");
	bed_check(&b, "POST", "/v1/bans/remove?all=1", 200, "{\"removed\":1}");
	bed_check(&b, "POST", "/v1/bans/remove?all=1", 200, "{\"removed\":0}");
	control_stop(&b.control);
	CHECK(span_find(buf_span(&b.lines), SPAN("\"reason\":\"a test\"")) >= 0);
	bed_close(&b);
}

static void how_tls_fared_is_reported(void)
{
	struct bed b;
	struct timespec now;

	bed_open(&b);
	clock_gettime(CLOCK_REALTIME, &now);
	const struct tls_report_session s = { .wall_us = (int64_t)now.tv_sec * 1000000,
					      .domain = SPAN("example.org"),
					      .result = TLS_REPORT_NO_STARTTLS };
	tls_report_add(b.tls_report, &s);
	bed_check(&b, "GET", "/v1/tls-report", 200, "\"contact-info\":\"postmaster@relay.example.edu\"");
	bed_check(&b, "GET", "/v1/tls-report?domain=example.org", 200, "starttls-not-supported");
	bed_check(&b, "GET", "/v1/tls-report?domain=example.net", 200, "\"policies\":[]");
	bed_check(&b, "GET", "/v1/tls-report?yesterday=1", 200, "\"policies\":[]");
	bed_close(&b);
}

static void who_asked_is_logged(void)
{
	struct bed b;

	bed_open(&b);
	bed_check(&b, "POST", "/v1/queue/remove?reason=spam%20run", 400, NULL);
	bed_check(&b, "POST", "/v1/reload", 200, NULL);
	bed_check(&b, "GET", "/v1/status", 200, NULL);
	control_stop(&b.control);
	const struct span lines = buf_span(&b.lines);
	CHECK(span_find(lines, SPAN("\"event\":\"control_refused\"")) >= 0);
	CHECK(span_find(lines, SPAN("\"resource\":\"/v1/reload\"")) >= 0);
	CHECK(span_find(lines, SPAN("/tester\"")) >= 0);
	CHECK(span_find(lines, SPAN("/v1/status")) < 0); /* looking changes nothing */
	bed_close(&b);
}

static void a_socket_in_use_is_not_taken(void)
{
	struct bed b;
	struct errtext e;
	char path[120];

	bed_open(&b);
	CHECK_INT(-ERR_EXISTS, control_listen(b.path, &e));
	CHECK(strstr(e.s, "another process answers") != NULL);
	bed_check(&b, "GET", "/health/live", 200, NULL);
	snprintf(path, sizeof path, "%s/file", b.dir);
	FILE *f = fopen(path, "w");
	NEED(f != NULL);
	fclose(f);
	CHECK_INT(-ERR_EXISTS, control_listen(path, &e)); /* and it is still there */
	CHECK_INT(0, unlink(path));
	bed_close(&b);
}

/* What another process put in its place stays. */
static void the_socket_goes_with_its_server(void)
{
	struct bed b;
	struct errtext e;
	char kept[140];

	bed_open(&b);
	CHECK_INT(0, access(b.path, F_OK));
	control_stop(&b.control);
	CHECK_INT(-1, access(b.path, F_OK));
	bed_close(&b);

	bed_open(&b);
	snprintf(kept, sizeof kept, "%s.kept", b.path);
	CHECK_INT(0, rename(b.path, kept));
	const int fd = control_listen(b.path, &e);
	CHECK(fd >= 0);
	control_stop(&b.control);
	CHECK_INT(0, access(b.path, F_OK));
	close(fd);
	CHECK_INT(0, unlink(kept));
	bed_close(&b);
}

static void a_dead_socket_is_replaced(void)
{
	struct errtext e;
	char dir[] = "/tmp/postern-control-XXXXXX", path[100];

	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/new/control.sock", dir);
	int fd = control_listen(path, &e);
	CHECK(fd >= 0);
	close(fd);
	fd = control_listen(path, &e);
	CHECK(fd >= 0);
	close(fd);
	unlink(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
	rmdir(dir);
}

TEST_MAIN(TEST(the_schema_lists_what_is_served), TEST(every_endpoint_answers), TEST(other_paths_are_refused),
	  TEST(answers_say_what_the_server_does), TEST(orders_want_a_selector_and_a_reason),
	  TEST(bans_are_listed_and_lifted), TEST(how_tls_fared_is_reported), TEST(who_asked_is_logged),
	  TEST(a_socket_in_use_is_not_taken), TEST(the_socket_goes_with_its_server),
	  TEST(a_dead_socket_is_replaced))
