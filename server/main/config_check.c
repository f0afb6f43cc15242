/* main/config_check.c - `postern check`: every problem of a configuration, for people or as JSON. */
#include "base/json.h"
#include "main/config.h"

enum { CHECK_MEM_MAX = 4 * 1024 * 1024 };

void config_problems_write(const struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->v[i];
		if (p->file.n)
			buf_addf(out, "%.*s:", SPAN_ARG(p->file));
		if (p->file.n && p->line)
			buf_addf(out, "%u:", p->line);
		buf_addf(out, "%s%s%.*s\n", p->file.n ? " " : "", p->warning ? "warning: " : "",
			 SPAN_ARG(p->text));
	}
	if (problems->dropped)
		buf_addf(out, "... and %zu more\n", problems->dropped);
}

void config_problems_json(const struct config_problems *problems, struct json *j)
{
	json_array(j, "problems");
	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->v[i];
		json_object(j, NULL);
		json_str(j, "file", p->file);
		json_int(j, "line", p->line);
		json_bool(j, "warning", p->warning);
		json_str(j, "text", p->text);
		json_object_end(j);
	}
	json_array_end(j);
}

static void write_json(const char *file, const struct config_problems *problems, bool good, struct buf *out)
{
	struct json j = json_to(out);

	json_object(&j, NULL);
	json_cstr(&j, "file", file);
	json_bool(&j, "ok", good);
	config_problems_json(problems, &j);
	json_int(&j, "dropped", (int64_t)problems->dropped);
	json_object_end(&j);
	buf_add_char(out, '\n');
}

static void write_text(const char *file, const struct config_problems *problems, bool good, struct buf *out)
{
	const size_t warnings =
		problems->n - (problems->errors < problems->n ? problems->errors : problems->n);

	config_problems_write(problems, out);
	buf_addf(out, "%s: ", file);
	if (good)
		buf_add_str(out, "good");
	else
		buf_addf(out, "%zu problem%s", problems->errors, problems->errors == 1 ? "" : "s");
	if (warnings)
		buf_addf(out, ", %zu warning%s", warnings, warnings == 1 ? "" : "s");
	buf_add_char(out, '\n');
}

int config_check(const char *file, bool json, struct buf *out)
{
	struct arena *mem = arena_new(CHECK_MEM_MAX);
	struct config_problems problems;
	struct config *cfg = NULL;
	struct errtext e;

	config_problems_init(&problems, mem);
	bool good = config_global_init(&e) >= 0;
	if (!good)
		config_problem_add(&problems, false, span_of(file), 0, "%s", e.s);
	good = good && config_load(file, &problems, &cfg) >= 0;
	if (json)
		write_json(file, &problems, good, out);
	else
		write_text(file, &problems, good, out);
	config_unref(&cfg);
	arena_free(&mem);
	return good ? 0 : 1;
}
