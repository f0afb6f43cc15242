/* fuzz_dns_wire.c - whatever a server sends is an answer whose parts can be relied on, or none at all.
 *
 * Input: type selector, header octets 2..3 and the three counts (lower octets), then what follows the
 * question, which is put in front with the name a.example.org, so that compression pointers have something to
 * point to. The input as a whole is tried as a message of its own, too. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "dns/dns_cache.h"
#include "dns/dns_wire.h"
#include "dns/mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

enum { HEAD = 12, MESSAGE_MAX = 70000 };

static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_TLSA };

static void check_host(struct span name)
{
	CLAIM(name.p && name.n > 0 && name.n <= 1020);
	for (size_t i = 0; i < name.n; i++)
		CLAIM(name.p[i] > ' ' && name.p[i] < 0x7f && !(name.p[i] >= 'A' && name.p[i] <= 'Z'));
}

static void check_record(const struct dns_answer *a, const struct dns_record *r)
{
	CLAIM(r->ttl_s <= INT32_MAX && a->ttl_s <= r->ttl_s);
	if (a->type == DNS_A || a->type == DNS_AAAA)
		CLAIM(r->addr.len == (a->type == DNS_A ? 4 : 16));
	else
		CLAIM(r->data.n == 0 ||
		      ((const char *)a <= r->data.p && r->data.p + r->data.n <= (const char *)a + a->bytes));
	if (a->type == DNS_MX || a->type == DNS_PTR)
		check_host(r->data);
}

static void check_use(struct dns_answer *a)
{
	const struct dns_cache_limits limits = dns_cache_limits_default();
	struct dns_cache *cache = dns_cache_new(&limits);
	const struct mx_random rnd = mx_random_system();
	const struct mx_self nobody = { 0 };
	struct mx_host hosts[MX_HOSTS_MAX];
	bool stale;
	size_t n = 0;

	CLAIM(dns_cache_put(cache, a, 1, &stale) == a);
	CLAIM(dns_cache_get(cache, a->type, a->name, 1, &stale) == a && !stale);
	if (a->type == DNS_MX && a->result == DNS_OK && mx_order(a, &nobody, &rnd, hosts, &n) == MX_FOUND)
		CLAIM(n > 0 && n <= MX_HOSTS_MAX);
	dns_cache_free(&cache);
}

static void parse(struct span msg, const struct dns_name *name, enum dns_type type)
{
	struct dns_answer *a = NULL;
	const int err = dns_wire_parse(msg, name, type, &a);

	dns_wire_refuses_edns(msg);
	if (err < 0) {
		CLAIM(err == -ERR_SYNTAX && a == NULL);
		return;
	}
	CLAIM(a && a->type == type && span_eq(a->name, dns_name_span(name)) && a->why);
	CLAIM(a->n <= DNS_RECORDS_MAX && (a->n > 0) == (a->result == DNS_OK) && a->result != DNS_INVALID);
	CLAIM((a->why[0] != '\0') == (a->result == DNS_TEMPFAIL));
	for (size_t i = 0; i < a->n; i++)
		check_record(a, &a->record[i]);
	check_use(a);
	dns_answer_unref(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char question[] = "\1a\7example\3org";
	struct dns_name name;
	const char *why;

	if (size < 6 || size > MESSAGE_MAX - 64)
		return 0;
	CLAIM(dns_name_parse(SPAN("a.example.org"), &name, &why) == 0);
	const enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
	parse(span_make(data, size), &name, type);

	uint8_t *msg = malloc(MESSAGE_MAX);
	const uint8_t head[HEAD] = { 0, 0, data[1], data[2], 0, 1, 0, data[3], 0, data[4], 0, data[5] };
	const uint8_t tail[4] = { 0, (uint8_t)type, 0, 1 };
	size_t n = 0;
	memcpy(msg, head, sizeof head);
	n += sizeof head;
	memcpy(msg + n, question, sizeof question);
	n += sizeof question;
	memcpy(msg + n, tail, sizeof tail);
	n += sizeof tail;
	memcpy(msg + n, data + 6, size - 6);
	n += size - 6;
	/* Exactly as long as it is, so that a read beyond its end is seen. */
	msg = realloc(msg, n);
	parse(span_make(msg, n), &name, type);
	free(msg);
	return 0;
}
