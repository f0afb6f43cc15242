/* ask.c - the Kerberos password backend on a loop, told what to do by lines: for backend.py.
 *
 * usage: kerberos_ask KEY=VALUE ...       keys: those of struct auth_kerberos_config
 *
 *   ask ID USER PASSWORD    both in hexadecimal, "-" for empty; later: "done ID ANSWER STATUS MS IDENTITY WHY" (tabs between)
 *   cancel ID
 *   forget [PRINCIPAL]      refresh      stats       each answered at once
 *   ticks                   "ticks COUNT LARGEST_GAP_MS" of a timer of 5 ms on the same loop, since the last time
 *   end                     frees the backend: "freed MS"; then waits for its threads and exits
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth_kerberos.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/poll.h"

enum { TICK_US = 5000, LINE_MAX_OCTETS = 16384 };

struct bed {
	struct loop *loop;
	struct scope scope;
	struct poll *in;
	struct buf line;
	struct auth_backend *backend;
	struct timer tick;
	int64_t ticked_us, gap_us;
	unsigned ticks;
	struct list asks;
	bool ended, left;
};

struct ask {
	struct auth_check c;
	struct list link; /* in bed.asks */
	struct bed *bed;
	unsigned id;
	char user[512];
	size_t nuser;
	struct secret password;
	int64_t began_us;
};

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void tick(struct timer *t)
{
	struct bed *b = container_of(t, struct bed, tick);
	const int64_t now = clock_us();

	b->ticks++;
	if (now - b->ticked_us > b->gap_us)
		b->gap_us = now - b->ticked_us;
	b->ticked_us = now;
	timer_set_in(b->loop, t, TICK_US);
}

static size_t unhex(struct span hex, char *out, size_t max)
{
	size_t n = 0;

	for (; hex.n >= 2 && n < max; hex = span_skip(hex, 2))
		out[n++] = (char)(ascii_hex_value(hex.p[0]) * 16 + ascii_hex_value(hex.p[1]));
	return n;
}

static void answered(struct op *op)
{
	struct ask *a = container_of(container_of(op, struct auth_check, op), struct ask, c);
	const bool right = op->status >= 0 && a->c.answer == AUTH_ANSWER_RIGHT;

	say("done\t%u\t%s\t%s\t%lld\t%s\t%s", a->id, auth_answer_name(a->c.answer),
	    err_name(op->status < 0 ? op->status : 0), (long long)(clock_us() - a->began_us) / 1000,
	    right ? a->c.identity.user : "", a->c.why);
	list_remove(&a->link);
	secret_deinit(&a->password);
	free(a);
}

static void ask(struct bed *b, struct span id, struct span user, struct span password)
{
	struct ask *a = mem_alloc(sizeof *a);
	uint64_t number = 0;
	char text[4096];

	span_to_u64(id, UINT32_MAX, &number);
	a->bed = b;
	a->id = (unsigned)number;
	a->nuser = unhex(user, a->user, sizeof a->user);
	secret_set(&a->password, span_make(text, unhex(password, text, sizeof text)));
	a->began_us = clock_us();
	op_init(&a->c.op, answered);
	a->c.user = span_make(a->user, a->nuser);
	a->c.password = &a->password;
	list_push_back(&b->asks, &a->link);
	require(b->backend->ops->check(b->backend, &a->c, &b->scope) == 0);
}

static void cancel(struct bed *b, struct span id)
{
	uint64_t number = 0;

	span_to_u64(id, UINT32_MAX, &number);
	list_for_each(link, &b->asks) {
		struct ask *a = list_entry(link, struct ask, link);
		if (a->id == number)
			op_cancel(&a->c.op);
	}
}

static void stats(struct bed *b)
{
	const struct auth_kerberos_stats s = auth_kerberos_stats(b->backend);

	say("stats\t%llu\t%llu\t%llu\t%llu\t%u\t%u\t%u\t%d", (unsigned long long)s.logins,
	    (unsigned long long)s.remembered, (unsigned long long)s.asked, (unsigned long long)s.late, s.busy,
	    s.queued, s.cached, s.kdc_down);
}

/* Threads of the backend's pool: by the name that the system shows. */
static unsigned threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "r");
		if (f && fgets(name, sizeof name, f))
			n += strcmp(name, "kerberos\n") == 0;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return n;
}

static void end(struct bed *b)
{
	const int64_t began = clock_us();

	b->backend->ops->free(b->backend);
	b->backend = NULL;
	say("freed\t%lld", (long long)(clock_us() - began) / 1000);
	/* What the pool did not join ends when its call does; nobody may use libkrb5 while the process exits. */
	b->left = threads() > 0;
	for (int i = 0; i < 6000 && threads() > 0; i++)
		usleep(10000);
	b->ended = true;
	scope_close(&b->scope);
}

static void command(struct bed *b, struct span line)
{
	const struct span verb = span_cut(&line, ' ');
	struct errtext e = { "" };

	if (span_eq(verb, SPAN("ask"))) {
		const struct span id = span_cut(&line, ' '), user = span_cut(&line, ' ');
		ask(b, id, user, line);
	} else if (span_eq(verb, SPAN("cancel"))) {
		cancel(b, line);
	} else if (span_eq(verb, SPAN("forget"))) {
		auth_kerberos_forget(b->backend, line);
		say("forgot");
	} else if (span_eq(verb, SPAN("refresh"))) {
		const int changed = b->backend->ops->refresh(b->backend, &e);
		say("refreshed\t%d\t%s", changed, e.s);
	} else if (span_eq(verb, SPAN("stats"))) {
		stats(b);
	} else if (span_eq(verb, SPAN("ticks"))) {
		say("ticks\t%u\t%lld", b->ticks, (long long)b->gap_us / 1000);
		b->ticks = 0;
		b->gap_us = 0;
	} else if (span_eq(verb, SPAN("end"))) {
		end(b);
	}
}

static void read_lines(void *arg, int fd, bool readable, bool writable)
{
	struct bed *b = arg;
	char room[4096];
	const ssize_t n = read(fd, room, sizeof room);

	(void)readable;
	(void)writable;
	if (n <= 0)
		end(b);
	else
		buf_add(&b->line, room, (size_t)n);
	for (ptrdiff_t at; !b->ended && (at = span_find_char(buf_span(&b->line), '\n')) >= 0;) {
		command(b, span_first(buf_span(&b->line), (size_t)at));
		buf_consume(&b->line, (size_t)at + 1);
	}
	if (b->ended)
		poll_free(&b->in);
}

static void closed(struct scope *s)
{
	struct bed *b = container_of(s, struct bed, scope);

	timer_unset(b->loop, &b->tick);
	loop_stop(b->loop);
}

static long long number(const char *text)
{
	return strtoll(text, NULL, 10);
}

static void set(struct auth_kerberos_config *c, const char *key, const char *value)
{
	const char **const text = strcmp(key, "realm") == 0       ? &c->realm
				  : strcmp(key, "service") == 0   ? &c->service
				  : strcmp(key, "keytab") == 0    ? &c->keytab
				  : strcmp(key, "krb5_conf") == 0 ? &c->krb5_conf
				  : strcmp(key, "allow") == 0     ? &c->allow
								  : NULL;
	int64_t *const us = strcmp(key, "timeout_us") == 0         ? &c->timeout_us
			    : strcmp(key, "breaker_retry_us") == 0 ? &c->breaker_retry_us
			    : strcmp(key, "cache_right_us") == 0   ? &c->cache_right_us
			    : strcmp(key, "cache_refused_us") == 0 ? &c->cache_refused_us
								   : NULL;
	unsigned *const count = strcmp(key, "threads") == 0           ? &c->threads
				: strcmp(key, "queue_max") == 0       ? &c->queue_max
				: strcmp(key, "breaker_bad_max") == 0 ? &c->breaker_bad_max
				: strcmp(key, "cache_entries") == 0   ? &c->cache_entries
								      : NULL;

	require(text || us || count);
	if (text)
		*text = value;
	if (us)
		*us = number(value);
	if (count)
		*count = (unsigned)number(value);
}

int main(int argc, char **argv)
{
	struct auth_kerberos_config config = { .service = "" };
	struct bed b = { .line = BUF_INIT(LINE_MAX_OCTETS * 64) };
	struct errtext e = { "" };

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		require(value);
		*value++ = '\0';
		set(&config, argv[i], value);
	}
	if (auth_kerberos_new(&config, &b.backend, &e) < 0) {
		say("failed\t%s", e.s);
		return 1;
	}
	b.loop = loop_new();
	scope_init(&b.scope, b.loop, closed);
	list_init(&b.asks);
	timer_init(&b.tick, tick);
	b.ticked_us = clock_us();
	timer_set_in(b.loop, &b.tick, TICK_US);
	b.in = poll_new(b.loop, STDIN_FILENO, read_lines, &b);
	require(b.in);
	poll_set(b.in, true, false);
	say("ready");
	loop_run(b.loop);
	loop_retire(b.loop);
	loop_free(&b.loop);
	buf_wipe(&b.line);
	buf_free(&b.line);
#ifdef __SANITIZE_THREAD__
	/* It cannot know that a thread which nobody joins has ended, and takes the library's end for a race with it. */
	if (b.left)
		_exit(0);
#endif
	return 0;
}
