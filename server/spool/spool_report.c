/* What a log reports, as log events and metrics. */
#include "spool/spool_priv.h"

#include "base/random.h"

static void log_failed(struct spool *s, const struct spool_report *r)
{
	struct log_rec rec;

	if (!log_begin(&rec, s->log, LOG_EV_SPOOL_FAILED))
		return;
	if (r->segment)
		log_int(&rec, LOG_F_SEGMENT, r->segment);
	log_cstr(&rec, LOG_F_FILE, s->dir);
	if (r->at)
		log_int(&rec, LOG_F_OFFSET_BYTES, (int64_t)r->at);
	log_cstr(&rec, LOG_F_WHAT,
		 r->kind == SPOOL_REPORT_BROKEN ? "no segment can be written: mail is refused"
						: "a write failed");
	log_cstr(&rec, LOG_F_ERROR, err_name(r->err));
	log_cstr(&rec, LOG_F_TEXT, r->text);
	log_end(&rec);
}

static void log_corrupt(struct spool *s, const struct spool_report *r)
{
	struct log_rec rec;

	if (!log_begin(&rec, s->log, LOG_EV_SPOOL_CORRUPT))
		return;
	log_int(&rec, LOG_F_SEGMENT, r->segment);
	log_cstr(&rec, LOG_F_FILE, s->dir);
	log_int(&rec, LOG_F_OFFSET_BYTES, (int64_t)r->at);
	if (r->id)
		log_cstr(&rec, LOG_F_ID, id_from_u64(r->id).s);
	log_cstr(&rec, LOG_F_TEXT, r->text);
	log_end(&rec);
}

void spool_on_report(void *arg, const struct spool_report *r)
{
	struct spool *s = arg;
	struct log_rec rec;

	switch (r->kind) {
	case SPOOL_REPORT_CORRUPT:
		log_corrupt(s, r);
		break;
	case SPOOL_REPORT_FAILED:
		metric_add(s->metrics, METRIC_SPOOL_FAILURES_TOTAL, 1);
		log_failed(s, r);
		break;
	case SPOOL_REPORT_BROKEN:
		s->broken_at_us = loop_now_us(s->loop);
		log_failed(s, r);
		break;
	case SPOOL_REPORT_MENDED:
		if (!log_begin(&rec, s->log, LOG_EV_SPOOL_RECOVERED))
			break;
		log_int(&rec, LOG_F_SEGMENT, r->segment);
		log_int(&rec, LOG_F_DURATION_US, loop_now_us(s->loop) - s->broken_at_us);
		log_end(&rec);
		break;
	case SPOOL_REPORT_COMPACTED:
		if (!log_begin(&rec, s->log, LOG_EV_SPOOL_COMPACTED))
			break;
		log_int(&rec, LOG_F_SEGMENT, r->segment);
		log_int(&rec, LOG_F_MOVED, (int64_t)r->moved);
		log_int(&rec, LOG_F_FREED_BYTES, (int64_t)r->octets);
		log_end(&rec);
		break;
	}
}
