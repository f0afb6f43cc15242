#include "main/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int privileges_drop(const struct config *cfg, struct errtext *e)
{
	if (geteuid() != 0 || !cfg->user.n)
		return 0;
	const struct passwd *pw = getpwnam(cfg->user.p);
	if (!pw)
		return errtext_set(e, ERR_NOTFOUND, "user \"%s\" does not exist", cfg->user.p);
	gid_t gid = pw->pw_gid;
	if (cfg->group.n) {
		const struct group *gr = getgrnam(cfg->group.p);
		if (!gr)
			return errtext_set(e, ERR_NOTFOUND, "group \"%s\" does not exist", cfg->group.p);
		gid = gr->gr_gid;
	}
	if (chown(cfg->data_dir.p, pw->pw_uid, gid) != 0 || initgroups(pw->pw_name, gid) != 0 ||
	    setgid(gid) != 0 || setuid(pw->pw_uid) != 0)
		return errtext_set(e, ERR_DENIED, "become user \"%s\": %s", cfg->user.p, strerror(errno));
	return 0;
}

/* Keys and passwords are in this memory: it is not written to a file, and nobody else of the same user looks into it. */
void privileges_hide_memory(const struct config *cfg)
{
	const struct rlimit none = { 0, 0 };

	if (!config_has_secrets(cfg))
		return;
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Every connection is a descriptor; the default of many systems, 1024, is less than one campus. */
void privileges_raise_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}
