#include "base/check.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The one state of the process that is not passed around: a check may fail anywhere. tests/lint/globals_allowed.lua names it. */
enum { PLACES_MAX = 256 };
static _Atomic uintptr_t check_places[PLACES_MAX];
static _Atomic unsigned check_failures;

struct line {
	char s[1024];
	size_t n;
};

/* Adds @text as it stands inside a JSON string: the source of an expression may hold string literals. The last octets of
 * the line stay free for its end. */
static void add_escaped(struct line *l, const char *text)
{
	for (; *text && l->n + 8 < sizeof l->s; text++) {
		if (*text == '"' || *text == '\\')
			l->s[l->n++] = '\\';
		l->s[l->n++] = *text;
	}
}

static void add(struct line *l, const char *text)
{
	while (*text && l->n < sizeof l->s)
		l->s[l->n++] = *text++;
}

static void add_number(struct line *l, unsigned v)
{
	if (v >= 10)
		add_number(l, v / 10);
	add(l, (char[]){ (char)('0' + v % 10), 0 });
}

static void report(const char *what, const char *file, int line, const char *fatal)
{
	struct line l = { .n = 0 };
	struct timespec now = { 0 };
	struct tm tm = { 0 };
	char time_text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	add(&l, "{\"time\":\"");
	add(&l, time_text);
	add(&l, "\",\"level\":\"error\",\"event\":\"bug\",\"fatal\":");
	add(&l, fatal);
	add(&l, ",\"at\":\"");
	add_escaped(&l, file);
	add(&l, ":");
	add_number(&l, (unsigned)line);
	add(&l, "\",\"what\":\"");
	add_escaped(&l, what);
	add(&l, "\"}\n");
	/* One write, so that the line stays whole among those of other threads. Nobody is left to tell if it fails. */
	if (write(STDERR_FILENO, l.s, l.n) < 0)
		return;
}

_Noreturn void check_require_failed(const char *what, const char *file, int line)
{
	report(what, file, line, "true");
	abort();
}

/* A check that fails for each message must not fill the log. When the table is full, new places are only counted. */
static bool first_time(const char *file, int line)
{
	const uintptr_t place = (uintptr_t)file * 65599u + (uintptr_t)line;

	for (unsigned i = 0; i < PLACES_MAX; i++) {
		uintptr_t there = 0;
		if (atomic_compare_exchange_strong(&check_places[(place + i) % PLACES_MAX], &there, place))
			return true;
		if (there == place)
			return false;
	}
	return false;
}

bool check_verify_failed(const char *what, const char *file, int line)
{
	atomic_fetch_add_explicit(&check_failures, 1, memory_order_relaxed);
	if (first_time(file, line))
		report(what, file, line, "false");
	return false;
}

unsigned check_verify_failures(void)
{
	return atomic_load_explicit(&check_failures, memory_order_relaxed);
}
