/* runtime/sandbox.h - gives up everything a process will not need: user, root directory,
 * privileges, files (Landlock), system calls (seccomp).
 *
 * Order: files that are needed later are read or opened first; then this; only then threads
 * start, since Landlock does not reach threads that already run. Every layer that the kernel
 * lacks is a warning, not a failure; one that it has and refuses ends the process.
 *
 * A system call that is not allowed fails with EACCES, and the first of each kind leaves a
 * line in the log. Processes with a sandbox end by _exit(): what libraries do at exit() is
 * not provided for. */
#pragma once

#include "base/attributes.h"
#include "base/err.h"

struct sandbox_user {
	unsigned uid, gid; /* 0: stay who you are */
};

/* From now on a call that is not allowed ends the process with SIGABRT, after its line in the
 * log: for tests, which want to hear of it. Before the sandbox is shut. */
void sandbox_kill_violators(void);

/* The front: no file system at all, no exec, no new sockets but TCP and UDP. When we are root,
 * an empty directory without a name becomes its root. */
enum err sandbox_front(const struct sandbox_user *user) MUST_USE;
/* The back: files below `files_dir` only, and no new socket but socket pairs. */
enum err sandbox_back(const struct sandbox_user *user, const char *files_dir) MUST_USE;
/* The supervisor: keeps its files (it reads the configuration again), loses what it never
 * needs (ptrace, mounts, modules, ...), for itself and its children. */
enum err sandbox_supervisor(void) MUST_USE;
/* Looks a user name up; ERR_NOT_FOUND. `name` NULL: zeros. */
enum err sandbox_find_user(const char *name, struct sandbox_user *user_out) MUST_USE;
