/* Octets of a stranger's web server and DNS, as MTA-STS policy and record: what passes is what it says it is. */
#include "base/check.h"
#include "sts/sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct span in = span_make(data, n);
	struct sts_policy *p;
	struct span id;
	const char *why = NULL;

	if (sts_record_parse(in, &id) == 0)
		require(id.n >= 1 && id.n <= STS_ID_MAX && id.p >= in.p && id.p + id.n <= in.p + in.n);
	if (sts_policy_parse(in, &p, &why) < 0) {
		require(why != NULL);
		return 0;
	}
	require(p->mode < STS_MODE_MAX_ && p->max_age_s <= STS_MAX_AGE_S && p->nmx <= STS_MX_MAX);
	require(p->nmx > 0 || p->mode == STS_MODE_NONE);
	for (size_t i = 0; i < p->nmx; i++) {
		require(p->mx[i].n > 0 && p->mx[i].n <= 254);
		if (p->mx[i].p[0] != '.')
			require(sts_policy_has_mx(p, p->mx[i]));
	}
	sts_policy_unref(&p);
	return 0;
}
