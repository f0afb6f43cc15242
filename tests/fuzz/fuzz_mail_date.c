/* fuzz_mail_date.c - a date that is read is the same when it is written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_date d, again;

	if (mail_date_parse(span_make(data, size), &d) < 0)
		return 0;
	const struct mail_date_text text = mail_date_format(d.unix_s, d.zone_min);
	/* A zone can carry the first and the last day out of what can be written. */
	if (d.unix_s < -62135500000 || d.unix_s > 253402200000)
		return 0;
	if (mail_date_parse(span_of(text.s), &again) < 0 || again.unix_s != d.unix_s ||
	    again.zone_min != d.zone_min || again.flags)
		abort();
	return 0;
}
