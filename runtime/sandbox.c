/* runtime/sandbox.c - the steps of giving up, in their one possible order: directory, groups,
 * user, capabilities, no_new_privs, files, system calls. */
#include "runtime/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/landlock_priv.h"
#include "runtime/syscalls_priv.h"

static bool kill_violators;

void sandbox_kill_violators(void)
{
	kill_violators = true;
}

enum err sandbox_find_user(const char *name, struct sandbox_user *user_out)
{
	*user_out = (struct sandbox_user){ 0, 0 };
	if (!name)
		return ERR_OK;
	const struct passwd *entry = getpwnam(name);
	if (!entry)
		return ERR_NOT_FOUND;
	*user_out = (struct sandbox_user){ entry->pw_uid, entry->pw_gid };
	return ERR_OK;
}

static enum err failed(const char *step)
{
	log_error(NULL, EVENT("sandbox-failed"), WORD("step", step), ERRNO(errno));
	return ERR_DENIED;
}

static void *give_memory_back(void *arg)
{
	enum { BLOCKS = 8, BLOCK_OCTETS = 100 * 1000 };
	void *blocks[BLOCKS];
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = heap_alloc(BLOCK_OCTETS);
	for (int i = BLOCKS; i > 0; i--)
		free(blocks[i - 1]);
	return NULL;
}

/* What libraries read at their first use, while files can still be read: the time zone, the
 * unwinder that ends threads, and how memory is overcommitted, which glibc's malloc() wants to know when a
 * thread other than the first gives some back. */
static void read_ahead(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, give_memory_back, NULL) == 0)
		pthread_join(thread, NULL);
	tzset();
	(void)dlopen("libgcc_s.so.1", RTLD_NOW);
}

/* A directory that has no name any more holds nothing and can never be given anything. */
static enum err enter_empty_root(void)
{
	char path[] = "/tmp/bode-XXXXXX";
	if (!mkdtemp(path))
		return failed("mkdtemp");
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rmdir(path) != 0 || dir < 0)
		return failed("rmdir");
	if (fchdir(dir) != 0 || chroot(".") != 0)
		return failed("chroot");
	close(dir);
	return ERR_OK;
}

static enum err become(const struct sandbox_user *user)
{
	if (geteuid() != 0 || user->uid == 0)
		return ERR_OK;
	if (setgroups(0, NULL) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return failed("setresuid");
	return ERR_OK;
}

/* Also for a root that stays root: without capabilities it is merely the owner of its files. */
static enum err drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	if (syscall(SYS_capset, &header, none) != 0)
		return failed("capset");
	return ERR_OK;
}

static enum err give_up_privileges(const struct sandbox_user *user)
{
	const struct rlimit no_core = { 0, 0 };
	enum err err;
	/* A core would hold keys and passwords; tests may want one. */
	if (!kill_violators)
		setrlimit(RLIMIT_CORE, &no_core);
	/* Refused to those who have nothing to give up. */
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		(void)prctl(PR_CAPBSET_DROP, capability);
	if ((err = become(user)) != ERR_OK || (err = drop_capabilities()) != ERR_OK)
		return err;
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return failed("pdeathsig");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed("no_new_privs");
	return ERR_OK;
}

enum err sandbox_front(const struct sandbox_user *user)
{
	enum err err;
	read_ahead();
	if (geteuid() == 0 && (err = enter_empty_root()) != ERR_OK)
		return err;
	if ((err = give_up_privileges(user)) != ERR_OK ||
	    (err = landlock_shut(NULL, LANDLOCK_PORTS_NO_BIND)) != ERR_OK)
		return err;
	return syscalls_shut(SYSCALLS_FRONT, kill_violators);
}

enum err sandbox_back(const struct sandbox_user *user, const char *files_dir)
{
	enum err err;
	read_ahead();
	if ((err = give_up_privileges(user)) != ERR_OK ||
	    (err = landlock_shut(files_dir, LANDLOCK_PORTS_NONE)) != ERR_OK)
		return err;
	return syscalls_shut(SYSCALLS_BACK, kill_violators);
}

enum err sandbox_supervisor(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed("no_new_privs");
	return syscalls_shut(SYSCALLS_SUPERVISOR, false);
}
