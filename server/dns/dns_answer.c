#include "dns/dns_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

struct type_name {
	enum dns_type type;
	const char *name;
};

static const struct type_name type_names[] = {
#define X(name, number) { DNS_##name, #name },
	DNS_TYPE_MAP(X)
#undef X
};

static const char *const result_names[] = {
#define X(name, text) [DNS_##name] = text,
	DNS_RESULT_MAP(X)
#undef X
};

const char *dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "unknown";
}

bool dns_type_parse(struct span s, enum dns_type *type_r)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (span_ieq(s, span_of(type_names[i].name))) {
			*type_r = type_names[i].type;
			return true;
		}
	}
	return false;
}

const char *dns_result_name(enum dns_result result)
{
	return (size_t)result < ARRAY_LEN(result_names) ? result_names[result] : "unknown";
}

static struct span copy(char **at, struct span s)
{
	const struct span copied = { *at, s.n };

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copied;
}

struct dns_answer *dns_answer_new(enum dns_type type, struct span name, const struct dns_record *records,
				  size_t n)
{
	return dns_answer_new_alias(type, name, (struct span){ NULL, 0 }, records, n);
}

struct dns_answer *dns_answer_new_alias(enum dns_type type, struct span name, struct span canonical,
					const struct dns_record *records, size_t n)
{
	size_t bytes = sizeof(struct dns_answer) + n * sizeof *records + name.n + canonical.n;

	require(n <= DNS_RECORDS_MAX);
	for (size_t i = 0; i < n; i++)
		bytes += records[i].data.n;

	struct dns_answer *a = mem_alloc(bytes);
	char *at = (char *)&a->record[n];

	*a = (struct dns_answer){
		.refs = 1, .type = type, .result = n ? DNS_OK : DNS_NODATA, .why = "", .bytes = bytes, .n = n
	};
	a->name = copy(&at, name);
	a->canonical = copy(&at, canonical);
	for (size_t i = 0; i < n; i++) {
		a->record[i] = records[i];
		a->record[i].data = copy(&at, records[i].data);
		if (i == 0 || records[i].ttl_s < a->ttl_s)
			a->ttl_s = records[i].ttl_s;
	}
	return a;
}

struct dns_answer *dns_answer_new_empty(enum dns_type type, struct span name, enum dns_result result,
					const char *why)
{
	struct dns_answer *a = dns_answer_new(type, name, NULL, 0);

	require(result != DNS_OK);
	a->result = result;
	a->why = why ? why : "";
	return a;
}

struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
	a->refs++;
	return a;
}

void dns_answer_unref(struct dns_answer **a)
{
	if (!*a)
		return;
	require((*a)->refs > 0);
	if (--(*a)->refs == 0)
		free(*a);
	*a = NULL;
}
