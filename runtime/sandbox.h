/* runtime/sandbox.h - gives up everything a process will not need: user, root directory,
 * privileges, files (Landlock), system calls (seccomp).
 *
 * Order (docs/design.md, "The sandbox"): files that are needed later are read or opened
 * first; then this; only then threads start, since Landlock does not reach threads that
 * already run. Every layer that the kernel lacks is a warning, not a failure; one that it
 * has and refuses ends the process. */
#pragma once

#include "base/attributes.h"
#include "base/err.h"

struct sandbox_user {
	unsigned uid, gid; /* 0: stay who you are */
};

/* The front: no file system at all, no exec, no new sockets but those it needs. `empty_dir`
 * becomes the root directory when we are root; NULL: skip. */
enum err sandbox_front(const struct sandbox_user *user, const char *empty_dir) MUST_USE;
/* The back: files below `state_dir` only, and no internet socket. */
enum err sandbox_back(const struct sandbox_user *user, const char *state_dir) MUST_USE;
/* The supervisor: keeps its files (it reads the configuration again), loses what it never
 * needs (ptrace, mounts, modules, ...). */
enum err sandbox_supervisor(void) MUST_USE;
/* Looks a user name up; ERR_NOT_FOUND. `name` NULL: zeros. */
enum err sandbox_find_user(const char *name, struct sandbox_user *user_out) MUST_USE;
