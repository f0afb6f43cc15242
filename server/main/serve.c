#include "main/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "base/mem.h"
#include "control/control.h"
#include "gen/version.h"
#include "io/signal.h"
#include "io/tcp.h"
#include "main/config.h"
#include "main/privileges.h"
#include "main/refresh.h"
#include "main/watchdog.h"
#include "main/worker.h"
#include "state/bans_memory.h"
#include "state/limit_memory.h"

enum {
	DRAIN_GRACE_US = 30000000,
	BACKLOG = 1024,
	DISK_THREADS = 4,
	DISK_QUEUE = 4096,
	BANS_ENTRIES_MAX = 50000,
};

#define BANS_KNOWN_US (INT64_C(7) * 24 * 3600 * 1000000)

struct server {
	const char *config_file;
	struct config *cfg;
	struct process process;
	struct log_writer *writer;
	struct logger log;         /* under `lock` once control serves: a reload may come from there */
	struct logger control_log; /* of control's threads */
	struct metric_shard metrics;
	struct worker *worker[CONFIG_WORKERS_MAX];
	struct control_worker *view[CONFIG_WORKERS_MAX];
	unsigned nworkers;
	struct worker_fd *fds[CONFIG_WORKERS_MAX]; /* per worker */
	unsigned nfds;
	struct loop *loop;
	struct control *control;
	struct watchdog *watchdog;
	struct signal_watch *signals[3];
	struct timer refresh; /* of files beside the configuration */
	pthread_mutex_t lock; /* of `cfg` and `log`: a signal and the admin API may both ask for a reload */
	_Atomic uint64_t generation;
	int64_t began_us; /* monotonic: the process */
	int64_t started_at_us;
	const char *stop_reason;
};

/* The loop's stands still while we block, and before there is one. */
static int64_t clock_us(void)
{
	struct timespec t;

	require(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- start ---------------------------------------------------------------------------------------------------- */

/* One descriptor per worker and address. Port 0 is for tests: all workers then share the port that the first one got. */
static int bind_all(struct server *s, struct errtext *e)
{
	const struct config *cfg = s->cfg;

	for (unsigned i = 0; i < cfg->nlisteners; i++)
		s->nfds += cfg->listeners[i].nbind;
	for (unsigned w = 0; w < s->nworkers; w++)
		s->fds[w] = mem_alloc_array(s->nfds, sizeof(struct worker_fd));
	unsigned at = 0;
	for (unsigned i = 0; i < cfg->nlisteners; i++) {
		for (unsigned b = 0; b < cfg->listeners[i].nbind; b++, at++) {
			struct ip_endpoint to = cfg->listeners[i].bind[b], bound = to;
			for (unsigned w = 0; w < s->nworkers; w++) {
				const int fd = tcp_listen_fd(&to, BACKLOG, &bound, e);
				if (fd < 0) {
					errtext_wrap(e, "listener \"%.*s\"",
						     SPAN_ARG(cfg->listeners[i].session.name));
					return fd;
				}
				to = bound;
				s->fds[w][at] = (struct worker_fd){ fd, i };
			}
			struct log_rec r;
			if (log_begin(&r, &s->log, LOG_EV_LISTENER_OPENED)) {
				char addr[80];
				snprintf(addr, sizeof addr, bound.addr.len == 16 ? "[%s]:%u" : "%s:%u",
					 ip_format(&bound.addr).s, bound.port);
				log_str(&r, LOG_F_LISTENER, cfg->listeners[i].session.name);
				log_cstr(&r, LOG_F_ADDR, addr);
				log_cstr(&r, LOG_F_TLS,
					 session_tls_mode_name(cfg->listeners[i].session.tls.mode));
				log_end(&r);
			}
		}
	}
	return 0;
}

static void log_found(struct server *s, const struct worker *w)
{
	struct log_rec r;

	if (!log_begin(&r, &s->log, LOG_EV_QUEUE_RECOVERED))
		return;
	log_int(&r, LOG_F_COUNT, (int64_t)w->found.messages);
	log_int(&r, LOG_F_SEGMENTS, (int64_t)w->found.segments);
	log_int(&r, LOG_F_TORN_BYTES, (int64_t)w->found.torn_octets);
	log_int(&r, LOG_F_DURATION_US, w->found.took_us);
	log_end(&r);
}

static int start_workers(struct server *s, struct errtext *e)
{
	for (unsigned i = 0; i < s->nworkers; i++) {
		s->worker[i] = worker_start(&s->process, i, s->cfg, s->fds[i], s->nfds);
		s->view[i] = &s->worker[i]->view;
	}
	for (unsigned i = 0; i < s->nworkers; i++) {
		const int err = worker_wait_ready(s->worker[i], e);
		if (err < 0)
			return err;
		log_found(s, s->worker[i]);
	}
	return 0;
}

/* ---- reload --------------------------------------------------------------------------------------------------- */

static void log_problems(struct server *s, const struct config_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct log_rec r;
		char at[300];
		if (!log_begin(&r, &s->log, p->v[i].warning ? LOG_EV_CONFIG_WARNING : LOG_EV_CONFIG_REFUSED))
			continue;
		snprintf(at, sizeof at, "%.*s:%u", SPAN_ARG(p->v[i].file), p->v[i].line);
		log_cstr(&r, LOG_F_FILE, s->config_file);
		log_cstr(&r, LOG_F_AT, at);
		log_str(&r, LOG_F_TEXT, p->v[i].text);
		log_end(&r);
	}
}

static void problems_json(const struct config_problems *p, struct buf *out)
{
	struct json j = json_to(out);

	json_array(&j, NULL);
	for (size_t i = 0; i < p->n; i++) {
		json_object(&j, NULL);
		json_str(&j, "file", p->v[i].file);
		json_int(&j, "line", p->v[i].line);
		json_str(&j, "text", p->v[i].text);
		json_bool(&j, "warning", p->v[i].warning);
		json_object_end(&j);
	}
	json_array_end(&j);
}

/* A configuration that does not validate changes nothing. */
static int reload(struct server *s, struct config_problems *problems)
{
	struct config *next;
	int err = config_load(s->config_file, problems, &next);

	if (err == 0 && config_reload_check(s->cfg, next, problems) > 0) {
		err = -ERR_INVAL;
		config_unref(&next);
	}
	if (err < 0) {
		metric_add(&s->metrics, METRIC_CONFIG_REFUSED_TOTAL, 1);
		return err;
	}
	privileges_hide_memory(next); /* it may bring the first secret */
	config_inherit(next, s->cfg);
	for (unsigned i = 0; i < s->nworkers; i++)
		worker_reload(s->worker[i], next);
	config_unref(&s->cfg);
	s->cfg = next;
	atomic_fetch_add(&s->generation, 1);
	metric_set(&s->metrics, METRIC_CONFIG_GENERATION, (int64_t)atomic_load(&s->generation));
	return 0;
}

static int reload_and_log(struct server *s, struct buf *json)
{
	struct arena *mem = arena_new(256 * 1024);
	struct config_problems problems;

	config_problems_init(&problems, mem);
	pthread_mutex_lock(&s->lock);
	const int err = reload(s, &problems);
	log_problems(s, &problems);
	if (err == 0) {
		struct log_rec r;
		if (log_begin(&r, &s->log, LOG_EV_CONFIG_LOADED)) {
			log_cstr(&r, LOG_F_FILE, s->config_file);
			log_int(&r, LOG_F_GENERATION, (int64_t)atomic_load(&s->generation));
			log_end(&r);
		}
	}
	log_flush(&s->log);
	pthread_mutex_unlock(&s->lock);
	if (json)
		problems_json(&problems, json);
	arena_free(&mem);
	return err;
}

static int on_control_reload(void *arg, struct buf *problems)
{
	return reload_and_log(arg, problems);
}

/* ---- files that are replaced ---------------------------------------------------------------------------------- */

/* Certificates are renewed, users get new passwords: what is in the files now holds for what begins from now on. */
static void on_refresh(struct timer *t)
{
	struct server *s = container_of(t, struct server, refresh);

	pthread_mutex_lock(&s->lock);
	refresh_files(s->cfg, &s->log);
	log_flush(&s->log);
	pthread_mutex_unlock(&s->lock);
	timer_set_in(s->loop, t, REFRESH_EVERY_US);
}

/* ---- end ------------------------------------------------------------------------------------------------------ */

static void stop(struct server *s, const char *reason)
{
	struct log_rec r;

	if (s->stop_reason)
		return;
	s->stop_reason = reason;
	pthread_mutex_lock(&s->lock);
	if (log_begin(&r, &s->log, LOG_EV_SERVER_STOPPING)) {
		log_cstr(&r, LOG_F_REASON, reason);
		log_end(&r);
	}
	log_flush(&s->log);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nworkers; i++)
		worker_drain(s->worker[i], DRAIN_GRACE_US);
	loop_stop(s->loop);
}

struct stop_letter {
	struct letter letter;
	struct server *server;
};

static void on_stop_letter(struct letter *l)
{
	struct stop_letter *sl = container_of(l, struct stop_letter, letter);

	stop(sl->server, "admin API");
	free(sl);
}

static void on_control_shutdown(void *arg)
{
	struct server *s = arg;
	struct stop_letter *l = mem_alloc(sizeof *l);

	l->letter.open = on_stop_letter;
	l->server = s;
	if (!loop_post(s->loop, &l->letter))
		free(l);
}

static uint64_t on_control_generation(void *arg)
{
	return atomic_load(&((struct server *)arg)->generation);
}

static int on_control_ready(void *arg, struct errtext *e)
{
	struct server *s = arg;

	for (unsigned i = 0; i < s->nworkers; i++)
		if (atomic_load(&s->worker[i]->state) != WORKER_READY)
			return errtext_set(e, ERR_BUSY, "worker %u does not serve", i);
	return 0;
}

static int on_control_live(void *arg, struct errtext *e)
{
	return watchdog_check(((struct server *)arg)->watchdog, e);
}

static void on_signal(void *arg, int signum)
{
	struct server *s = arg;

	if (signum == SIGHUP)
		reload_and_log(s, NULL);
	else
		stop(s, signum == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static int open_control(struct server *s, struct errtext *e)
{
	const struct control_env env = { .workers = s->view,
					 .nworkers = s->nworkers,
					 .process_metrics = &s->metrics,
					 .log_writer = s->writer,
					 .ledger = s->process.ledger,
					 .clients = s->process.clients,
					 .limits = s->process.limits,
					 .bans = s->process.bans,
					 .tls_report = s->process.tls_report,
					 .node = s->process.node,
					 .log = &s->control_log,
					 .config_file = s->config_file,
					 .started_at_us = s->started_at_us,
					 .arg = s,
					 .reload = on_control_reload,
					 .shutdown = on_control_shutdown,
					 .generation = on_control_generation,
					 .ready = on_control_ready,
					 .live = on_control_live };
	const int fd = s->cfg->control.n ? control_listen(s->cfg->control.p, e) : -ERR_NOTFOUND;

	if (!s->cfg->control.n)
		return 0;
	return fd < 0 ? fd : control_start(&s->control, &env, fd, e);
}

static int make_data_dir(const struct config *cfg, struct errtext *e)
{
	if (mkdir(cfg->data_dir.p, 0700) == 0 || errno == EEXIST)
		return 0;
	return errtext_set(e, err_from_errno(errno), "data_dir %s: %s", cfg->data_dir.p, strerror(errno));
}

static int prepare(struct server *s, struct errtext *e)
{

	signal(SIGPIPE, SIG_IGN);
	privileges_raise_descriptors();
	int err = dns_global_init();
	if (err == 0)
		err = bind_all(s, e);
	if (err == 0)
		err = make_data_dir(s->cfg, e);
	if (err == 0)
		err = privileges_drop(s->cfg, e);
	privileges_hide_memory(s->cfg); /* after it: a change of user makes a process readable again */
	if (err == 0)
		err = spool_lock(s->cfg->spool.dir, e);
	return err;
}

static void init_log(const struct server *s, struct logger *log)
{
	logger_init(log, s->process.log);
	log->level_max = s->cfg->log_level;
	log->format = s->cfg->log_format;
	log->node = s->process.node;
	log->worker = -1;
}

static void make_shared(struct server *s)
{
	const struct config *cfg = s->cfg;

	s->writer = log_writer_new(STDERR_FILENO, LOG_PENDING_MAX);
	s->process = (struct process){ .ledger = ledger_new(),
				       .clients = clients_new(),
				       .limits = limit_memory_new(&(struct limit_memory_config){
					       .keys_max = 1000000, .source = LIMIT_SOURCE_MEMORY }),
				       .bans = bans_memory_new(&(struct bans_memory_config){
					       .entries_max = BANS_ENTRIES_MAX, .known_us = BANS_KNOWN_US }),
				       .http = http_client_new(),
				       .tls_report = tls_report_new(),
				       .disk = work_pool_new("disk", DISK_THREADS, DISK_QUEUE),
				       .log = log_writer_sink(s->writer),
				       .node = mem_strdup(cfg->hostname.p) }; /* this configuration will go */
	init_log(s, &s->log);
	init_log(s, &s->control_log);
	metric_shard_init(&s->metrics);
	metric_set(&s->metrics, METRIC_CONFIG_GENERATION, 1);
	s->nworkers = cfg->workers;
	metric_set(&s->metrics, METRIC_WORKERS, s->nworkers);
	s->loop = loop_new();
	loop_set_resident(s->loop, true);
	s->started_at_us = loop_wall_us(s->loop);
	metric_set(&s->metrics, METRIC_START_TIME_SECONDS, s->started_at_us / 1000000);
	atomic_store(&s->generation, 1);
}

static void log_started(struct server *s)
{
	struct log_rec r;

	pthread_mutex_lock(&s->lock);
	if (log_begin(&r, &s->log, LOG_EV_SERVER_STARTED)) {
		log_cstr(&r, LOG_F_VERSION, POSTERN_VERSION);
		log_int(&r, LOG_F_PID, getpid());
		log_int(&r, LOG_F_WORKERS, s->nworkers);
		log_cstr(&r, LOG_F_FILE, s->config_file);
		log_int(&r, LOG_F_DURATION_US, clock_us() - s->began_us);
		log_end(&r);
	}
	log_flush(&s->log);
	pthread_mutex_unlock(&s->lock);
}

static void free_server(struct server *s)
{
	for (unsigned w = 0; w < s->nworkers; w++)
		free(s->fds[w]);
	work_pool_free(&s->process.disk);
	http_client_unref(&s->process.http);
	tls_report_free(&s->process.tls_report);
	limit_memory_free(&s->process.limits);
	bans_free(&s->process.bans);
	clients_free(&s->process.clients);
	ledger_free(&s->process.ledger);
	logger_deinit(&s->log);
	logger_deinit(&s->control_log);
	metric_shard_deinit(&s->metrics);
	log_writer_close(&s->writer, 5000);
	loop_set_resident(s->loop, false);
	while (loop_run_once(s->loop, false)) { /* the closing of the signal watches */
	}
	loop_free(&s->loop);
	dns_global_deinit();
	config_unref(&s->cfg);
	free((char *)s->process.node);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int failed(struct server *s, const struct errtext *e)
{
	struct log_rec r;

	if (log_begin(&r, &s->log, LOG_EV_SERVER_FAILED)) {
		log_cstr(&r, LOG_F_TEXT, e->s);
		log_end(&r);
	}
	log_flush(&s->log);
	if (!s->worker[0]) {
		free_server(s);
		return 1;
	}
	/* Workers run, perhaps in the middle of a recovery: nothing was acknowledged yet, and what is on the disk is
	 * left as it is. */
	log_writer_close(&s->writer, 1000);
	_exit(1);
}

static int serve(struct server *s, const struct config_problems *warnings)
{
	static const int caught[] = { SIGHUP, SIGTERM, SIGINT };
	struct errtext e = { "" };

	make_shared(s);
	log_problems(s, warnings);
	if (prepare(s, &e) < 0 || start_workers(s, &e) < 0)
		return failed(s, &e);
	s->watchdog = watchdog_start(s->worker, s->nworkers, &s->process);
	if (open_control(s, &e) < 0) {
		log_text(&s->log, LOG_EV_SERVER_NOTICE, "control: %s", e.s);
		return failed(s, &e);
	}
	for (unsigned i = 0; i < ARRAY_LEN(caught); i++)
		s->signals[i] = signal_watch_new(s->loop, caught[i], on_signal, s);
	timer_init(&s->refresh, on_refresh);
	timer_set_in(s->loop, &s->refresh, REFRESH_EVERY_US);
	log_started(s);
	loop_run(s->loop);
	timer_unset(s->loop, &s->refresh);
	control_stop(&s->control);
	watchdog_stop(s->watchdog);
	for (unsigned i = 0; i < s->nworkers; i++)
		worker_join(&s->worker[i]);
	watchdog_free(&s->watchdog);
	for (unsigned i = 0; i < ARRAY_LEN(caught); i++)
		signal_watch_free(&s->signals[i]);
	struct log_rec r;
	if (log_begin(&r, &s->log, LOG_EV_SERVER_STOPPED)) {
		log_cstr(&r, LOG_F_REASON, s->stop_reason);
		log_end(&r);
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: postern serve --config FILE\n", stderr);
	return 2;
}

int serve_main(int argc, char **argv)
{
	struct server *s;
	struct config_problems problems;
	struct buf text = BUF_INIT(1024 * 1024);
	const int64_t began_us = clock_us();

	if (argc != 2 || (strcmp(argv[0], "--config") != 0 && strcmp(argv[0], "-c") != 0))
		return usage();
	s = mem_alloc(sizeof *s);
	s->config_file = argv[1];
	s->began_us = began_us;
	require(pthread_mutex_init(&s->lock, NULL) == 0);
	struct errtext why = { "" };
	if (config_global_init(&why) < 0) {
		fprintf(stderr, "%s\n", why.s);
		free(s);
		return 1;
	}
	struct arena *mem = arena_new(256 * 1024);
	config_problems_init(&problems, mem);
	const int err = config_load(s->config_file, &problems, &s->cfg);
	if (err < 0) {
		config_problems_write(&problems, &text);
		fprintf(stderr, "%s%s: not started\n", buf_cstr(&text), s->config_file);
		buf_free(&text);
		arena_free(&mem);
		free(s);
		return 1;
	}
	const int status = serve(s, &problems);
	arena_free(&mem);
	if (status == 0)
		free_server(s);
	return status;
}
