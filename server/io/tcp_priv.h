/* io/tcp_priv.h - what the files tcp_*.c share. */
#pragma once

#include "io/tcp.h"

/* Takes over a connected descriptor that does not block. @peer NULL: asks the system. NULL: the descriptor
 * could not be watched and is closed. */
struct stream *tcp_stream_new(struct loop *l, int fd, const struct ip_endpoint *peer);
