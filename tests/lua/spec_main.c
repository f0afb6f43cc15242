/* spec_main.c - runs spec files of policies (policy/spec_host.h): spec_main FILE... */
#include <stdio.h>
#include <stdlib.h>

#include "dns/dns.h"
#include "policy/spec_host.h"

int main(int argc, char **argv)
{
	struct spec_result all = { 0, 0 };

	if (dns_global_init() < 0)
		return 2;
	for (int i = 1; i < argc; i++) {
		struct buf out = BUF_INIT(16 * 1024 * 1024);
		struct spec_result r;
		if (spec_run(argv[i], NULL, &out, &r) < 0)
			return 2;
		(void)fwrite(out.p, 1, out.n, stdout);
		buf_free(&out);
		all.run += r.run;
		all.failed += r.failed;
	}
	printf("%u run, %u failed\n", all.run, all.failed);
	dns_global_deinit();
	return all.failed != 0 || all.run == 0;
}
