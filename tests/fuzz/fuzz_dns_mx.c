/* fuzz_dns_mx.c - the order of mail hosts against the rules, one by one.
 *
 * Input: a list of { preference (2 octets), length, name }; a name that begins with '!' is one of ours. */
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "dns/dns_name.h"
#include "dns/mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static uint64_t below(void *arg, uint64_t bound)
{
	uint64_t *state = arg;

	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return (*state >> 33) % bound;
}

struct input {
	struct dns_record records[DNS_RECORDS_MAX];
	size_t n;
	struct span own[DNS_RECORDS_MAX];
	size_t own_n;
};

static void read_input(struct input *in, const uint8_t *data, size_t size)
{
	in->n = in->own_n = 0;
	while (size >= 3 && in->n < DNS_RECORDS_MAX) {
		struct span name = span_make(data + 3, data[2] < size - 3 ? data[2] : size - 3);
		const size_t used = 3 + name.n;
		if (span_starts(name, SPAN("!"))) {
			name = span_skip(name, 1);
			in->own[in->own_n++] = name;
		}
		in->records[in->n++] =
			(struct dns_record){ .preference = (uint16_t)(data[0] << 8 | data[1]), .data = name };
		data += used;
		size -= used;
	}
}

/* The best preference of @name (any case), or of any of ours with { NULL }; 65536 if there is none. */
static uint32_t best_of(const struct input *in, const struct mx_self *self, struct span name)
{
	uint32_t best = UINT16_MAX + 1U;

	for (size_t i = 0; i < in->n; i++) {
		const struct dns_record *r = &in->records[i];
		const bool meant = name.p ? span_eq(r->data, name) : mx_self_has_name(self, r->data);
		if (meant && dns_name_is_host(r->data) && r->preference < best)
			best = r->preference;
	}
	return best;
}

static void check(const struct input *in, const struct mx_self *self, enum mx_result result,
		  const struct mx_host *hosts, size_t n)
{
	const uint32_t ours = best_of(in, self, (struct span){ 0 });
	size_t usable = 0, wanted = 0;

	for (size_t i = 0; i < in->n; i++) {
		bool seen = !dns_name_is_host(in->records[i].data);
		for (size_t k = 0; k < i && !seen; k++)
			seen = span_eq(in->records[k].data, in->records[i].data);
		if (seen)
			continue;
		usable++;
		wanted += best_of(in, self, in->records[i].data) < ours;
	}
	if (in->n == 1 && span_eq(in->records[0].data, SPAN("."))) {
		CLAIM(result == MX_NULL);
		return;
	}
	CLAIM(result == (!usable ? MX_UNUSABLE : !wanted ? MX_LOOP : MX_FOUND));
	if (result != MX_FOUND)
		return;
	CLAIM(n == (wanted < MX_HOSTS_MAX ? wanted : MX_HOSTS_MAX));
	for (size_t i = 0; i < n; i++) {
		CLAIM(hosts[i].preference == best_of(in, self, hosts[i].name) && hosts[i].preference < ours);
		CLAIM(i == 0 || hosts[i - 1].preference <= hosts[i].preference);
		for (size_t k = 0; k < i; k++)
			CLAIM(!span_eq(hosts[k].name, hosts[i].name));
	}
	/* None that was left out is better than one that was taken. */
	for (size_t i = 0; i < in->n; i++) {
		bool taken = !dns_name_is_host(in->records[i].data);
		for (size_t k = 0; k < n && !taken; k++)
			taken = span_eq(hosts[k].name, in->records[i].data);
		CLAIM(taken || in->records[i].preference >= hosts[n - 1].preference);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;
	struct mx_host hosts[MX_HOSTS_MAX];
	size_t n = 0;

	read_input(&in, data, size);
	if (in.n == 0)
		return 0;
	uint64_t state = hash_crc32c(0, data, size);
	const struct mx_random rnd = { below, &state };
	const struct mx_self self = { in.own, in.own_n, NULL };
	struct dns_answer *a = dns_answer_new(DNS_MX, SPAN("example.org"), in.records, in.n);
	const enum mx_result result = mx_order(a, &self, &rnd, hosts, &n);
	check(&in, &self, result, hosts, n);
	dns_answer_unref(&a);
	return 0;
}
