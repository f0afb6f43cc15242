#include "queue/queue_parcel.h"

static const struct span magic = SPAN_INIT("PSTQ1\n");

static char *put(char *at, uint64_t v, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		*at++ = (char)(v >> 8 * i & 0xff);
	return at;
}

static uint64_t get(const char *at, unsigned octets)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < octets; i++)
		v |= (uint64_t)(uint8_t)at[i] << 8 * i;
	return v;
}

void queue_parcel_write(const struct queue_parcel *p, char octets[QUEUE_PARCEL_FIXED])
{
	memcpy(octets, magic.p, magic.n);
	put(put(put(put(octets + magic.n, p->envelope_n, 4), p->state_n, 4), p->head_n, 4), p->body_n, 8);
}

bool queue_parcel_read(const char octets[QUEUE_PARCEL_FIXED], struct queue_parcel *p_r)
{
	const char *at = octets + magic.n;

	if (memcmp(octets, magic.p, magic.n) != 0)
		return false;
	*p_r = (struct queue_parcel){
		.envelope_n = (uint32_t)get(at, 4),
		.state_n = (uint32_t)get(at + 4, 4),
		.head_n = (uint32_t)get(at + 8, 4),
		.body_n = get(at + 12, 8),
	};
	return true;
}

void queue_parcel_write_crc(uint32_t crc, char octets[QUEUE_PARCEL_CRC])
{
	put(octets, crc, QUEUE_PARCEL_CRC);
}

uint32_t queue_parcel_read_crc(const char octets[QUEUE_PARCEL_CRC])
{
	return (uint32_t)get(octets, QUEUE_PARCEL_CRC);
}
