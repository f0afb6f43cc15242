#include "main/cli_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

enum { PASSWORD_MAX = 1024 };

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* It is there so that a signal ends the wait instead of the program, with a terminal that stays mute. */
static void wake_up(int signal)
{
	(void)signal;
}

/* One octet; 0: there are no more. Signals that are blocked come in while it waits, by @mask, and at no other time: one that came
 * just before would be lost. */
static int read_octet(int fd, const sigset_t *mask, char *c, struct errtext *why)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (mask && ppoll(&p, 1, NULL, mask) < 0)
		return errtext_set(why, ERR_CANCELED, "interrupted");
	const ssize_t got = read(fd, c, 1);
	if (got < 0)
		return errtext_set(why, err_from_errno(errno), "reading the password: %s", strerror(errno));
	return (int)got;
}

static int read_line(int fd, const sigset_t *mask, struct secret *secret, struct errtext *why)
{
	char line[PASSWORD_MAX + 1];
	size_t n = 0;
	int err = 1;

	while (n < sizeof line) {
		err = read_octet(fd, mask, line + n, why); /* what is behind the line is not ours */
		if (err <= 0 || line[n] == '\n')
			break;
		n++;
	}
	err = err < 0 ? err : 0;
	if (err == 0 && n > 0 && line[n - 1] == '\r')
		n--;
	if (err == 0 && n == 0)
		err = errtext_set(why, ERR_INVAL, "the password is empty");
	else if (err == 0 && n > PASSWORD_MAX)
		err = errtext_set(why, ERR_TOOBIG, "the password is too long; at most %d octets",
				  PASSWORD_MAX);
	if (err == 0)
		err = secret_set(secret, span_make(line, n));
	mem_wipe(line, sizeof line);
	return err;
}

static int ask(int fd, const sigset_t *mask, const char *prompt, const char *what, struct secret *secret,
	       struct errtext *why)
{
	(void)dprintf(fd, "%s%s: ", prompt, what);
	const int err = read_line(fd, mask, secret, why);
	(void)dprintf(fd, "\n"); /* the one that was typed made no line */
	return err;
}

static int ask_twice(int fd, const sigset_t *mask, const char *what, struct secret *secret,
		     struct errtext *why)
{
	struct secret again = { 0 };
	int err = ask(fd, mask, "", what, secret, why);

	if (err == 0)
		err = ask(fd, mask, "again, ", what, &again, why);
	if (err == 0 && !secret_eq(secret, secret_span(&again)))
		err = errtext_set(why, ERR_INVAL, "the two passwords differ; nothing was changed");
	secret_deinit(&again);
	return err;
}

static int from_terminal(int fd, const char *what, struct secret *secret, struct errtext *why)
{
	struct sigaction before[ARRAY_LEN(signals)], wake = { .sa_handler = wake_up };
	struct termios as_it_was, mute;
	sigset_t ours, before_mask;

	if (tcgetattr(fd, &as_it_was) < 0)
		return errtext_set(why, err_from_errno(errno), "the terminal: %s", strerror(errno));
	sigemptyset(&ours);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&ours, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &ours, &before_mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &wake, &before[i]);
	mute = as_it_was;
	mute.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	int err = tcsetattr(fd, TCSAFLUSH, &mute) < 0
			  ? errtext_set(why, err_from_errno(errno), "the terminal: %s", strerror(errno))
			  : ask_twice(fd, &before_mask, what, secret, why);
	(void)tcsetattr(fd, TCSAFLUSH, &as_it_was);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &before_mask, NULL);
	return err;
}

int cli_terminal_secret(const char *what, struct secret *secret, struct errtext *why)
{
	int err;

	if (!isatty(STDIN_FILENO))
		return read_line(STDIN_FILENO, NULL, secret, why);
	const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errtext_set(why, err_from_errno(errno), "/dev/tty: %s", strerror(errno));
	err = from_terminal(fd, what, secret, why);
	close(fd);
	return err;
}
