/* Mail is refused before the disk is full: what was accepted must still be noted, moved and dropped. */
#include "spool/spool_priv.h"

#define CHECK_US     (100 * INT64_C(1000))
#define CHECK_OCTETS (UINT64_C(64) * 1024 * 1024)

static void log_space(struct spool *s, enum log_event event, uint64_t available)
{
	struct log_rec r;

	if (!log_begin(&r, s->log, event))
		return;
	log_cstr(&r, LOG_F_FILE, s->dir);
	log_int(&r, LOG_F_FREE_BYTES, (int64_t)available);
	log_int(&r, LOG_F_NEEDED_BYTES, (int64_t)s->cfg.free_alarm_bytes);
	log_end(&r);
}

/* What may still be written: free space, and segments that are allocated and not used. */
static uint64_t available_octets(struct spool *s)
{
	struct spool_guard *g = &s->guard;
	const int64_t now_us = loop_now_us(s->loop);
	struct spool_log_state st;

	if (!g->checked_us || now_us - g->checked_us >= CHECK_US || g->written >= CHECK_OCTETS) {
		uint64_t octets;
		/* A file system that cannot tell: a write will. */
		g->free_octets = s->fs->free_octets(s->fs->arg, s->dir, &octets) < 0 ? INT64_MAX : octets;
		g->checked_us = now_us;
		g->written = 0;
	}
	spool_log_state(s->volumes[0].log, &st);
	const uint64_t free_octets = g->free_octets > g->written ? g->free_octets - g->written : 0;
	return free_octets + st.unused_octets;
}

int spool_guard_check(struct spool *s, uint64_t want)
{
	struct spool_guard *g = &s->guard;
	const uint64_t available = available_octets(s);
	const bool low = available < s->cfg.free_alarm_bytes;

	/* Once per fall: it has to rise well over the mark before it can fall again. */
	if (low && !g->low) {
		g->low = true;
		log_space(s, LOG_EV_SPOOL_SPACE_LOW, available);
	} else if (g->low && available > s->cfg.free_alarm_bytes + s->cfg.free_alarm_bytes / 8) {
		g->low = false;
		log_space(s, LOG_EV_SPOOL_SPACE_OK, available);
	}
	g->refusing = available < s->cfg.free_min_bytes + s->reserved + want;
	return g->refusing ? -ERR_NOSPACE : 0;
}

void spool_guard_written(struct spool *s, uint64_t octets)
{
	s->guard.written += octets;
}
