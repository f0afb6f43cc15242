/* control_route.c - which request is for whom. The table is schema/admin_api.lua's; tests/unit/control/test_api.c compares them. */
#include "control/control_priv.h"

#define SELECTORS " to from device domain destination older_than status held_reason id all "
#define ORDER     SELECTORS "dry_run "

static void reload(struct control_request *r)
{
	struct buf problems = BUF_INIT(1024 * 1024);
	const int err = r->env->reload(r->env->arg, &problems);
	struct json j = json_to(&r->out);

	r->code = err < 0 ? 422 : 200;
	json_object(&j, NULL);
	json_bool(&j, "reloaded", err == 0);
	if (err < 0)
		json_cstr(&j, "error", "the configuration has mistakes; nothing was changed");
	json_int(&j, "generation", (int64_t)r->env->generation(r->env->arg));
	json_raw(&j, "problems", problems.n && !problems.overflow ? buf_span(&problems) : SPAN("[]"));
	json_object_end(&j);
	buf_free(&problems);
}

static void shutdown_server(struct control_request *r)
{
	struct json j = json_to(&r->out);

	r->shutdown = true; /* not before the answer is out: the socket closes with the server */
	json_object(&j, NULL);
	json_bool(&j, "stopping", true);
	json_object_end(&j);
}

static const struct control_endpoint endpoints[] = {
	{ "GET", "/health/live", "", control_live },
	{ "GET", "/health/ready", "", control_ready },
	{ "GET", "/metrics", "", control_metrics },
	{ "GET", "/v1/status", "", control_status },
	{ "GET", "/v1/sessions", "", control_sessions },
	{ "GET", "/v1/destinations", "", control_destinations },
	{ "GET", "/v1/queue", SELECTORS "skip limit ", control_queue_list },
	{ "POST", "/v1/queue/import", "", control_queue_import },
	{ "POST", "/v1/queue/retry", ORDER "reason ", control_queue_retry },
	{ "POST", "/v1/queue/hold", ORDER "reason ", control_queue_hold },
	{ "POST", "/v1/queue/release", ORDER "reason ", control_queue_release },
	{ "POST", "/v1/queue/bounce", ORDER "reason ", control_queue_bounce },
	{ "POST", "/v1/queue/remove", ORDER "reason ", control_queue_remove },
	{ "GET", "/v1/queue/{id}", "", control_queue_show },
	{ "GET", "/v1/queue/{id}/export", "", control_queue_export },
	{ "GET", "/v1/bans", "", control_bans_list },
	{ "GET", "/v1/tls-report", " yesterday domain ", control_tls_report },
	{ "POST", "/v1/bans/remove", " client user all reason ", control_bans_remove },
	{ "POST", "/v1/reload", "", reload },
	{ "POST", "/v1/shutdown", "", shutdown_server },
};

const struct control_endpoint *control_endpoints(size_t *n_r)
{
	*n_r = ARRAY_LEN(endpoints);
	return endpoints;
}

/* Segment by segment; what stands for {id} goes to *id_r. */
static bool matches(struct span path, const char *pattern, struct span *id_r)
{
	struct span want = span_of(pattern);

	while (want.p && path.p) {
		const struct span w = span_cut(&want, '/'), is = span_cut(&path, '/');
		if (span_eq(w, SPAN("{id}")) && is.n)
			*id_r = is;
		else if (!span_eq(w, is))
			return false;
	}
	return !want.p && !path.p;
}

void control_route(struct control_request *r)
{
	bool other_method = false;

	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		const struct control_endpoint *e = &endpoints[i];
		struct span id = { NULL, 0 };
		if (!matches(r->path, e->path, &id))
			continue;
		if (!span_eq(r->method, span_of(e->method))) {
			other_method = true;
			continue;
		}
		/* A selector that is misspelt would select everything. */
		const char *unknown = control_arg_unknown(r, e->params);
		if (unknown)
			control_fail(r, 400, "\"%.60s\" is no parameter of %s %s", unknown, e->method,
				     e->path);
		else if (id.p && !id_parse(id, &r->id))
			control_fail(r, 404, "\"%.*s\" is no queue id", SPAN_ARG(span_first(id, 60)));
		else
			e->serve(r);
		return;
	}
	if (other_method)
		control_fail(r, 405, "%.*s is asked for with another method",
			     SPAN_ARG(span_first(r->path, 100)));
	else
		control_fail(r, 404,
			     "no such resource: %.*s; the endpoints are those of schema/admin_api.lua",
			     SPAN_ARG(span_first(r->path, 100)));
}
