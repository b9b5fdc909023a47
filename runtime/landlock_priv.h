/* runtime/landlock_priv.h - the kernel's rules about files and ports, for this room alone. */
#pragma once

#include "base/attributes.h"
#include "base/err.h"

enum landlock_ports {
	LANDLOCK_PORTS_NO_BIND, /* TCP: may connect, not bind */
	LANDLOCK_PORTS_NONE,	/* TCP: neither */
};

/* Shuts the calling thread, and those it will start, out of every file but those below
 * `files_dir` (NULL: all). A kernel without Landlock, or with an older one, is a warning.
 * no_new_privs must be set. ERR_DENIED: refused; logged. */
enum err landlock_shut(const char *files_dir, enum landlock_ports ports) MUST_USE;
