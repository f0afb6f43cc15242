/* fuzz_dns_name.c - what is taken for a name is one in every respect, and hosts are names. */
#include <stdint.h>
#include <stdlib.h>

#include "dns/dns_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = span_make(data, size);
	struct dns_name name, again;
	const char *why = NULL;
	size_t label = 0;

	if (dns_name_parse(text, &name, &why) < 0) {
		CLAIM(why && why[0]);
		CLAIM(!dns_name_is_host(text));
		return 0;
	}
	CLAIM(name.n > 0 && name.n <= DNS_NAME_MAX && name.s[name.n] == '\0' && strlen(name.s) == name.n);
	for (size_t i = 0; i < name.n; i++) {
		CLAIM(name.s[i] > ' ' && name.s[i] < 0x7f && !(name.s[i] >= 'A' && name.s[i] <= 'Z'));
		label = name.s[i] == '.' ? 0 : label + 1;
		CLAIM(label <= DNS_LABEL_MAX);
	}
	CLAIM(dns_name_parse(dns_name_span(&name), &again, &why) == 0);
	CLAIM(span_eq(dns_name_span(&name), dns_name_span(&again)));
	CLAIM(dns_name_is_host(text) == dns_name_is_host(dns_name_span(&name)));
	/* An address is never a host's name. */
	struct ip_addr addr;
	CLAIM(!dns_name_is_host(text) || !ip_parse(dns_name_span(&name), &addr));
	return 0;
}
