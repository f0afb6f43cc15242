/* sim_spool.c - random histories of a log on a simulated disk: crashes at every operation, failures, damage.
 *
 *   sim_spool [histories [seed [crashes|failures|damage|bounded]]]
 *
 * A history is random actions (messages come, are noted, dropped, synced; batches and chores run, in any interleaving), then the
 * machine stops, the disk keeps what it has to and whatever else chance wants, and the log is opened again. Then must hold:
 *
 *   1. A message whose commit completed is found, octet for octet, unless its drop was requested.
 *   2. One whose drop was durable is not found, now or later. What was once missing stays missing.
 *   3. The notes of a message are found, without a gap up to the last durable one.
 *   4. Nothing else is found, and nothing is called damaged.
 *   5. With a bit flipped on the disk: 1 and 2 hold, or damage is reported; what is found is intact all the same.
 *   6. Disk use stays bounded when one message is held while many pass.
 *
 * Then the history goes on from there. A failure prints kind and seed: `sim_spool 1 SEED KIND` runs that one alone.
 */
#include <inttypes.h>

#include "base/hash.h"
#include "spool/spool_body.h"
#include "spool/spool_log.h"

#include "fs_model.h"

enum { MESSAGES_MAX = 4096, NOTES_MAX = 63, SEGMENT = 16 * 1024, DIR_NUMBER = 7, BODY_LARGE = 70000 };

enum fate {
	FATE_OPEN,    /* its commit has not ended: both are right */
	FATE_KEPT,    /* its commit completed */
	FATE_UNKNOWN, /* its commit failed, or its drop may not be durable: both are right until the next look */
	FATE_GONE,    /* it must not be found any more */
};

struct message {
	struct spool_rec rec;
	struct sim *sim;
	uint64_t id, seed;
	enum fate fate;
	size_t size;
	bool large, dropping, drop_marked, found, listed;
	bool gap; /* some of its notes, not durable, were lost before others that were not */
	char *payload;
	unsigned notes, notes_marked, notes_durable; /* numbers of the last ones */
	uint64_t notes_found;                        /* bit k - 1: the k-th */
};

struct sim {
	struct model disk;
	struct model_rng rng;
	struct spool_log *log;
	struct spool_recovery owner;
	struct message *messages;
	size_t nmessages;
	struct spool_batch *batch;
	struct spool_chore *chore;
	bool batch_written, chore_ran;
	struct spool_rec barrier;
	bool barrier_out;
	int64_t now_us;
	unsigned corrupt;
	bool dead; /* the machine has stopped: nobody is told anything any more */
	bool rot;
	uint64_t seed;
	const char *phase;
};

/* What the histories went through: a simulation that never gets there proves nothing. */
static struct {
	uint64_t crashes, lives, compacted, moved, broken, mended, failed, damaged, torn;
} seen;

#define SIM_CHECK(sim, cond, ...)                                                                            \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("seed %" PRIu64 ", %s: ", (sim)->seed, (sim)->phase);                         \
			printf(__VA_ARGS__);                                                                 \
			printf("\n");                                                                        \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

/* ---- messages --------------------------------------------------------------------------------------------------- */

static struct message *find_message(struct sim *sim, uint64_t id)
{
	for (size_t i = sim->nmessages; i > 0; i--)
		if (sim->messages[i - 1].id == id)
			return &sim->messages[i - 1];
	return NULL;
}

static void fill(char *p, size_t n, uint64_t seed)
{
	struct model_rng r = { seed };

	for (size_t i = 0; i < n; i++)
		p[i] = (char)model_random(&r);
}

/* Lengths, meta (its id), and a body of random octets; of a large one the body is in its file. */
static void make_payload(struct message *m)
{
	const size_t head = SPOOL_MESSAGE_PREFIX + sizeof m->id;

	m->payload = mem_alloc_raw(head + m->size);
	spool_message_prefix(sizeof m->id, 0, m->size, m->payload);
	memcpy(m->payload + SPOOL_MESSAGE_PREFIX, &m->id, sizeof m->id);
	fill(m->payload + head, m->size, m->seed);
	m->rec.payload[0] = span_make(m->payload, head);
	m->rec.payload[1] = m->large ? span_make(NULL, 0) : span_make(m->payload + head, m->size);
}

static void message_ended(struct spool_rec *r, int status)
{
	struct message *m = (struct message *)(void *)((char *)r - offsetof(struct message, rec));

	free(m->payload);
	m->payload = NULL;
	if (!m->sim->dead)
		m->fate = status == 0 ? FATE_KEPT : FATE_UNKNOWN;
}

static bool write_body(struct sim *sim, struct message *m)
{
	struct spool_body_writer w;

	spool_body_writer_init(&w, &sim->disk.fs, "log", m->id, BODY_LARGE, spool_log_body_given(sim->log));
	int r = spool_body_write(&w, span_make(m->payload + SPOOL_MESSAGE_PREFIX + sizeof m->id, m->size));
	if (r == 0)
		r = spool_body_finish(&w);
	if (r < 0)
		spool_body_discard(&w);
	return r == 0;
}

static void act_add(struct sim *sim)
{
	if (sim->nmessages == MESSAGES_MAX)
		return;
	struct message *m = &sim->messages[sim->nmessages];
	*m = (struct message){ .sim = sim, .seed = model_random(&sim->rng) };
	m->id = spool_log_new_id(sim->log, sim->now_us);
	m->large = model_chance(&sim->rng, 2);
	m->size = m->large ? BODY_LARGE
			   : (size_t)model_below(&sim->rng, model_chance(&sim->rng, 5) ? 20000 : 3000);
	SIM_CHECK(sim, !find_message(sim, m->id), "an id was given twice");
	make_payload(m);
	m->rec.type = SPOOL_RECORD_MESSAGE;
	m->rec.flags = m->large ? SPOOL_FLAG_LARGE : 0;
	m->rec.id = m->id;
	m->rec.done = message_ended;
	sim->nmessages++;
	if ((m->large && !write_body(sim, m)) || spool_log_add(sim->log, &m->rec) < 0)
		message_ended(&m->rec, -ERR_IO);
}

static struct message *any_kept(struct sim *sim)
{
	for (unsigned i = 0; i < 20 && sim->nmessages; i++) {
		struct message *m = &sim->messages[model_below(&sim->rng, sim->nmessages)];
		if (m->fate == FATE_KEPT && !m->dropping)
			return m;
	}
	return NULL;
}

static void act_note(struct sim *sim)
{
	struct message *m = any_kept(sim);
	char text[16];

	if (!m || m->notes == NOTES_MAX)
		return;
	snprintf(text, sizeof text, "N%u", ++m->notes);
	spool_log_note(sim->log, m->id, span_make(text, strlen(text)));
}

static void act_drop(struct sim *sim)
{
	struct message *m = any_kept(sim);

	if (!m)
		return;
	m->dropping = true;
	spool_log_drop(sim->log, m->id);
}

static void barrier_ended(struct spool_rec *r, int status)
{
	struct sim *sim = (struct sim *)(void *)((char *)r - offsetof(struct sim, barrier));

	sim->barrier_out = false;
	if (status < 0 || sim->dead)
		return;
	for (size_t i = 0; i < sim->nmessages; i++) {
		struct message *m = &sim->messages[i];
		if (m->drop_marked)
			m->fate = FATE_GONE;
		if (m->notes_marked > m->notes_durable)
			m->notes_durable = m->notes_marked;
	}
}

static void act_barrier(struct sim *sim)
{
	if (sim->barrier_out)
		return;
	for (size_t i = 0; i < sim->nmessages; i++) {
		sim->messages[i].drop_marked = sim->messages[i].dropping;
		sim->messages[i].notes_marked = sim->messages[i].notes;
	}
	sim->barrier_out = true;
	sim->barrier.done = barrier_ended;
	spool_log_barrier(sim->log, &sim->barrier);
}

/* ---- batches and chores, a step at a time ------------------------------------------------------------------------- */

static void step_batch(struct sim *sim)
{
	if (!sim->batch) {
		sim->batch = spool_log_seal(sim->log, sim->now_us);
		sim->batch_written = false;
	} else if (!sim->batch_written) {
		spool_batch_write(sim->batch);
		sim->batch_written = true;
	} else {
		spool_log_written(sim->log, &sim->batch, sim->now_us);
	}
}

static void step_chore(struct sim *sim)
{
	int64_t again_us;

	if (!sim->chore) {
		sim->chore = spool_log_chore(sim->log, sim->now_us, sim->now_us, &again_us);
		sim->chore_ran = false;
	} else if (!sim->chore_ran) {
		spool_chore_run(sim->chore);
		sim->chore_ran = true;
	} else {
		spool_log_chore_done(sim->log, &sim->chore, sim->now_us);
	}
}

static void settle(struct sim *sim)
{
	while (sim->batch)
		step_batch(sim);
	while (sim->chore)
		step_chore(sim);
}

static void act(struct sim *sim)
{
	const unsigned what = (unsigned)model_below(&sim->rng, 100);

	sim->now_us += (int64_t)model_below(&sim->rng, 3000);
	if (what < 22)
		act_add(sim);
	else if (what < 32)
		act_note(sim);
	else if (what < 50)
		act_drop(sim);
	else if (what < 54)
		act_barrier(sim);
	else if (what < 80)
		step_batch(sim);
	else if (what < 97)
		step_chore(sim);
	else
		sim->now_us += SPOOL_RETRY_US;
}

/* ---- what the log tells ------------------------------------------------------------------------------------------- */

static int on_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	struct sim *sim = arg;
	struct message *m = find_message(sim, id);

	SIM_CHECK(sim, m && !m->listed, "message %" PRIx64 " is found and should not be", id);
	SIM_CHECK(sim,
		  meta.n == sizeof id && memcmp(meta.p, &id, sizeof id) == 0 && head_bytes == 0 &&
			  body_bytes == m->size,
		  "message %" PRIx64 " is not as it was", id);
	m->found = m->listed = true;
	m->notes_found = 0;
	return 0;
}

/* "Nk" is the k-th note, "Sk" says all up to the k-th. */
static void on_note(void *arg, uint64_t id, struct span note)
{
	struct sim *sim = arg;
	struct message *m = find_message(sim, id);
	uint64_t k;

	SIM_CHECK(sim, m && m->found && span_to_u64(span_skip(note, 1), NOTES_MAX, &k), "a note of nothing");
	SIM_CHECK(sim, k <= m->notes, "message %" PRIx64 ": note %" PRIu64 " of %u", id, k, m->notes);
	m->notes_found |= note.p[0] == 'S' ? (UINT64_C(1) << k) - 1 : UINT64_C(1) << (k - 1);
}

static void on_dropped(void *arg, uint64_t id)
{
	struct sim *sim = arg;
	struct message *m = find_message(sim, id);

	SIM_CHECK(sim, m && m->found, "a drop of nothing");
	m->found = m->listed = false;
}

static void on_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	struct sim *sim = arg;
	const struct message *m = find_message(sim, id);

	if (m->notes)
		buf_addf(note_r, "S%u", m->notes);
}

static void on_report(void *arg, const struct spool_report *r)
{
	struct sim *sim = arg;

	if (sim->dead)
		return;
	sim->corrupt += r->kind == SPOOL_REPORT_CORRUPT;
	seen.broken += r->kind == SPOOL_REPORT_BROKEN;
	seen.mended += r->kind == SPOOL_REPORT_MENDED;
	seen.failed += r->kind == SPOOL_REPORT_FAILED;
	seen.compacted += r->kind == SPOOL_REPORT_COMPACTED;
	seen.moved += r->moved;
}

/* ---- a life of the process ---------------------------------------------------------------------------------------- */

static int open_log(struct sim *sim, struct spool_log_found *found_r)
{
	struct errtext e = { "" };
	const struct spool_log_config cfg = {
		.fs = &sim->disk.fs,
		.dir = "log",
		.number = DIR_NUMBER,
		.segment_octets = SEGMENT,
		.spares_max = 2,
		.ahead = true,
		.owner = &sim->owner,
		.report = on_report,
		.report_arg = sim,
	};

	sim->corrupt = 0;
	for (size_t i = 0; i < sim->nmessages; i++)
		sim->messages[i].found = sim->messages[i].listed = false;
	const int r = spool_log_open(&sim->log, &cfg, found_r, &e);
	seen.lives++;
	seen.torn += r == 0 && found_r->torn_octets;
	SIM_CHECK(sim, r == 0 || sim->disk.crashed || sim->disk.fault || sim->disk.read_fail_until,
		  "open: %s", e.s);
	return r;
}

/* Is the message in the log as it was? */
static void check_content(struct sim *sim, const struct message *m)
{
	struct spool_place place;
	struct spool_message got;
	char *octets;
	char *want = mem_alloc_raw(m->size + 1);

	SIM_CHECK(sim, spool_log_pin(sim->log, m->id, &place) == 0,
		  "message %" PRIx64 " is told but not there", m->id);
	SIM_CHECK(sim, spool_place_read(&sim->disk.fs, "log", &place, m->id, &octets, &got) == 0,
		  "message %" PRIx64 " cannot be read", m->id);
	fill(want, m->size, m->seed);
	if (m->large) {
		char *body = mem_alloc_raw(m->size + 1);
		const int64_t n = spool_body_read(&sim->disk.fs, "log", m->id, m->size, body, m->size + 1, 0);
		/* A damaged body is found when it is read. */
		SIM_CHECK(sim,
			  (n == -ERR_CORRUPT && sim->rot) ||
				  (n == (int64_t)m->size && memcmp(body, want, m->size) == 0),
			  "body of %" PRIx64 ": %" PRId64, m->id, n);
		free(body);
	} else {
		SIM_CHECK(sim, got.body.n == m->size && memcmp(got.body.p, want, m->size) == 0,
			  "body of %" PRIx64 " has changed", m->id);
	}
	spool_log_unpin(sim->log, &place);
	free(octets);
	free(want);
}

/* What was found is what counts from now on. @lost_ok: damage was reported. */
static void check_found(struct sim *sim, bool lost_ok)
{
	for (size_t i = 0; i < sim->nmessages; i++) {
		struct message *m = &sim->messages[i];
		const bool must = m->fate == FATE_KEPT && !m->dropping;

		SIM_CHECK(sim, !must || m->found || lost_ok, "message %" PRIx64 " is lost", m->id);
		SIM_CHECK(sim, m->fate != FATE_GONE || !m->found || lost_ok, "message %" PRIx64 " came back",
			  m->id);
		if (!m->found) {
			m->fate = FATE_GONE;
			continue;
		}
		/* Of notes that were not durable any may be lost. */
		const unsigned in_order = (unsigned)__builtin_ctzll(~m->notes_found);
		const unsigned last = 64 - (unsigned)__builtin_clzll(m->notes_found << 1 | 1) - 1;
		SIM_CHECK(sim, in_order >= m->notes_durable || m->gap || lost_ok,
			  "message %" PRIx64 ": %u notes of %u", m->id, in_order, m->notes_durable);
		m->gap |= last > in_order;
		check_content(sim, m);
		m->fate = FATE_KEPT;
		m->dropping = m->drop_marked = false;
		m->notes = m->notes_durable = m->notes_marked = last;
	}
}

/* The machine stops. */
static void stop(struct sim *sim)
{
	sim->dead = true;
	sim->disk.crashed = true;
	settle(sim);
	spool_log_free(&sim->log);
	sim->barrier_out = false;
	sim->dead = false;
	SIM_CHECK(sim, model_open_fds(&sim->disk) == 0, "%u descriptors are open",
		  model_open_fds(&sim->disk));
	for (size_t i = 0; i < sim->nmessages; i++)
		if (sim->messages[i].dropping && sim->messages[i].fate == FATE_KEPT)
			sim->messages[i].fate = FATE_UNKNOWN;
}

static void sim_init(struct sim *sim, uint64_t seed)
{
	*sim = (struct sim){
		.seed = seed, .rng = { seed }, .now_us = INT64_C(1700000000000000), .phase = "begin"
	};
	sim->messages = mem_alloc_array(MESSAGES_MAX, sizeof *sim->messages);
	sim->owner = (struct spool_recovery){ sim, on_message, on_note, on_dropped, on_snapshot };
	model_init(&sim->disk, ~seed);
	sim->disk.torn_bytes = seed & 1;
}

static void sim_deinit(struct sim *sim)
{
	for (size_t i = 0; i < sim->nmessages; i++)
		free(sim->messages[i].payload);
	free(sim->messages);
	model_deinit(&sim->disk);
}

/* Opens the log, again and again if the machine stops on the way. */
static void come_back(struct sim *sim)
{
	struct spool_log_found found;

	for (unsigned i = 0;; i++) {
		model_crash(&sim->disk);
		sim->now_us += 2000000; /* it takes a while */
		if (i < 2 && model_chance(&sim->rng, 30))
			sim->disk.crash_at = sim->disk.ops + 1 + model_below(&sim->rng, 4);
		sim->phase = "recovery";
		const int r = open_log(sim, &found);
		if (r == 0 && !sim->disk.crashed)
			break;
		if (r == 0)
			stop(sim);
	}
	sim->disk.crash_at = 0;
	SIM_CHECK(sim, !found.corrupt_records && !sim->corrupt, "damage is reported without any");
	check_found(sim, false);
}

/* ---- histories ---------------------------------------------------------------------------------------------------- */

static void live(struct sim *sim, unsigned actions)
{
	sim->phase = "life";
	for (unsigned i = 0; i < actions && !sim->disk.crashed; i++)
		act(sim);
}

/* Nothing is on its way: every drop is durable, every note. */
static void live_to_rest(struct sim *sim)
{
	sim->phase = "rest";
	for (unsigned i = 0; i < 6; i++) {
		sim->now_us += SPOOL_RETRY_US;
		act_barrier(sim);
		for (unsigned k = 0; k < 200; k++) {
			step_batch(sim);
			step_chore(sim);
		}
	}
	SIM_CHECK(sim, !sim->barrier_out && !spool_log_gathers(sim->log), "it does not come to rest");
}

/* One history, stopped at its n-th operation; 0: not before its end. Returns how many operations it had. */
static uint64_t crash_at(uint64_t seed, unsigned actions, uint64_t n)
{
	struct sim sim;
	struct spool_log_found found;

	sim_init(&sim, seed);
	sim.disk.crash_at = n;
	const int r = open_log(&sim, &found);
	if (r == 0)
		live(&sim, actions);
	const uint64_t ops = sim.disk.ops;
	if (r == 0)
		stop(&sim);
	come_back(&sim);
	live(&sim, 60);
	stop(&sim);
	come_back(&sim);
	stop(&sim);
	sim_deinit(&sim);
	return ops;
}

/* Every operation from the first one, or of a stretch in the middle of a long life, when there is much to move and to give back. */
static void crashes(uint64_t seed)
{
	enum { STRETCH = 60 };
	struct model_rng rng = { seed };
	const unsigned actions = 200 + (unsigned)model_below(&rng, 1500);
	const uint64_t ops = crash_at(seed, actions, 0);
	const uint64_t first = seed % 4 == 0 ? 1 : 1 + model_below(&rng, ops);

	for (uint64_t n = first; n <= ops && n < first + STRETCH; n++, seen.crashes++)
		crash_at(seed, actions, n);
}

/* Several lives with failures of writes and syncs, a disk that fills, and a crash at the end of each. */
static void failures(uint64_t seed)
{
	struct sim sim;
	struct spool_log_found found;

	sim_init(&sim, seed);
	open_log(&sim, &found);
	for (unsigned lives = 0; lives < 3; lives++) {
		for (unsigned i = 0; i < 3; i++) {
			sim.disk.fault = model_chance(&sim.rng, 70) ? MODEL_FAULT_EIO : MODEL_FAULT_ENOSPC;
			sim.disk.fail_at = sim.disk.ops + model_below(&sim.rng, 60);
			sim.disk.fail_until = sim.disk.fail_at + 1 +
					      model_below(&sim.rng, model_chance(&sim.rng, 50) ? 2 : 30);
			sim.disk.capacity =
				model_chance(&sim.rng, 20) ? model_used(&sim.disk) + 2 * SEGMENT : 0;
			live(&sim, 250);
		}
		sim.disk.fault = MODEL_FAULT_NONE;
		sim.disk.capacity = 0;
		if (model_chance(&sim.rng,
				 50)) { /* it works again: nothing that was asked for is forgotten */
			live_to_rest(&sim);
		}
		stop(&sim);
		come_back(&sim);
	}
	stop(&sim);
	sim_deinit(&sim);
}

/* A bit of some segment changes while the machine is off. */
static void damage(uint64_t seed)
{
	struct sim sim;
	struct spool_log_found found;

	sim_init(&sim, seed);
	open_log(&sim, &found);
	live(&sim, 400);
	stop(&sim);
	model_crash(&sim.disk);
	sim.now_us += 2000000;
	sim.phase = "damage";
	sim.rot = true;
	struct model_names *names = &sim.disk.disk;
	for (unsigned i = 0; i < 100 && names->n; i++) {
		const struct model_name *name = &names->v[model_below(&sim.rng, names->n)];
		struct model_file *f = &sim.disk.files[name->file];
		if (!f->disk.n)
			continue;
		f->disk.p[model_below(&sim.rng, f->disk.n)] ^= (char)(1 << model_below(&sim.rng, 8));
		model_content_copy(&f->now, &f->disk);
		break;
	}
	open_log(&sim, &found);
	/* The last batch before the crash may have been durable: what is torn there is counted, and no more can be known. */
	const bool told = found.corrupt_records || found.torn_octets;
	seen.damaged += found.corrupt_records != 0;
	check_found(&sim, told);
	live(&sim, 100);
	stop(&sim);
	model_crash(&sim.disk);
	sim.now_us += 2000000;
	open_log(&sim, &found);
	/* Once told, a copy is kept and the segment is repaired. What compaction has moved is not told twice either. */
	check_found(&sim, told || found.corrupt_records);
	stop(&sim);
	sim_deinit(&sim);
}

/* One message is held, some are live for a while, many pass. */
static void bounded(uint64_t seed)
{
	struct sim sim;
	struct spool_log_found found;
	struct spool_log_state st;
	uint64_t most = 0;

	sim_init(&sim, seed);
	sim.phase = "bounded";
	open_log(&sim, &found);
	act_add(&sim);
	for (unsigned i = 0; i < 3; i++)
		step_batch(&sim);
	sim.messages[0].fate = FATE_OPEN; /* nobody chooses it for anything */
	for (unsigned round = 0; sim.nmessages + 10 < MESSAGES_MAX; round++) {
		for (unsigned i = 0; i < 10; i++)
			act_add(&sim);
		for (unsigned i = 0; i < 12; i++)
			step_batch(&sim);
		act_note(&sim);
		for (unsigned i = 0; i < 12; i++)
			act_drop(&sim);
		for (unsigned i = 0; i < 40; i++) {
			step_batch(&sim);
			step_chore(&sim);
		}
		spool_log_state(sim.log, &st);
		const uint64_t dead = st.disk_octets - st.live_octets - st.live_octets / 2;
		most = dead > most ? dead : most;
	}
	/* Slack of four segments, two in work, two spare ones, and the bodies of large messages. */
	SIM_CHECK(&sim, most < 24 * SEGMENT, "%" PRIu64 " octets of dead weight", most);
	stop(&sim);
	come_back(&sim);
	SIM_CHECK(&sim, sim.messages[0].found, "the message that was held is lost");
	stop(&sim);
	sim_deinit(&sim);
}

static const struct {
	const char *name;
	void (*run)(uint64_t seed);
	unsigned each; /* so many of them per history: crashes() alone is hundreds of runs */
} kinds[] = {
	{ "crashes", crashes, 1 },
	{ "failures", failures, 20 },
	{ "damage", damage, 20 },
	{ "bounded", bounded, 1 },
};

int main(int argc, char **argv)
{
	const unsigned histories = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 6;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		if (argc > 3 && strcmp(argv[3], kinds[k].name) != 0)
			continue;
		const unsigned n = histories * (argc > 3 ? 1 : kinds[k].each);
		printf("%s: seeds %" PRIu64 " to %" PRIu64 "\n", kinds[k].name, seed, seed + n - 1);
		fflush(stdout);
		for (unsigned i = 0; i < n; i++)
			kinds[k].run(seed + i);
	}
	printf("%" PRIu64 " crashes, %" PRIu64 " lives: %" PRIu64 " began with a torn end, %" PRIu64
	       " with damage; %" PRIu64 " writes failed, %" PRIu64 " times broken, %" PRIu64
	       " mended; %" PRIu64 " segments compacted, %" PRIu64 " messages moved\n",
	       seen.crashes, seen.lives, seen.torn, seen.damaged, seen.failed, seen.broken, seen.mended,
	       seen.compacted, seen.moved);
	return 0;
}
