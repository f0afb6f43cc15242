/* The happy path:
 *
 *   1. ask     the message is built, gets an id of ours, c-ares sends it and opens a socket
 *   2. watch   on_socket() puts that descriptor on the loop; a tick runs while anything is open, for c-ares's
 *              time-outs
 *   3. ready   c-ares reads, matches id and question, and calls on_message()
 *   4. quiet   with the last question answered c-ares closes its sockets: the next one has a new source port
 *
 * How it fails: a server that is silent or says SERVFAIL is passed over by c-ares until all tries are used
 * up; one that does not know EDNS (RFC 6891 section 7) is asked without; a first server that is dead makes
 * all questions late, so after some of them the list is turned, in a quiet moment, as c-ares demands.
 */
#include "dns/dns_channel.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "dns/dns_wire.h"
#include "io/poll.h"

enum {
	DEFAULT_PORT = 53,
	UDP_OCTETS_MAX = 1232, /* fits every path without fragments */
	CLASS_IN = 1,
	LATE_MAX = 3, /* answers in a row that only another server than the first gave */
	TICK_MIN_US = 5 * 1000,
	TICK_MAX_US = 250 * 1000,
};

struct watch {
	struct list link;
	struct dns_channel *ch;
	struct poll *poll;
	int fd;
};

struct dns_channel {
	struct loop *loop;
	ares_channel ares;
	struct list watches;
	struct timer tick;
	int64_t tick_us;
	unsigned open; /* questions */
	unsigned late;
	bool edns, ask_authenticated;
	struct ip_endpoint servers[DNS_SERVERS_MAX];
	size_t servers_n;
};

/* ---- sockets and time ---------------------------------------------------------------------------------- */

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
	const struct watch *w = arg;

	ares_process_fd(w->ch->ares, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
}

static void unwatch(struct watch *w)
{
	list_remove(&w->link);
	poll_free(&w->poll);
	free(w);
}

/* c-ares calls this before it closes a descriptor, too, with neither. */
static void on_socket(void *arg, ares_socket_t fd, int read, int write)
{
	struct dns_channel *ch = arg;
	struct watch *w = NULL;

	list_for_each(it, &ch->watches)
		if (list_entry(it, struct watch, link)->fd == fd)
			w = list_entry(it, struct watch, link);
	if (!read && !write) {
		if (w)
			unwatch(w);
		return;
	}
	if (!w) {
		w = mem_alloc(sizeof *w);
		*w = (struct watch){ .ch = ch, .fd = fd };
		list_init(&w->link);
		list_push_back(&ch->watches, &w->link);
		w->poll = poll_new(ch->loop, fd, on_ready, w);
	}
	if (w->poll) /* else the question is lost and times out */
		poll_set(w->poll, read, write);
}

static void on_tick(struct timer *t)
{
	struct dns_channel *ch = container_of(t, struct dns_channel, tick);

	timer_set_in(ch->loop, &ch->tick, ch->tick_us); /* the last answer unsets it */
	ares_process_fd(ch->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* ---- servers ------------------------------------------------------------------------------------------- */

static int set_servers(struct dns_channel *ch)
{
	struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = { 0 };

	for (size_t i = 0; i < ch->servers_n; i++) {
		const struct ip_endpoint *e = &ch->servers[i];
		nodes[i].next = i + 1 < ch->servers_n ? &nodes[i + 1] : NULL;
		nodes[i].family = e->addr.len == 4 ? AF_INET : AF_INET6;
		memcpy(&nodes[i].addr, e->addr.b, e->addr.len);
		nodes[i].udp_port = nodes[i].tcp_port = e->port;
	}
	return ares_set_servers_ports(ch->ares, nodes);
}

/* What c-ares found in resolv.conf. */
static void get_servers(struct dns_channel *ch)
{
	struct ares_addr_port_node *nodes = NULL;

	if (ares_get_servers_ports(ch->ares, &nodes) != ARES_SUCCESS)
		return;
	for (const struct ares_addr_port_node *it = nodes; it && ch->servers_n < DNS_SERVERS_MAX;
	     it = it->next) {
		struct ip_endpoint *e = &ch->servers[ch->servers_n++];
		e->addr.len = it->family == AF_INET ? 4 : 16;
		memcpy(e->addr.b, &it->addr, e->addr.len);
		e->port = it->udp_port ? (uint16_t)it->udp_port : DEFAULT_PORT;
	}
	ares_free_data(nodes);
}

static void turn_servers(struct dns_channel *ch)
{
	const struct ip_endpoint first = ch->servers[0];

	ch->late = 0;
	memmove(ch->servers, ch->servers + 1, (ch->servers_n - 1) * sizeof first);
	ch->servers[ch->servers_n - 1] = first;
	/* It fails when questions are open, which they are not, or without memory: then the old order
	 * stays. */
	set_servers(ch);
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static const char *status_phrase(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "no DNS server answered in time";
	case ARES_ECONNREFUSED:
		return "every DNS server failed, refused or could not be reached";
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return "the resolver is closing";
	case ARES_ESERVFAIL:
		return "there is no DNS server to ask";
	case ARES_ENOMEM:
		return "out of memory";
	default:
		return "the question could not be asked";
	}
}

static void send_question(struct dns_ask *ask);

static void on_message(void *arg, int status, int timeouts, unsigned char *octets, int n)
{
	struct dns_ask *ask = arg;
	struct dns_channel *ch = ask->channel_;
	const struct span msg = span_make(octets, n > 0 ? (size_t)n : 0);

	ch->open--;
	if (status == ARES_SUCCESS) {
		/* c-ares itself repeats the first question that a server refused so; it is deaf to longer
		 * answers from then on. */
		if (ask->edns_ && dns_wire_refuses_edns(msg)) {
			ch->edns = false;
			send_question(ask);
			return;
		}
		ch->late = timeouts > 0 ? ch->late + 1 : 0;
	}
	ask->answered(ask, status == ARES_SUCCESS ? NULL : status_phrase(status), msg);
	if (ch->open == 0)
		timer_unset(ch->loop, &ch->tick);
}

static void send_question(struct dns_ask *ask)
{
	struct dns_channel *ch = ask->channel_;
	unsigned char *octets = NULL;
	uint16_t id;
	int n = 0;

	ask->edns_ = ch->edns;
	random_bytes(&id, sizeof id);
	const int status = ares_create_query(ask->name_.s, CLASS_IN, (int)ask->type_, id, 1, &octets, &n,
					     ch->edns ? UDP_OCTETS_MAX : 0);
	if (status != ARES_SUCCESS) {
		ask->answered(ask, status_phrase(status), (struct span){ 0 });
		return;
	}
	if (ch->ask_authenticated)
		octets[3] |= 0x20;
	ch->open++;
	if (ch->tick.due_us == 0)
		timer_set_in(ch->loop, &ch->tick, ch->tick_us);
	ares_send(ch->ares, octets, n, on_message, ask);
	ares_free_string(octets);
}

void dns_channel_ask(struct dns_channel *ch, struct dns_ask *ask, const struct dns_name *name,
		     enum dns_type type)
{
	ask->channel_ = ch;
	ask->name_ = *name;
	ask->type_ = type;
	if (ch->late >= LATE_MAX && ch->open == 0 && ch->servers_n > 1)
		turn_servers(ch);
	send_question(ask);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static int open_ares(struct dns_channel *ch, const struct dns_channel_config *config)
{
	struct ares_options options = {
		/* As they are, not with a search list; no hosts file: that is another way of asking in
		 * c-ares. */
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)(config->try_timeout_us / 1000),
		.tries = (int)config->tries,
		.ednspsz = UDP_OCTETS_MAX,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = ch,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		   ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;

	if (config->resolv_conf) {
		mask |= ARES_OPT_RESOLVCONF;
		options.resolvconf_path = mem_strdup(config->resolv_conf);
	}
	const int status = ares_init_options(&ch->ares, &options, mask);
	free(options.resolvconf_path);
	return status;
}

struct dns_channel *dns_channel_new(struct loop *loop, const struct dns_channel_config *config,
				    struct errtext *why)
{
	if (config->servers_n > DNS_SERVERS_MAX) {
		errtext_set(why, ERR_LIMIT, "more than %d DNS servers", DNS_SERVERS_MAX);
		return NULL;
	}
	if (config->resolv_conf && access(config->resolv_conf, R_OK) < 0) {
		errtext_set(why, ERR_NOTFOUND, "%s cannot be read", config->resolv_conf);
		return NULL;
	}

	struct dns_channel *ch = mem_alloc(sizeof *ch);
	ch->loop = loop;
	ch->edns = true;
	ch->ask_authenticated = config->ask_authenticated;
	ch->tick_us = config->try_timeout_us / 4;
	ch->tick_us = ch->tick_us > TICK_MAX_US   ? TICK_MAX_US
		      : ch->tick_us < TICK_MIN_US ? TICK_MIN_US
						  : ch->tick_us;
	list_init(&ch->watches);
	timer_init(&ch->tick, on_tick);

	int status = open_ares(ch, config);
	if (status == ARES_SUCCESS && config->servers_n) {
		ch->servers_n = config->servers_n;
		memcpy(ch->servers, config->servers, config->servers_n * sizeof *config->servers);
		status = set_servers(ch);
	} else if (status == ARES_SUCCESS) {
		get_servers(ch);
	}
	if (status != ARES_SUCCESS) {
		errtext_set(why, ERR_INVAL, "the DNS resolver does not start: %s", ares_strerror(status));
		dns_channel_free(&ch);
	}
	return ch;
}

void dns_channel_free(struct dns_channel **ch)
{
	if (!*ch)
		return;
	timer_unset((*ch)->loop, &(*ch)->tick);
	if ((*ch)->ares)
		ares_destroy((*ch)->ares);
	list_for_each_safe(it, &(*ch)->watches)
		unwatch(list_entry(it, struct watch, link));
	free(*ch);
	*ch = NULL;
}

unsigned dns_channel_open(const struct dns_channel *ch)
{
	return ch->open;
}

size_t dns_channel_servers(const struct dns_channel *ch, struct ip_endpoint *servers_r)
{
	memcpy(servers_r, ch->servers, ch->servers_n * sizeof *servers_r);
	return ch->servers_n;
}
