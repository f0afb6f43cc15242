#include <pthread.h>
#include <stdatomic.h>

#include "base/mailbox.h"
#include "test.h"

struct note {
	struct letter letter;
	int sender, number;
	struct desk *desk;
};

/* The receiver: a thread that sleeps on a condition until its mailbox wakes it. */
struct desk {
	struct mailbox box;
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool bell;
	unsigned rings;
	int last[8];
	int out_of_order, opened;
};

static void ring(void *arg)
{
	struct desk *d = arg;

	pthread_mutex_lock(&d->lock);
	d->bell = true;
	d->rings++;
	pthread_cond_signal(&d->rung);
	pthread_mutex_unlock(&d->lock);
}

static void open_note(struct letter *l)
{
	struct note *n = container_of(l, struct note, letter);
	struct desk *d = n->desk;

	d->out_of_order += n->number != d->last[n->sender] + 1;
	d->last[n->sender] = n->number;
	d->opened++;
	free(n);
}

static void desk_init(struct desk *d)
{
	memset(d, 0, sizeof *d);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->rung, NULL);
	mailbox_init(&d->box, ring, d);
}

static void desk_deinit(struct desk *d)
{
	mailbox_deinit(&d->box);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->rung);
}

static struct note *note(struct desk *d, int sender, int number)
{
	struct note *n = calloc(1, sizeof *n);

	NEED(n);
	*n = (struct note){ { { 0 }, open_note }, sender, number, d };
	return n;
}

static void letters_come_in_order_and_wake_once(void)
{
	struct desk d;

	desk_init(&d);
	CHECK_INT(0, mailbox_open_all(&d.box));
	for (int i = 1; i <= 5; i++)
		CHECK(mailbox_post(&d.box, &note(&d, 0, i)->letter));
	CHECK_INT(1, d.rings);
	CHECK_INT(5, mailbox_open_all(&d.box));
	CHECK_INT(0, d.out_of_order);
	CHECK(mailbox_post(&d.box, &note(&d, 0, 6)->letter));
	CHECK_INT(2, d.rings);
	CHECK_INT(1, mailbox_open_all(&d.box));
	desk_deinit(&d);
}

static void a_closed_box_takes_nothing(void)
{
	struct desk d;

	desk_init(&d);
	CHECK(mailbox_post(&d.box, &note(&d, 0, 1)->letter));
	mailbox_close(&d.box);
	struct note *late = note(&d, 0, 2);
	CHECK(!mailbox_post(&d.box, &late->letter));
	free(late);
	CHECK_INT(1, d.rings);
	CHECK_INT(1, mailbox_open_all(&d.box));
	desk_deinit(&d);
}

struct echo {
	struct letter letter;
	struct mailbox *box;
	int left;
};

static void open_echo(struct letter *l)
{
	struct echo *e = container_of(l, struct echo, letter);

	if (e->left-- > 0)
		CHECK(mailbox_post(e->box, &e->letter));
}

static void a_letter_may_be_posted_again_while_it_is_opened(void)
{
	struct desk d;
	struct echo e = { { { 0 }, open_echo }, &d.box, 2 };

	desk_init(&d);
	mailbox_post(&d.box, &e.letter);
	CHECK_INT(1, mailbox_open_all(&d.box)); /* what is posted meanwhile waits for the next turn */
	CHECK_INT(1, mailbox_open_all(&d.box));
	CHECK_INT(1, mailbox_open_all(&d.box));
	CHECK_INT(0, mailbox_open_all(&d.box));
	CHECK_INT(3, d.rings);
	desk_deinit(&d);
}

enum { SENDERS = 4, LETTERS = 5000 };

struct sender {
	struct desk *desk;
	int id;
	pthread_t thread;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 1; i <= LETTERS; i++) {
		struct note *n = calloc(1, sizeof *n);
		if (!n)
			abort();
		*n = (struct note){ { { 0 }, open_note }, s->id, i, s->desk };
		if (!mailbox_post(&s->desk->box, &n->letter))
			abort();
	}
	return NULL;
}

/* A wake-up that got lost would make this wait for ever; ctest's timeout ends it. */
static void many_threads_lose_nothing(void)
{
	struct desk d;
	struct sender senders[SENDERS];

	desk_init(&d);
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .desk = &d, .id = i };
		NEED(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]) == 0);
	}
	while (d.opened < SENDERS * LETTERS) {
		pthread_mutex_lock(&d.lock);
		while (!d.bell)
			pthread_cond_wait(&d.rung, &d.lock);
		d.bell = false;
		pthread_mutex_unlock(&d.lock);
		mailbox_open_all(&d.box);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	CHECK_INT(0, d.out_of_order);
	CHECK_INT(SENDERS * LETTERS, d.opened);
	desk_deinit(&d);
}

TEST_MAIN(TEST(letters_come_in_order_and_wake_once), TEST(a_closed_box_takes_nothing),
	  TEST(a_letter_may_be_posted_again_while_it_is_opened), TEST(many_threads_lose_nothing))
