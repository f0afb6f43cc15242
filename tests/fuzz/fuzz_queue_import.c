/* Exports of other nodes: fed in odd pieces, each is a whole message of the queue or nothing. */
#include "../unit/queue/queue_bed.h"

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "queue/queue_export.h"
#include "queue/queue_parcel.h"

static void on_done(struct op *op)
{
	(void)op;
}

static int import(struct bed *b, struct span in, size_t step)
{
	struct queue_import im;
	struct scope scope;
	bool ended = false;
	int64_t n = 0;

	scope_init(&scope, b->loop, NULL);
	queue_import_init(&im, b->q, on_done);
	while (in.n && !ended && n >= 0) {
		n = queue_import_feed(&im, span_first(in, step), &ended);
		if (n > 0)
			in = span_skip(in, (size_t)n);
		else if (n == 0)
			loop_run_once(b->loop, false);
	}
	int ret = ended && n >= 0 ? queue_import_commit(&im, &scope) : -ERR_AGAIN;
	for (int i = 0; ret == 0 && op_pending(&im.op) && i < 10; i++)
		loop_run_once(b->loop, false);
	if (ret == 0)
		ret = im.op.status;
	queue_import_deinit(&im);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bed b;
	struct buf in = BUF_INIT(1 << 20);
	struct queue_parcel p;

	if (size < 1)
		return 0;
	bed_start(&b);
	b.idle = true;
	b.spool.again_each = data[0] & 8 ? 2 : 0;
	buf_add(&in, data + 1, size - 1);
	/* Most inputs get the checksum that they lack, so that they come through to the rest. */
	if (data[0] & 16 && in.n >= QUEUE_PARCEL_FIXED && queue_parcel_read(in.p, &p)) {
		const uint64_t n =
			QUEUE_PARCEL_FIXED + p.envelope_n + (uint64_t)p.state_n + p.head_n + p.body_n;
		char crc[QUEUE_PARCEL_CRC];
		if (n <= in.n && n >= QUEUE_PARCEL_FIXED) {
			queue_parcel_write_crc(hash_crc32c(0, in.p, n), crc);
			buf_remove(&in, n, in.n - n);
			buf_add(&in, crc, sizeof crc);
		}
	}
	const int ret = import(&b, buf_span(&in), 1 + (data[0] & 7) * 5u);
	if ((ret == 0) != (bed_stats(&b).messages + b.removed == 1))
		abort();
	buf_free(&in);
	bed_end(&b);
	if (test_failures)
		abort();
	return 0;
}
