#include "dns/dns_hosts.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "dns/dns_key.h"

/* All types, so that a name that is known has an answer to each. */
static const enum dns_type types[] = {
#define X(name, number) DNS_##name,
	DNS_TYPE_MAP(X)
#undef X
};

struct host {
	struct map_node node;
	struct dns_key key;
	struct dns_answer *answer;
};

struct dns_hosts {
	struct map map;
};

struct dns_hosts *dns_hosts_new(void)
{
	struct dns_hosts *h = mem_alloc(sizeof *h);

	map_init(&h->map);
	return h;
}

void dns_hosts_free(struct dns_hosts **h)
{
	if (!*h)
		return;
	for (struct map_node *it = map_next(&(*h)->map, NULL), *next; it; it = next) {
		struct host *host = map_entry(it, struct host, node);
		next = map_next(&(*h)->map, it);
		dns_answer_unref(&host->answer);
		free(host);
	}
	map_deinit(&(*h)->map);
	free(*h);
	*h = NULL;
}

static struct host *find(const struct dns_hosts *h, enum dns_type type, struct span name)
{
	const struct dns_key key = dns_key_make(type, name);
	struct map_node *node = map_get(&h->map, dns_key_span(&key));

	return node ? map_entry(node, struct host, node) : NULL;
}

/* Replaces what is there. Takes over the caller's reference. */
static void set(struct dns_hosts *h, struct dns_answer *a)
{
	struct host *host = find(h, a->type, a->name);

	if (!host) {
		host = mem_alloc(sizeof *host);
		host->key = dns_key_make(a->type, a->name);
		map_put(&h->map, &host->node, dns_key_span(&host->key));
	}
	dns_answer_unref(&host->answer);
	host->answer = a;
}

void dns_hosts_authenticate(struct dns_hosts *h)
{
	map_for_each(it, &h->map)
		map_entry(it, struct host, node)->answer->authenticated = true;
}

struct dns_hosts *dns_hosts_copy(const struct dns_hosts *h)
{
	struct dns_hosts *to = dns_hosts_new();

	map_for_each(it, &h->map) {
		const struct dns_answer *a = map_entry(it, struct host, node)->answer;
		struct dns_answer *b =
			a->result == DNS_OK
				? dns_answer_new_alias(a->type, a->name, a->canonical, a->record, a->n)
				: dns_answer_new_empty(a->type, a->name, a->result, a->why);
		b->authenticated = a->authenticated;
		b->ttl_s = a->ttl_s;
		set(to, b);
	}
	return to;
}

static int parse_name(struct span text, enum dns_type type, struct dns_name *name_r, struct errtext *why)
{
	struct ip_addr addr;
	const char *reason;

	if (type == DNS_PTR && ip_parse(text, &addr)) {
		dns_name_of_addr(&addr, name_r);
		return 0;
	}
	if (dns_name_parse(text, name_r, &reason) < 0)
		return errtext_set(why, ERR_INVAL, "%.*s: %s", SPAN_ARG(text), reason);
	return 0;
}

/* Makes the name known: every type is answered, with DNS_NODATA to begin with. */
static int know(struct dns_hosts *h, struct span name, struct errtext *why)
{
	if (find(h, types[0], name))
		return 0;
	if (h->map.n + ARRAY_LEN(types) > DNS_HOSTS_MAX)
		return errtext_set(why, ERR_LIMIT, "more than %d static DNS answers", DNS_HOSTS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer *a = dns_answer_new_empty(types[i], name, DNS_NODATA, NULL);
		a->ttl_s = DNS_HOSTS_TTL_S;
		set(h, a);
	}
	return 0;
}

static bool parse_mx(struct span value, struct dns_record *record, struct dns_name *host)
{
	const char *why;
	uint64_t preference;
	const struct span word = span_cut(&value, ' ');

	if (!span_to_u64(word, UINT16_MAX, &preference))
		return false;
	record->preference = (uint16_t)preference;
	value = span_trim(value);
	if (span_eq(value, SPAN("."))) {
		record->data = SPAN(".");
		return true;
	}
	if (dns_name_parse(value, host, &why) < 0)
		return false;
	record->data = dns_name_span(host);
	return true;
}

/* "3 1 1 <hex>" */
static bool parse_tlsa(struct span value, struct dns_record *record, char *data, size_t data_max)
{
	uint8_t *const fields[] = { &record->tlsa.usage, &record->tlsa.selector, &record->tlsa.matching };

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		uint64_t v;
		if (!span_to_u64(span_cut(&value, ' '), 255, &v))
			return false;
		*fields[i] = (uint8_t)v;
	}
	if (value.n % 2 || value.n / 2 > data_max)
		return false;
	for (size_t i = 0; i < value.n; i += 2) {
		const int high = ascii_hex_value(value.p[i]), low = ascii_hex_value(value.p[i + 1]);
		if (high < 0 || low < 0)
			return false;
		data[i / 2] = (char)(high << 4 | low);
	}
	record->data = span_make(data, value.n / 2);
	return true;
}

struct record_room {
	struct dns_name name;
	char data[512];
};

static bool parse_value(struct span value, enum dns_type type, struct dns_record *record,
			struct record_room *room)
{
	const char *why;

	switch (type) {
	case DNS_A:
		return ip_parse(value, &record->addr) && record->addr.len == 4;
	case DNS_AAAA:
		return ip_parse(value, &record->addr) && record->addr.len == 16;
	case DNS_MX:
		return parse_mx(value, record, &room->name);
	case DNS_PTR:
		if (dns_name_parse(value, &room->name, &why) < 0)
			return false;
		record->data = dns_name_span(&room->name);
		return true;
	case DNS_TXT:
		record->data = value;
		return true;
	case DNS_TLSA:
		return parse_tlsa(value, record, room->data, sizeof room->data);
	}
	return false;
}

int dns_hosts_add(struct dns_hosts *h, struct span name, enum dns_type type, struct span value,
		  struct errtext *why)
{
	struct dns_name canonical;
	struct record_room room;
	struct dns_record records[DNS_RECORDS_MAX];
	struct dns_record added = { .ttl_s = DNS_HOSTS_TTL_S };

	int err = parse_name(name, type, &canonical, why);
	if (err == 0 && !parse_value(span_trim(value), type, &added, &room))
		err = errtext_set(why, ERR_INVAL, "%.*s: \"%.*s\" is not the value of a record of type %s",
				  SPAN_ARG(name), SPAN_ARG(value), dns_type_name(type));
	if (err == 0)
		err = know(h, dns_name_span(&canonical), why);
	if (err < 0)
		return err;

	const struct dns_answer *old = find(h, type, dns_name_span(&canonical))->answer;
	if (old->n == DNS_RECORDS_MAX)
		return errtext_set(why, ERR_LIMIT, "%.*s: more than %d records", SPAN_ARG(name),
				   DNS_RECORDS_MAX);
	memcpy(records, old->record, old->n * sizeof *records);
	records[old->n] = added;
	set(h, dns_answer_new(type, dns_name_span(&canonical), records, old->n + 1));
	return 0;
}

int dns_hosts_add_result(struct dns_hosts *h, struct span name, enum dns_type type, enum dns_result result,
			 struct errtext *why)
{
	struct dns_name canonical;

	int err = parse_name(name, type, &canonical, why);
	if (err == 0 && result == DNS_OK)
		err = errtext_set(why, ERR_INVAL, "%.*s: a result without records cannot be ok",
				  SPAN_ARG(name));
	if (err == 0)
		err = know(h, dns_name_span(&canonical), why);
	if (err < 0)
		return err;
	struct dns_answer *a = dns_answer_new_empty(type, dns_name_span(&canonical), result,
						    result >= DNS_TEMPFAIL ? "it was configured so" : NULL);
	a->ttl_s = DNS_HOSTS_TTL_S;
	set(h, a);
	return 0;
}

struct dns_answer *dns_hosts_get(const struct dns_hosts *h, enum dns_type type, struct span name)
{
	const struct host *host = find(h, type, name);

	return host ? host->answer : NULL;
}

size_t dns_hosts_count(const struct dns_hosts *h)
{
	return h->map.n;
}
