/* queue/queue_table.h - from queue ids to entries: a compact open-addressing table.
 *
 * It holds pointers to ids that are embedded in their owners: 8 octets a slot, at most 4/5 full. It is
 * cut into sub-tables that grow and shrink by themselves, so that no single addition moves more than a
 * few thousand slots: with a million entries a table in one piece would stop its loop for a tenth of a
 * second.
 *
 * Ids are ours, not a peer's: the hash needs no key.
 * Ownership: the owners stay their makers'. Threads: one at a time. Tests:
 * tests/unit/queue/test_queue_table.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUEUE_TABLE_PARTS = 512 };

struct queue_table {
	struct queue_table_part {
		uint64_t **v;
		uint32_t n, cap;
	} part[QUEUE_TABLE_PARTS];
	size_t n;
};

void queue_table_init(struct queue_table *t);
void queue_table_deinit(struct queue_table *t);

uint64_t *queue_table_get(const struct queue_table *t,
			  uint64_t id);                       /* the embedded id, for container_of; or NULL */
bool queue_table_put(struct queue_table *t, uint64_t *id);    /* false: there is one with this id */
void queue_table_remove(struct queue_table *t, uint64_t *id); /* it must be in the table */
size_t queue_table_bytes(const struct queue_table *t);
