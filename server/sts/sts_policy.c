#include "sts/sts_policy.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"

static const char *const mode_names[] = {
#define X(name, text) text,
	STS_MODE_MAP(X)
#undef X
};

const char *sts_mode_name(enum sts_mode mode)
{
	return (size_t)mode < ARRAY_LEN(mode_names) ? mode_names[mode] : "?";
}

/* ---- the record ----------------------------------------------------------------------------------------------- */

static bool is_id(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]))
			return false;
	return s.n >= 1 && s.n <= STS_ID_MAX;
}

/* RFC 8461 section 3.1: the version comes first; names are case-sensitive; what is not known is passed over. */
int sts_record_parse(struct span txt, struct span *id_r)
{
	struct span id = { NULL, 0 };
	const struct span version = span_trim(span_cut(&txt, ';'));

	if (!span_eq(version, SPAN("v=STSv1")))
		return -ERR_NOTFOUND;
	while (txt.n) {
		struct span value = span_trim(span_cut(&txt, ';'));
		const struct span name = span_trim(span_cut(&value, '='));
		if (!span_eq(name, SPAN("id")))
			continue;
		if (id.p || !is_id(span_trim(value)))
			return -ERR_SYNTAX;
		id = span_trim(value);
	}
	if (!id.p)
		return -ERR_SYNTAX;
	*id_r = id;
	return 0;
}

/* ---- the policy ----------------------------------------------------------------------------------------------- */

struct draft {
	struct span version, mode, max_age;
	struct span mx[STS_MX_MAX];
	size_t nmx, octets;
};

static bool is_host_char(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* "mx.example.org", "*.example.org": labels of A-label form; no literals. */
static bool is_pattern(struct span s)
{
	size_t label = 0;

	if (span_starts(s, SPAN("*.")))
		s = span_skip(s, 2);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? label == 0 : !is_host_char(s.p[i]))
			return false;
		label = s.p[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && s.n <= 253;
}

/* The first of each counts, but for mx (section 3.2). */
static int take_line(struct draft *d, struct span line, const char **why_r)
{
	struct span value = line;
	const struct span name = span_trim(span_cut(&value, ':'));

	value = span_trim(value);
	if (span_eq(name, SPAN("mx"))) {
		if (!is_pattern(value)) {
			*why_r = "mx is not the name of a host";
			return -ERR_SYNTAX;
		}
		if (d->nmx == STS_MX_MAX) {
			*why_r = "too many mx";
			return -ERR_TOOBIG;
		}
		d->mx[d->nmx++] = value;
		d->octets += value.n;
		return 0;
	}
	struct span *field = span_eq(name, SPAN("version"))   ? &d->version
			     : span_eq(name, SPAN("mode"))    ? &d->mode
			     : span_eq(name, SPAN("max_age")) ? &d->max_age
							      : NULL;
	if (field && !field->p)
		*field = span_make(value.n ? value.p : "", value.n);
	return 0;
}

static struct sts_policy *make(const struct draft *d, enum sts_mode mode, uint32_t max_age_s)
{
	struct sts_policy *p = mem_alloc(sizeof *p + d->nmx * sizeof p->mx[0] + d->octets);
	char *text = (char *)&p->mx[d->nmx];

	p->refs = 1;
	p->mode = mode;
	p->max_age_s = max_age_s;
	for (size_t i = 0; i < d->nmx; i++) {
		const struct span from = d->mx[i].p[0] == '*' ? span_skip(d->mx[i], 1) : d->mx[i];
		for (size_t k = 0; k < from.n; k++)
			text[k] = ascii_lower(from.p[k]);
		p->mx[p->nmx++] = span_make(text, from.n);
		text += from.n;
	}
	return p;
}

static int finish(const struct draft *d, struct sts_policy **policy_r, const char **why_r)
{
	enum sts_mode mode = STS_MODE_NONE;
	uint64_t age;

	if (!span_eq(d->version, SPAN("STSv1"))) {
		*why_r = "version is not STSv1";
		return -ERR_SYNTAX;
	}
	while (mode < STS_MODE_MAX_ && !span_eq(d->mode, span_of(mode_names[mode])))
		mode++;
	if (mode == STS_MODE_MAX_) {
		*why_r = "mode is none of enforce, testing, none";
		return -ERR_SYNTAX;
	}
	if (!span_to_u64(d->max_age, UINT32_MAX, &age)) {
		*why_r = "max_age is not a number of seconds";
		return -ERR_SYNTAX;
	}
	if (mode != STS_MODE_NONE && !d->nmx) {
		*why_r = "no mx";
		return -ERR_SYNTAX;
	}
	*policy_r = make(d, mode, age < STS_MAX_AGE_S ? (uint32_t)age : STS_MAX_AGE_S);
	return 0;
}

int sts_policy_parse(struct span text, struct sts_policy **policy_r, const char **why_r)
{
	struct draft d = { .nmx = 0 };

	if (text.n > STS_POLICY_OCTETS) {
		*why_r = "longer than a policy may be";
		return -ERR_TOOBIG;
	}
	while (text.n) {
		struct span line = span_cut(&text, '\n');
		if (span_ends(line, SPAN("\r")))
			line.n--;
		const int err = take_line(&d, line, why_r);
		if (err < 0)
			return err;
	}
	return finish(&d, policy_r, why_r);
}

struct sts_policy *sts_policy_ref(struct sts_policy *p)
{
	require(p->refs > 0);
	p->refs++;
	return p;
}

void sts_policy_unref(struct sts_policy **p_p)
{
	struct sts_policy *p = *p_p;

	if (!p)
		return;
	*p_p = NULL;
	require(p->refs > 0);
	if (--p->refs == 0)
		free(p);
}

/* A pattern with a wildcard stands for exactly one label, and that the leftmost. */
bool sts_mx_matches(struct span mx, struct span host)
{
	if (mx.p[0] != '.')
		return span_ieq(mx, host);
	const ptrdiff_t dot = span_find_char(host, '.');

	return dot > 0 && span_ieq(mx, span_skip(host, (size_t)dot));
}

bool sts_policy_has_mx(const struct sts_policy *p, struct span host)
{
	for (size_t i = 0; i < p->nmx; i++)
		if (sts_mx_matches(p->mx[i], host))
			return true;
	return false;
}
