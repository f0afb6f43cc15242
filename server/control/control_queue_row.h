/* control/control_queue_row.h - a message of the queue as JSON; private to control/. */
#pragma once

#include "control/control_priv.h"
#include "queue/queue_action.h"

/* What must outlive a row to go on with it when the message has been read. */
struct control_row_kept {
	const uint32_t *left; /* the recipients that were in the row: indices into the envelope, ascending */
	uint32_t nleft;
};

/* The members of an object that is open. */
void control_row_write(struct json *j, const struct queue_row *row);
void control_row_keep(struct control_row_kept *k, struct arena *mem, const struct queue_row *row);
/* More members: what only the message itself says. */
void control_row_write_image(struct json *j, const struct control_row_kept *k, const struct spool_image *img);
