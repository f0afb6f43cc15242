/* fuzz_dns_hosts.c - static answers from any text. Input: lines of type letter, name, blank, value. */
#include <stdint.h>
#include <stdlib.h>

#include "dns/dns_hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_TLSA };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	struct dns_hosts *h = dns_hosts_new();
	size_t added = 0;

	while (in.p && added < 200) {
		struct span line = span_cut(&in, '\n');
		struct errtext why = { "" };
		if (line.n < 2)
			continue;
		const enum dns_type type = types[(uint8_t)line.p[0] % 6];
		line = span_skip(line, 1);
		const struct span name = span_cut(&line, ' ');
		const int err = dns_hosts_add(h, name, type, line, &why);
		CLAIM(err == 0 ? why.s[0] == '\0' : why.s[0] != '\0');
		added += err == 0;
	}
	struct dns_hosts *copy = dns_hosts_copy(h);
	CLAIM(dns_hosts_count(copy) == dns_hosts_count(h) && dns_hosts_count(h) <= 6 * added);
	dns_hosts_free(&h);
	dns_hosts_free(&copy);
	return 0;
}
