#include "base/rate.h"

#define CELLS_US_MAX (INT64_MAX / 4)

__extension__ typedef __int128 wide; /* ISO C11 has no name for it */

static bool unit_us(struct span unit, int64_t *us_r)
{
	static const struct {
		struct span name;
		int64_t seconds;
	} units[] = {
		{ SPAN_INIT("s"), 1 },       { SPAN_INIT("sec"), 1 },     { SPAN_INIT("second"), 1 },
		{ SPAN_INIT("min"), 60 },    { SPAN_INIT("minute"), 60 }, { SPAN_INIT("m"), 60 },
		{ SPAN_INIT("h"), 3600 },    { SPAN_INIT("hour"), 3600 }, { SPAN_INIT("d"), 86400 },
		{ SPAN_INIT("day"), 86400 },
	};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (span_eq(unit, units[i].name)) {
			*us_r = units[i].seconds * 1000000;
			return true;
		}
	}
	return false;
}

/* Multiplications go through 128 bits: count and burst are up to 1e9, the period up to 1000 days. A cell is never free. */
static int64_t cells_us(const struct rate *r, uint64_t cells)
{
	const wide us = (wide)r->period_us * (wide)cells / (wide)r->count;

	if (us > CELLS_US_MAX)
		return CELLS_US_MAX;
	return us > 0 || cells == 0 ? (int64_t)us : 1;
}

bool rate_parse(struct span s, struct rate *rate_r)
{
	struct span period = s;
	const struct span count_text = span_trim(span_cut(&period, '/'));
	struct span option = period;
	struct rate r = { 0 };
	uint64_t factor = 1;
	int64_t us;

	if (!period.p || !span_to_u64(count_text, 1000000000, &r.count) || r.count == 0)
		return false;
	period = span_trim(span_cut(&option, ','));
	size_t digits = 0;
	while (digits < period.n && ascii_is_digit(period.p[digits]))
		digits++;
	if (digits && (!span_to_u64(span_first(period, digits), 1000, &factor) || factor == 0))
		return false;
	if (!unit_us(span_skip(period, digits), &us))
		return false;
	r.period_us = us * (int64_t)factor;
	if (r.count > (uint64_t)r.period_us)
		return false; /* finer than the clock */
	r.burst = r.count;
	if (option.p) {
		option = span_trim(option);
		if (!span_starts(option, SPAN("burst=")) ||
		    !span_to_u64(span_skip(option, 6), 1000000000, &r.burst) || r.burst == 0)
			return false;
	}
	if (cells_us(&r, r.burst) == CELLS_US_MAX)
		return false; /* 70000 years until the burst is there again */
	*rate_r = r;
	return true;
}

/* The most cells whose cells_us() is not over @us. */
static uint64_t us_cells(const struct rate *r, int64_t us)
{
	return us < 0 ? 0 : (uint64_t)((((wide)us + 1) * (wide)r->count - 1) / r->period_us);
}

/* The theoretical arrival time as this rate can have left it. One further ahead is of a clock that went back, or of a rate that
 * was stricter; it must not lock the key out. */
static int64_t bounded(int64_t tat_us, int64_t now_us, int64_t tolerance_us)
{
	if (tat_us <= now_us)
		return now_us;
	return tat_us - now_us < tolerance_us ? tat_us : now_us + tolerance_us;
}

static struct rate_result take(const struct rate *r, int64_t *tat_us, int64_t now_us, uint64_t quantity)
{
	const int64_t tolerance = cells_us(r, r->burst);
	const int64_t tat = bounded(*tat_us, now_us, tolerance);
	const int64_t next = tat + cells_us(r, quantity);
	struct rate_result res = { .allowed = quantity <= r->burst && next - now_us <= tolerance };

	if (res.allowed)
		*tat_us = next;
	else
		res.retry_after_us = quantity > r->burst ? -1 : next - now_us - tolerance;
	const int64_t after = res.allowed ? next : tat;
	res.remaining = us_cells(r, tolerance - (after - now_us));
	if (res.remaining > r->burst)
		res.remaining = r->burst;
	res.reset_after_us = after - now_us;
	return res;
}

struct rate_result rate_take(const struct rate *r, int64_t *tat_us, int64_t now_us, uint64_t quantity)
{
	return take(r, tat_us, now_us, quantity);
}

struct rate_result rate_peek(const struct rate *r, int64_t tat_us, int64_t now_us, uint64_t quantity)
{
	return take(r, &tat_us, now_us, quantity);
}

void rate_refund(const struct rate *r, int64_t *tat_us, int64_t now_us, uint64_t quantity)
{
	const int64_t tat = bounded(*tat_us, now_us, cells_us(r, r->burst)) - cells_us(r, quantity);

	*tat_us = tat > now_us ? tat : now_us;
}
