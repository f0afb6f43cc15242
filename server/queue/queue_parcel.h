/* queue/queue_parcel.h - the fixed part and the checksum of an exported message. Format:
 * queue/queue_export.h.
 *
 * Pure.  Tests: tests/unit/queue/test_queue_export.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { QUEUE_PARCEL_FIXED = 6 + 3 * 4 + 8, QUEUE_PARCEL_CRC = 4 };

struct queue_parcel {
	uint32_t envelope_n, state_n, head_n;
	uint64_t body_n;
};

void queue_parcel_write(const struct queue_parcel *p, char octets[QUEUE_PARCEL_FIXED]);
bool queue_parcel_read(const char octets[QUEUE_PARCEL_FIXED],
		       struct queue_parcel *p_r); /* false: it is not ours */
void queue_parcel_write_crc(uint32_t crc, char octets[QUEUE_PARCEL_CRC]);
uint32_t queue_parcel_read_crc(const char octets[QUEUE_PARCEL_CRC]);
