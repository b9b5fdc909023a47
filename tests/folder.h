/* tests/folder.h - folders of a test's own, in memory where there is such a place. They go with the
 * test however it ends, killed or not: a process beside it waits until the test and all that it has
 * forked are gone, and removes what is left. For test programs of one thread up to the first folder. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOLDER_PATH_OCTETS = 64 };

/* What all folders of a test program are in. */
static struct {
	char root[32];
	pid_t owner, keeper;
} folders;

static inline int folder_remove_one(const char *path, const struct stat *about, int type,
				    struct FTW *walk)
{
	(void)remove(path); /* what stays is seen in its folder staying */
	return 0;
}

/* With all that is in it. */
static inline void folder_remove(const char *path)
{
	nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Reads `life` to its end, which comes when nobody can write to it any more. */
static inline void folders_keep(int life, int ready)
{
	char octet = 0;
	/* Whoever ends a test ends its process group. */
	setsid();
	if (write(ready, &octet, 1) != 1)
		_exit(1);
	/* Nothing else of the test's may seem to be open still. */
	dup2(life, 0);
	close_range(1, ~0u, 0);
	while (read(0, &octet, 1) < 0 && errno == EINTR)
		;
	folder_remove(folders.root);
	_exit(0);
}

/* A test that comes to its end does it itself, and waits for nothing: a child of one that failed may
 * hang for ever. */
static inline void folders_end(void)
{
	if (getpid() != folders.owner) /* a child that the test has made */
		return;
	folder_remove(folders.root);
	kill(folders.keeper, SIGKILL);
	waitpid(folders.keeper, NULL, 0);
}

static inline void folders_begin(void)
{
	int life[2], ready[2];
	char octet;
	snprintf(folders.root, sizeof(folders.root), "%s/bode-test-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(folders.root) || pipe2(life, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0 ||
	    (folders.keeper = fork()) < 0)
		abort();
	if (folders.keeper == 0) {
		close(life[1]);
		folders_keep(life[0], ready[1]);
	}
	folders.owner = getpid();
	close(life[0]);
	close(ready[1]);
	if (read(ready[0], &octet, 1) != 1)
		abort();
	close(ready[0]);
	atexit(folders_end);
}

static inline void folder_make(char path_out[FOLDER_PATH_OCTETS], const char *name)
{
	if (!folders.root[0])
		folders_begin();
	snprintf(path_out, FOLDER_PATH_OCTETS, "%s/%s-XXXXXX", folders.root, name);
	if (!mkdtemp(path_out))
		abort();
}
