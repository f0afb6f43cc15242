/* https_server.h - tests/scenario/lib/https_server.py as a child of a test: certificates, answers in files, a record of requests. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "test.h"

struct https_server {
	char dir[64];
	char ca[128];
	unsigned good, name, stranger, clear, plain; /* ports */
	pid_t pid;
	int in; /* closed: it ends */
};

static inline void https_server_start(struct https_server *s)
{
	int to[2], from[2];
	char line[200];
	size_t n = 0;

	*s = (struct https_server){ 0 };
	snprintf(s->dir, sizeof s->dir, "/tmp/postern-https-XXXXXX");
	NEED(mkdtemp(s->dir) != NULL);
	snprintf(s->ca, sizeof s->ca, "%s/ca.pem", s->dir);
	NEED(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	s->pid = fork();
	NEED(s->pid >= 0);
	if (s->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execlp("python3", "python3", TEST_SOURCE_DIR "/tests/scenario/lib/https_server.py", s->dir,
		       (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	s->in = to[1];
	while (n + 1 < sizeof line && read(from[0], line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	close(from[0]);
	NEED(sscanf(line, "ports good=%u name=%u stranger=%u clear=%u plain=%u", &s->good, &s->name,
		    &s->stranger, &s->clear, &s->plain) == 5);
}

/* What /@name is answered with, for the @nth request (from 0), or for all (-1). @head: "200\nField: value\n". */
static inline void https_server_answer(const struct https_server *s, const char *name, int nth,
				       const char *head, const char *body)
{
	char path[160];

	if (nth < 0)
		snprintf(path, sizeof path, "%s/%s.answer", s->dir, name);
	else
		snprintf(path, sizeof path, "%s/%s.answer.%d", s->dir, name, nth);
	FILE *f = fopen(path, "w");
	NEED(f != NULL);
	fprintf(f, "%s\n%s", head, body);
	fclose(f);
}

/* All that was asked, a line of JSON each. */
static inline void https_server_requests(const struct https_server *s, struct buf *out)
{
	char path[160], chunk[4096];
	size_t n;

	snprintf(path, sizeof path, "%s/requests", s->dir);
	buf_reset(out);
	FILE *f = fopen(path, "r");
	if (!f)
		return;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
}

static inline unsigned https_server_count(const struct https_server *s)
{
	struct buf all = BUF_INIT(1 << 20);
	unsigned n = 0;

	https_server_requests(s, &all);
	for (size_t i = 0; i < all.n; i++)
		n += all.p[i] == '\n';
	buf_free(&all);
	return n;
}

static inline void https_server_stop(struct https_server *s)
{
	char path[400];
	DIR *d;

	close(s->in);
	waitpid(s->pid, NULL, 0);
	d = opendir(s->dir);
	for (const struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", s->dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(s->dir);
}
