/* name_server.h - a DNS server for tests: on a thread and an ephemeral loopback port of its own, UDP and TCP,
 * with a script.
 *
 *   // a number before the type is its TTL
 *   struct name_server *ns = name_server_start("example.org MX 10 mx1.example.org\n"
 *                                              "mx1.example.org 60 A 192.0.2.1\n");
 *   ... ns->endpoint ...  name_server_asked(ns, "example.org", "MX") ...
 *   name_server_stop(&ns);
 *
 * Instead of a type, for all questions about a name, or instead of a value, for one type:
 *   SERVFAIL REFUSED NXDOMAIN NODATA   that result
 *   DROP                               silence
 *   GARBAGE                            octets that end in the middle of a record
 *   ECHO                               the question itself, which is no response
 *   REFERRAL                           "ask over there"
 *   AD                                 (beside records) the authenticated-data bit
 *   DELAY ms                           (beside records) the answer comes later
 *   CUT                                (beside records) over UDP cut off, to be asked again over TCP
 *   NOSOA                              (beside NODATA, NXDOMAIN) without the record that gives it a lifetime
 * The name "*" stands for all that are not in the script; the line "- NOEDNS" makes a server that does not
 * know EDNS. A name without lines does not exist. Negative answers live 30 s.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/ip.h"
#include "dns/dns_answer.h"

enum {
	NS_LINES_MAX = 256,
	NS_ASKED_MAX = 4096,
	NS_LATER_MAX = 64,
	NS_TCP_MAX = 8,
	NS_TTL = 300,
	NS_NEGATIVE_TTL = 30
};

struct ns_line {
	char name[260];
	unsigned ttl;
	char type[16];
	char value[700];
};

struct ns_asked {
	char name[260], type[16];
	bool tcp, edns, ad;
};

struct ns_message {
	uint8_t b[65535];
	size_t n;
};

struct ns_later {
	int64_t due_ms;
	struct sockaddr_in to;
	uint8_t b[1500];
	size_t n;
};

struct name_server {
	struct ip_endpoint endpoint;
	int udp, listener, stop[2], tcp[NS_TCP_MAX];
	pthread_t thread;
	pthread_mutex_t lock; /* over what follows */
	struct ns_line lines[NS_LINES_MAX];
	size_t lines_n;
	struct ns_asked asked[NS_ASKED_MAX];
	size_t asked_n;
	struct ns_later later[NS_LATER_MAX];
	size_t later_n;
};

static inline int64_t ns_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the script ---------------------------------------------------------------------------------------- */

static inline void name_server_script(struct name_server *ns, const char *text)
{
	pthread_mutex_lock(&ns->lock);
	ns->lines_n = 0;
	while (*text && ns->lines_n < NS_LINES_MAX) {
		struct ns_line *l = &ns->lines[ns->lines_n];
		char line[1100];
		const size_t n = strcspn(text, "\n");
		snprintf(line, sizeof line, "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
		l->ttl = NS_TTL;
		l->value[0] = '\0';
		if (sscanf(line, "%259s %u %15s %699[^\n]", l->name, &l->ttl, l->type, l->value) >= 3 ||
		    sscanf(line, "%259s %15s %699[^\n]", l->name, l->type, l->value) >= 2)
			ns->lines_n++;
	}
	pthread_mutex_unlock(&ns->lock);
}

/* A line about @name that says @word in place of its type, or of its value when its type is @type. */
static inline const struct ns_line *ns_says(const struct name_server *ns, const char *name, const char *type,
					    const char *word)
{
	for (size_t i = 0; i < ns->lines_n; i++) {
		const struct ns_line *l = &ns->lines[i];
		if (strcasecmp(l->name, name) != 0)
			continue;
		if (strcmp(l->type, word) == 0 || (strcmp(l->type, type) == 0 && strcmp(l->value, word) == 0))
			return l;
	}
	return NULL;
}

static inline bool ns_knows(const struct name_server *ns, const char *name)
{
	for (size_t i = 0; i < ns->lines_n; i++)
		if (strcasecmp(ns->lines[i].name, name) == 0)
			return true;
	return false;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static inline void ns_put(struct ns_message *m, const void *p, size_t n)
{
	if (m->n + n <= sizeof m->b) {
		memcpy(m->b + m->n, p, n);
		m->n += n;
	}
}

static inline void ns_put_u16(struct ns_message *m, unsigned v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	ns_put(m, b, 2);
}

static inline void ns_put_u32(struct ns_message *m, uint32_t v)
{
	ns_put_u16(m, v >> 16);
	ns_put_u16(m, v & 0xffff);
}

static inline void ns_put_name(struct ns_message *m, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		const size_t n = strcspn(name, ".");
		const uint8_t len = (uint8_t)n;
		ns_put(m, &len, 1);
		ns_put(m, name, n);
		name += n + (name[n] == '.');
	}
	ns_put(m, "", 1);
}

static inline void ns_put_rr_head(struct ns_message *m, const char *owner, unsigned type, uint32_t ttl)
{
	ns_put_name(m, owner);
	ns_put_u16(m, type);
	ns_put_u16(m, 1);
	ns_put_u32(m, ttl);
}

static inline void ns_put_rdata(struct ns_message *m, const struct ns_line *l)
{
	const size_t at = m->n;
	unsigned preference;
	char word[700];
	uint8_t addr[16];

	ns_put_u16(m, 0);
	if (inet_pton(strcmp(l->type, "A") == 0 ? AF_INET : AF_INET6, l->value, addr) == 1) {
		ns_put(m, addr, strcmp(l->type, "A") == 0 ? 4 : 16);
	} else if (strcmp(l->type, "MX") == 0 && sscanf(l->value, "%u %699s", &preference, word) == 2) {
		ns_put_u16(m, preference);
		ns_put_name(m, word);
	} else if (strcmp(l->type, "TXT") == 0) {
		for (const char *s = l->value; *s;) { /* in strings of at most 100 */
			const uint8_t n = (uint8_t)strnlen(s, 100);
			ns_put(m, &n, 1);
			ns_put(m, s, n);
			s += n;
		}
	} else {
		ns_put_name(m, l->value); /* CNAME, PTR */
	}
	m->b[at] = (uint8_t)((m->n - at - 2) >> 8);
	m->b[at + 1] = (uint8_t)(m->n - at - 2);
}

static inline unsigned ns_type_number(const char *type)
{
	enum dns_type t;

	return strcmp(type, "CNAME") == 0 ? 5 : dns_type_parse(span_of(type), &t) ? (unsigned)t : 0;
}

/* Records of @name and @type, said to be of @owner, and what is behind its CNAME. Returns how many. */
static inline unsigned ns_put_records(const struct name_server *ns, struct ns_message *m, const char *owner,
				      const char *name, const char *type)
{
	unsigned n = 0;

	for (size_t i = 0; i < ns->lines_n; i++) {
		const struct ns_line *l = &ns->lines[i];
		const bool cname = strcmp(l->type, "CNAME") == 0;
		if (strcasecmp(l->name, name) != 0 || (!cname && strcmp(l->type, type) != 0))
			continue;
		ns_put_rr_head(m, owner, ns_type_number(l->type), l->ttl);
		ns_put_rdata(m, l);
		n++;
		if (cname)
			n += ns_put_records(ns, m, l->value, l->value, type);
	}
	return n;
}

static inline void ns_put_soa(struct ns_message *m)
{
	ns_put_rr_head(m, "", 6, 2 * NS_NEGATIVE_TTL);
	ns_put_u16(m, 2 + 20);
	ns_put(m, "", 1);
	ns_put(m, "", 1);
	for (int i = 0; i < 4; i++)
		ns_put_u32(m, 1);
	ns_put_u32(m, NS_NEGATIVE_TTL);
}

struct ns_question {
	char name[260], type[16];
	size_t end; /* in the message, behind the question */
	bool edns, ad;
};

static inline bool ns_read_question(const uint8_t *q, size_t n, struct ns_question *question)
{
	size_t at = 12, out = 0;

	if (n < 17)
		return false;
	while (at < n && q[at]) {
		const size_t label = q[at];
		if (at + 1 + label >= n || out + label + 2 > sizeof question->name)
			return false;
		memcpy(question->name + out, q + at + 1, label);
		out += label;
		question->name[out++] = '.';
		at += label + 1;
	}
	question->name[out ? out - 1 : 0] = '\0';
	if (at + 5 > n)
		return false;
	snprintf(question->type, sizeof question->type, "%s",
		 dns_type_name((enum dns_type)(q[at + 1] << 8 | q[at + 2])));
	question->end = at + 5;
	question->edns = q[11] != 0;
	question->ad = q[3] & 0x20;
	return true;
}

static inline const char *ns_script_name(const struct name_server *ns, const struct ns_question *question)
{
	return ns_knows(ns, question->name) || !ns_knows(ns, "*") ? question->name : "*";
}

/* The answer; of length 0 to say nothing. */
static inline void ns_answer(const struct name_server *ns, const uint8_t *q, size_t n,
			     const struct ns_question *question, bool tcp, struct ns_message *m)
{
	const char *name = ns_script_name(ns, question);
	const char *type = question->type;
	unsigned rcode = 0, answers = 0, authorities = 0;

	m->n = 0;
	if (ns_says(ns, name, type, "DROP"))
		return;
	ns_put(m, q, question->end);
	m->b[2] = 0x81; /* QR, RD */
	m->b[3] = 0x80; /* RA */
	memset(m->b + 6, 0, 6);
	if (ns_says(ns, name, type, "ECHO")) {
		m->n = 0;
		ns_put(m, q, n);
		return;
	}
	if (question->edns && ns_says(ns, "-", "", "NOEDNS")) {
		m->b[3] |= 1;
		return;
	}
	if (ns_says(ns, name, type, "GARBAGE")) {
		m->b[7] = 2;
		ns_put(m, "\xc0\x0c\x00\x01\x00", 5);
		return;
	}
	if (ns_says(ns, name, type, "REFERRAL")) {
		m->b[3] = 0;
		m->b[9] = 1;
		ns_put_rr_head(m, "", 2, 60);
		ns_put_u16(m, 1);
		ns_put(m, "", 1);
		return;
	}
	if (ns_says(ns, name, type, "SERVFAIL"))
		rcode = 2;
	else if (ns_says(ns, name, type, "REFUSED"))
		rcode = 5;
	else if (!ns_knows(ns, name) || ns_says(ns, name, type, "NXDOMAIN"))
		rcode = 3;
	else if (ns_says(ns, name, type, "CUT") && !tcp)
		m->b[2] |= 2;
	else if (!ns_says(ns, name, type, "NODATA"))
		answers = ns_put_records(ns, m, question->name, name, type);
	if (!answers && !ns_says(ns, name, type, "NOSOA") && (rcode == 0 || rcode == 3)) {
		ns_put_soa(m);
		authorities = 1;
	}
	m->b[3] |= (uint8_t)(rcode | (ns_says(ns, name, type, "AD") ? 0x20 : 0));
	m->b[7] = (uint8_t)answers;
	m->b[9] = (uint8_t)authorities;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static inline int ns_delay_ms(const struct name_server *ns, const struct ns_question *q)
{
	const struct ns_line *l = ns_says(ns, ns_script_name(ns, q), q->type, "DELAY");

	return l ? (int)strtol(l->value, NULL, 10) : 0;
}

static inline bool ns_take(struct name_server *ns, const uint8_t *q, size_t n, bool tcp,
			   struct ns_question *question, struct ns_message *m)
{
	if (!ns_read_question(q, n, question))
		return false;
	if (ns->asked_n < NS_ASKED_MAX) {
		struct ns_asked *a = &ns->asked[ns->asked_n++];
		memcpy(a->name, question->name, sizeof a->name);
		memcpy(a->type, question->type, sizeof a->type);
		a->tcp = tcp;
		a->edns = question->edns;
		a->ad = question->ad;
	}
	ns_answer(ns, q, n, question, tcp, m);
	return m->n > 0;
}

static inline void ns_on_udp(struct name_server *ns, struct ns_message *m)
{
	struct ns_question question;
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	uint8_t q[1500];

	const ssize_t n = recvfrom(ns->udp, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &from_n);
	if (n <= 0)
		return;
	pthread_mutex_lock(&ns->lock);
	if (ns_take(ns, q, (size_t)n, false, &question, m)) {
		const int ms = ns_delay_ms(ns, &question);
		if (!ms) {
			sendto(ns->udp, m->b, m->n, 0, (struct sockaddr *)&from, from_n);
		} else if (ns->later_n < NS_LATER_MAX && m->n <= sizeof ns->later[0].b) {
			struct ns_later *l = &ns->later[ns->later_n++];
			l->due_ms = ns_now_ms() + ms;
			l->to = from;
			l->n = m->n;
			memcpy(l->b, m->b, m->n);
		}
	}
	pthread_mutex_unlock(&ns->lock);
}

static inline void ns_on_tcp(struct name_server *ns, int *fd, struct ns_message *m)
{
	struct ns_question question;
	uint8_t q[1502];
	bool answer = false;

	/* A question arrives whole: it is small and comes over loopback. */
	const ssize_t n = recv(*fd, q, sizeof q, MSG_DONTWAIT);
	if (n > 2) {
		pthread_mutex_lock(&ns->lock);
		answer = ns_take(ns, q + 2, (size_t)n - 2, true, &question, m);
		pthread_mutex_unlock(&ns->lock);
	}
	if (answer) {
		const uint8_t len[2] = { (uint8_t)(m->n >> 8), (uint8_t)m->n };
		if (send(*fd, len, 2, MSG_NOSIGNAL) == 2 &&
		    send(*fd, m->b, m->n, MSG_NOSIGNAL) == (ssize_t)m->n)
			return;
	}
	if (n <= 0) {
		close(*fd);
		*fd = -1;
	}
}

/* Sends what is due; returns how long until the next one is. */
static inline int ns_send_later(struct name_server *ns)
{
	int wait = -1;

	pthread_mutex_lock(&ns->lock);
	for (size_t i = 0; i < ns->later_n;) {
		struct ns_later *l = &ns->later[i];
		const int64_t left = l->due_ms - ns_now_ms();
		if (left <= 0) {
			sendto(ns->udp, l->b, l->n, 0, (struct sockaddr *)&l->to, sizeof l->to);
			*l = ns->later[--ns->later_n];
			continue;
		}
		wait = wait < 0 || left < wait ? (int)left : wait;
		i++;
	}
	pthread_mutex_unlock(&ns->lock);
	return wait;
}

static inline void *ns_run(void *arg)
{
	struct name_server *ns = arg;
	struct ns_message *m = malloc(sizeof *m);

	for (;;) {
		struct pollfd fds[3 + NS_TCP_MAX] = { { ns->stop[0], POLLIN, 0 },
						      { ns->udp, POLLIN, 0 },
						      { ns->listener, POLLIN, 0 } };
		for (int i = 0; i < NS_TCP_MAX; i++)
			fds[3 + i] = (struct pollfd){ ns->tcp[i], POLLIN, 0 };
		poll(fds, 3 + NS_TCP_MAX, ns_send_later(ns));
		if (fds[0].revents)
			break;
		if (fds[1].revents)
			ns_on_udp(ns, m);
		for (int i = 0; i < NS_TCP_MAX; i++)
			if (fds[3 + i].revents)
				ns_on_tcp(ns, &ns->tcp[i], m);
		if (fds[2].revents) {
			int *slot = &ns->tcp[0];
			for (int i = 0; i < NS_TCP_MAX; i++)
				if (ns->tcp[i] < 0)
					slot = &ns->tcp[i];
			if (*slot >= 0)
				close(*slot);
			*slot = accept(ns->listener, NULL, NULL);
		}
	}
	free(m);
	return NULL;
}

/* ---- for tests ----------------------------------------------------------------------------------------- */

static inline struct name_server *name_server_start(const char *script)
{
	struct name_server *ns = calloc(1, sizeof *ns);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof sa;
	bool bound = false;

	pthread_mutex_init(&ns->lock, NULL);
	for (int i = 0; i < NS_TCP_MAX; i++)
		ns->tcp[i] = -1;
	/* The port that UDP got may be taken for TCP: then another one. */
	for (int attempt = 0; attempt < 50 && !bound; attempt++) {
		sa.sin_port = 0;
		ns->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		ns->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bound = bind(ns->udp, (struct sockaddr *)&sa, sizeof sa) == 0 &&
			getsockname(ns->udp, (struct sockaddr *)&sa, &n) == 0 &&
			bind(ns->listener, (struct sockaddr *)&sa, sizeof sa) == 0 &&
			listen(ns->listener, 16) == 0;
		if (!bound) {
			close(ns->udp);
			close(ns->listener);
		}
	}
	if (!bound || pipe(ns->stop) < 0) {
		perror("name server");
		exit(1);
	}
	ns->endpoint = ip_from_sockaddr((struct sockaddr *)&sa);
	name_server_script(ns, script);
	pthread_create(&ns->thread, NULL, ns_run, ns);
	return ns;
}

static inline void name_server_stop(struct name_server **nsp)
{
	struct name_server *ns = *nsp;

	if (!ns)
		return;
	*nsp = NULL;
	if (write(ns->stop[1], "", 1) != 1)
		exit(1);
	pthread_join(ns->thread, NULL);
	close(ns->udp);
	close(ns->listener);
	close(ns->stop[0]);
	close(ns->stop[1]);
	for (int i = 0; i < NS_TCP_MAX; i++)
		if (ns->tcp[i] >= 0)
			close(ns->tcp[i]);
	pthread_mutex_destroy(&ns->lock);
	free(ns);
}

/* How often; @name or @type NULL: any. */
static inline int name_server_asked(struct name_server *ns, const char *name, const char *type)
{
	int n = 0;

	pthread_mutex_lock(&ns->lock);
	for (size_t i = 0; i < ns->asked_n; i++)
		n += (!name || strcasecmp(ns->asked[i].name, name) == 0) &&
		     (!type || strcmp(ns->asked[i].type, type) == 0);
	pthread_mutex_unlock(&ns->lock);
	return n;
}

static inline struct ns_asked name_server_last(struct name_server *ns)
{
	struct ns_asked last = { 0 };

	pthread_mutex_lock(&ns->lock);
	if (ns->asked_n)
		last = ns->asked[ns->asked_n - 1];
	pthread_mutex_unlock(&ns->lock);
	return last;
}
