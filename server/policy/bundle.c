#include "policy/bundle_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/config_lua.h"
#include "policy/embedded.h"
#include "policy/policy_check.h"

/* ---- files -------------------------------------------------------------------------------------------------------- */

static int read_stream(FILE *f, struct buf *out)
{
	char part[16 * 1024];
	size_t n;

	while ((n = fread(part, 1, sizeof part, f)) > 0)
		if (!buf_add(out, part, n))
			return -ERR_TOOBIG;
	return ferror(f) ? -ERR_IO : 0;
}

static int read_file(struct arena *mem, const char *path, struct span *text_r, struct errtext *why)
{
	struct buf b = BUF_INIT(BUNDLE_FILE_MAX);
	FILE *f = fopen(path, "rbe");

	if (!f)
		return errtext_set(why, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: %s", path,
				   strerror(errno));
	int r = read_stream(f, &b);
	(void)fclose(f);
	if (r == 0) {
		*text_r = arena_dup(mem, buf_span(&b));
		r = text_r->p ? 0 : -ERR_TOOBIG;
	}
	buf_free(&b);
	return r < 0 ? errtext_set(why, -r, "%s: %s", path, r == -ERR_TOOBIG ? "too large" : err_text(r)) : 0;
}

/* ---- texts that are kept ------------------------------------------------------------------------------------------ */

static struct bundle_text *find_text(struct policy_bundle *b, const char *kind, struct span name)
{
	char key[512];
	const int n = snprintf(key, sizeof key, "%s:%.*s", kind, SPAN_ARG(name));
	struct map_node *node = (size_t)n < sizeof key ? map_get(&b->texts, span_make(key, (size_t)n)) : NULL;

	return node ? map_entry(node, struct bundle_text, node) : NULL;
}

static struct bundle_text *keep_text(struct policy_bundle *b, const char *kind, struct span name,
				     struct span text, const char *file, bool on_disk)
{
	struct bundle_text *t = arena_new_of(b->mem, struct bundle_text);

	if (!t)
		return NULL;
	t->key = arena_printf(b->mem, "%s:%.*s", kind, SPAN_ARG(name));
	t->file = arena_strdup(b->mem, span_of(file));
	t->text = text;
	t->on_disk = on_disk;
	if (!t->key.p || !t->file)
		return NULL;
	(void)map_put(&b->texts, &t->node, t->key);
	list_push_back(&b->files, &t->link);
	return t;
}

int bundle_read(struct policy_bundle *b, struct span path, struct span *text_r, struct errtext *why)
{
	struct bundle_text *t = find_text(b, "file", path);
	char full[1024];

	if (t) {
		*text_r = t->text;
		return 0;
	}
	if (!b->open)
		return errtext_set(why, ERR_DENIED, "files are read while the configuration is loaded only");
	const bool absolute = span_starts(path, SPAN("/"));
	if (!path.n || memchr(path.p, 0, path.n) ||
	    (size_t)snprintf(full, sizeof full, "%s%s%.*s", absolute ? "" : b->dir.p, absolute ? "" : "/",
			     SPAN_ARG(path)) >= sizeof full)
		return errtext_set(why, ERR_INVAL, "that is no path");
	struct span text;
	const int r = read_file(b->mem, full, &text, why);
	if (r < 0)
		return r;
	if (!keep_text(b, "file", path, text, full, true))
		return errtext_set(why, ERR_TOOBIG, "%s: too large", full);
	*text_r = text;
	return 0;
}

/* ---- policies and their modules ------------------------------------------------------------------------------------ */

static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !memchr("_-/", name.p[i], 3))
			return false;
	return name.n > 0 && name.n <= 128 && name.p[0] != '/' && name.p[name.n - 1] != '/';
}

static int load_from_disk(struct policy_bundle *b, const char *kind, struct span name, const char *path,
			  struct bundle_text **t_r, struct errtext *why)
{
	struct span text;
	const int r = read_file(b->mem, path, &text, why);

	if (r < 0)
		return r;
	*t_r = keep_text(b, kind, name, text, path, true);
	return *t_r ? 0 : errtext_set(why, ERR_TOOBIG, "%s: too large", path);
}

static int load_embedded(struct policy_bundle *b, struct span name, struct bundle_text **t_r,
			 struct errtext *why)
{
	char file[256];
	char *to_free;
	struct span text;

	(void)snprintf(file, sizeof file, "policies/%.*s.lua", SPAN_ARG(name));
	if (embedded_load(file, &text, &to_free) < 0)
		return errtext_set(why, ERR_NOTFOUND, "there is no policy '%.*s'", SPAN_ARG(name));
	if (to_free)
		text = arena_dup(b->mem, text);
	free(to_free);
	*t_r = text.p ? keep_text(b, "policy", name, text, file, false) : NULL;
	return *t_r ? 0 : errtext_set(why, ERR_TOOBIG, "%s: too large", file);
}

int bundle_policy(struct policy_bundle *b, struct span name, struct bundle_text **t_r, struct errtext *why)
{
	struct bundle_text *t = find_text(b, "policy", name);
	char path[1024];

	if (t) {
		*t_r = t;
		return 0;
	}
	if (!is_name(name))
		return errtext_set(why, ERR_INVAL, "'%.*s' cannot be the name of a policy", SPAN_ARG(name));
	if (b->open && (size_t)snprintf(path, sizeof path, "%s/policies/%.*s.lua", b->dir.p, SPAN_ARG(name)) <
			       sizeof path) {
		const int r = load_from_disk(b, "policy", name, path, t_r, why);
		if (r != -ERR_NOTFOUND || span_find_char(name, '/') >= 0)
			return r;
	}
	return load_embedded(b, name, t_r, why);
}

int bundle_library(struct policy_bundle *b, struct span name, struct bundle_text **t_r, struct errtext *why)
{
	struct bundle_text *t = find_text(b, "lib", name);
	char path[1024];

	if (t) {
		*t_r = t;
		return 0;
	}
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !memchr("_-.", name.p[i], 3))
			return errtext_set(why, ERR_INVAL, "'%.*s' cannot be the name of a module",
					   SPAN_ARG(name));
	const int n = snprintf(path, sizeof path, "%s/lib/%.*s", b->dir.p, SPAN_ARG(name));
	if (!b->open || !name.n || name.n > 128 || (size_t)n + 5 > sizeof path)
		return errtext_set(why, ERR_NOTFOUND, "there is no module '%.*s'", SPAN_ARG(name));
	for (char *c = path + n - name.n; *c; c++)
		*c = *c == '.' ? '/' : *c;
	memcpy(path + n, ".lua", 5);
	return load_from_disk(b, "lib", name, path, t_r, why);
}

/* ---- the bundle --------------------------------------------------------------------------------------------------- */

struct policy_bundle *bundle_new(const char *config_file)
{
	struct policy_bundle *b = mem_alloc(sizeof *b);
	const char *slash = strrchr(config_file, '/');

	atomic_init(&b->refs, 1);
	b->mem = arena_new(BUNDLE_MEM_MAX);
	b->config_file = arena_strdup(b->mem, span_of(config_file));
	b->dir = arena_dup(b->mem, slash ? span_make(config_file,
						     slash == config_file ? 1 : (size_t)(slash - config_file))
					 : SPAN("."));
	map_init(&b->texts);
	list_init(&b->files);
	b->open = true;
	return b;
}

/* The configuration is there, or not: @r. */
static int finish(struct policy_bundle *b, int r, size_t errors, struct config_problems *problems)
{
	if (r == 0)
		r = policy_check(b, problems);
	b->open = false;
	if (r < 0 && problems->errors == errors)
		config_problem_add(problems, false, span_of(b->config_file), 0, "%s", err_text(r));
	return problems->errors > errors ? -ERR_INVAL : 0;
}

static int load(struct policy_bundle *b, struct span text, bool plain, struct config_problems *problems)
{
	const size_t errors = problems->errors;

	return finish(b, config_host_eval(b, text, plain, problems), errors, problems);
}

int bundle_load_value(struct policy_bundle *b, lua_State *L, int i, struct config_problems *problems)
{
	const size_t errors = problems->errors;

	return finish(b, config_from_lua(L, i, b->mem, span_of(b->config_file), problems, &b->config), errors,
		      problems);
}

int policy_bundle_load_text(struct span text, const char *file, struct config_problems *problems,
			    struct policy_bundle **b_r)
{
	struct policy_bundle *b = bundle_new(file);
	const int r = load(b, text, false, problems);

	if (r < 0)
		policy_bundle_unref(&b);
	else
		*b_r = b;
	return r;
}

int policy_bundle_load(const char *config_file, struct config_problems *problems, struct policy_bundle **b_r)
{
	struct policy_bundle *b = bundle_new(config_file);
	struct errtext why;
	struct span text;
	int r = read_file(b->mem, config_file, &text, &why);

	if (r < 0) {
		config_problem_add(problems, false, span_of(config_file), 0, "%s", why.s);
	} else {
		(void)keep_text(b, "config", span_of(config_file), text, config_file, true);
		r = load(b, text, false, problems);
	}
	if (r < 0)
		policy_bundle_unref(&b);
	else
		*b_r = b;
	return r;
}

int bundle_add_policy(struct policy_bundle *b, struct span name, struct span text)
{
	char file[256];

	(void)snprintf(file, sizeof file, "policies/%.*s.lua", SPAN_ARG(name));
	text = arena_dup(b->mem, text);
	return text.p && keep_text(b, "policy", name, text, file, false) ? 0 : -ERR_TOOBIG;
}

int bundle_load_plain(struct policy_bundle *b, struct span chunk, struct config_problems *problems)
{
	return load(b, chunk, true, problems);
}

struct policy_bundle *policy_bundle_ref(struct policy_bundle *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void policy_bundle_unref(struct policy_bundle **b_p)
{
	struct policy_bundle *b = *b_p;

	*b_p = NULL;
	if (!b || atomic_fetch_sub(&b->refs, 1) > 1)
		return;
	map_deinit(&b->texts);
	arena_free(&b->mem);
	free(b);
}

const struct config_value *policy_bundle_config(const struct policy_bundle *b)
{
	return &b->config;
}

const char *policy_bundle_file(const struct policy_bundle *b, size_t i)
{
	list_for_each(it, &b->files) {
		const struct bundle_text *t = list_entry(it, struct bundle_text, link);
		if (t->on_disk && i-- == 0)
			return t->file;
	}
	return NULL;
}
