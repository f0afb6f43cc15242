/* cli.c - what the command line's Lua may ask of C: octets in, octets out. lua/lib/cli/ has the other ends. */
#include "main/cli.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "control/control.h"
#include "dns/dns.h"
#include "gen/version.h"
#include "http/http_unix.h"
#include "io/loop.h"
#include "main/cli_cert.h"
#include "main/cli_dkim.h"
#include "main/cli_upstream.h"
#include "main/cli_user.h"
#include "main/config.h"
#include "main/simulate.h"
#include "policy/cli_host.h"
#include "policy/spec_host.h"

#define CONTROL_TIMEOUT_US INT64_C(120000000)

enum { PATH_OCTETS_MAX = 4096, MEM_MAX = 64 * 1024 };

/* "SOCKET\nMETHOD\nTARGET\nACTOR\nBODY" -> "STATUS\nBODY" */
static int call_control(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct arena *mem = arena_new(MEM_MAX);
	struct http_unix_answer answer;
	struct http_unix_request req = { .timeout_us = CONTROL_TIMEOUT_US,
					 .answer_max = CLI_OUTPUT_MAX - PATH_OCTETS_MAX };

	(void)arg;
	req.socket = arena_strdup(mem, span_cut(&in, '\n'));
	req.method = span_cut(&in, '\n');
	req.target = span_cut(&in, '\n');
	req.actor = span_cut(&in, '\n');
	req.body = in;
	const int err = req.socket ? http_unix(&req, &answer, why)
				   : errtext_set(why, ERR_TOOBIG, "the path of the socket is too long");
	arena_free(&mem);
	if (err < 0)
		return err;
	buf_addf(out, "%u\n", answer.status);
	buf_add_span(out, buf_span(&answer.body));
	buf_free(&answer.body);
	return 0;
}

/* "json\nFILE" or "text\nFILE" -> "STATUS\nOUTPUT" */
static int call_check(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct arena *mem = arena_new(MEM_MAX);
	struct buf text = BUF_INIT(CLI_OUTPUT_MAX / 2);
	const bool json = span_eq(span_cut(&in, '\n'), SPAN("json"));
	const char *file = arena_strdup(mem, in);
	int err = 0;

	(void)arg;
	if (file) {
		buf_addf(out, "%d\n", config_check(file, json, &text));
		buf_add_span(out, buf_span(&text));
	} else {
		err = errtext_set(why, ERR_TOOBIG, "--config: the path is too long");
	}
	buf_free(&text);
	arena_free(&mem);
	return err;
}

static int add_to(struct simulate_request *req, struct span value, struct errtext *why)
{
	if (req->nto == SIMULATE_TO_MAX)
		return errtext_set(why, ERR_TOOBIG, "--to: at most %d recipients", SIMULATE_TO_MAX);
	req->to[req->nto++] = value;
	return 0;
}

/* One "key value" line of what simulate.lua sends. */
static int take_line(struct simulate_request *req, struct span line, bool *has_message, struct errtext *why)
{
	const struct span key = span_cut(&line, ' ');
	const struct span value = line.p ? line : SPAN("");

	if (span_eq(key, SPAN("config")))
		req->config = value;
	else if (span_eq(key, SPAN("listener")))
		req->listener = value;
	else if (span_eq(key, SPAN("ptr")))
		req->ptr = value;
	else if (span_eq(key, SPAN("helo")))
		req->helo = value;
	else if (span_eq(key, SPAN("from")))
		req->from = value;
	else if (span_eq(key, SPAN("to")))
		return add_to(req, value, why);
	else if (span_eq(key, SPAN("plain")))
		req->plain_helo = true;
	else if (span_eq(key, SPAN("tls")))
		req->tls = true;
	else if (span_eq(key, SPAN("auth")))
		req->auth = value;
	else if (span_eq(key, SPAN("offline")))
		req->offline = true;
	else if (span_eq(key, SPAN("message")))
		*has_message = true;
	else if (span_eq(key, SPAN("client")))
		return ip_parse(value, &req->client)
			       ? 0
			       : errtext_set(why, ERR_SYNTAX, "--client: \"%.*s\" is no address",
					     SPAN_ARG(span_first(value, 80)));
	else
		return errtext_set(why, ERR_BUG, "simulate: no parameter \"%.*s\"",
				   SPAN_ARG(span_first(key, 40)));
	return 0;
}

/* "key value" lines, an empty line, the message -> JSON */
static int call_simulate(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct simulate_request *req = mem_alloc(sizeof *req);
	bool has_message = false;
	int err = 0;

	(void)arg;
	while (err == 0 && in.p) {
		const struct span line = span_cut(&in, '\n');
		if (!line.n)
			break;
		err = take_line(req, line, &has_message, why);
	}
	if (has_message)
		req->message = in.p ? in : SPAN("");
	if (err == 0 && (!req->client.len || !req->nto || !req->config.n))
		err = errtext_set(why, ERR_INVAL, "simulate: --config, --client and --to are wanted");
	if (err == 0)
		err = simulate(req, out, why);
	free(req);
	return err;
}

/* "POLICYDIR\nFILE" -> "RUN FAILED\nLINES" */
static int call_spec_run(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct arena *mem = arena_new(MEM_MAX);
	struct buf lines = BUF_INIT(CLI_OUTPUT_MAX / 2);
	struct spec_result result = { 0, 0 };
	const struct span dir = span_cut(&in, '\n');
	const char *policy_dir = dir.n ? arena_strdup(mem, dir) : NULL, *file = arena_strdup(mem, in);

	(void)arg;
	int err = file ? spec_run(file, policy_dir, &lines, &result)
		       : errtext_set(why, ERR_TOOBIG, "the path is too long");
	if (err == 0) {
		buf_addf(out, "%u %u\n", result.run, result.failed);
		buf_add_span(out, buf_span(&lines));
	}
	buf_free(&lines);
	arena_free(&mem);
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Adds @path, or the specs below it. Returns whether it is a directory. */
static bool add_specs(const char *path, unsigned depth, struct buf *out)
{
	struct dirent **entries;
	const int n = depth > 0 ? scandir(path, &entries, no_dots, by_name) : -1;
	char below[PATH_OCTETS_MAX];

	if (n < 0)
		return false;
	for (int i = 0; i < n; i++) {
		const int len = snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
		const bool fits = len > 0 && (size_t)len < sizeof below;
		if (fits && !add_specs(below, depth - 1, out) &&
		    span_ends(span_of(below), SPAN("_spec.lua"))) {
			buf_add_str(out, below);
			buf_add_char(out, '\n');
		}
		free(entries[i]);
	}
	free(entries);
	return true;
}

/* "PATH" -> a line for each *_spec.lua below it, sorted; PATH itself if it is no directory */
static int call_spec_files(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	enum { DEPTH_MAX = 20 };
	char *path = mem_strndup(in.p ? in.p : "", in.n);

	(void)arg;
	(void)why;
	if (!add_specs(path, DEPTH_MAX, out)) {
		buf_add_str(out, path);
		buf_add_char(out, '\n');
	}
	free(path);
	return 0;
}

/* -> JSON: what is linked */
static int call_version(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct json j = json_to(out);

	(void)arg;
	(void)in;
	(void)why;
	json_object(&j, NULL);
	json_cstr(&j, "postern", POSTERN_VERSION);
	json_cstr(&j, "libuv", loop_library());
	json_cstr(&j, "c-ares", dns_library());
	json_cstr(&j, "libcurl", http_unix_library());
	json_cstr(&j, "libmicrohttpd", control_library());
	json_object_end(&j);
	return 0;
}

int cli_main(int argc, char **argv)
{
	static const struct cli_function functions[] = {
		{ "control", call_control, NULL },
		{ "check", call_check, NULL },
		{ "simulate", call_simulate, NULL },
		{ "spec_files", call_spec_files, NULL },
		{ "spec_run", call_spec_run, NULL },
		{ "version", call_version, NULL },
		{ "upstream_check", cli_upstream_check, NULL },
		{ "user", cli_user, NULL },
		{ "cert_check", cli_cert_check, NULL },
		{ "dkim_keygen", cli_dkim_keygen, NULL },
		{ "dkim_check", cli_dkim_check, NULL },
		{ "dkim_verify", cli_dkim_verify, NULL },
		{ "dkim_sign", cli_dkim_sign, NULL },
	};

	return cli_host_run(argc, argv, functions, ARRAY_LEN(functions));
}
