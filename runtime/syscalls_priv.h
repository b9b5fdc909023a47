/* runtime/syscalls_priv.h - which system calls a process may make, for this room alone. */
#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/err.h"

enum syscalls_role { SYSCALLS_FRONT, SYSCALLS_BACK, SYSCALLS_SUPERVISOR };

/* Shuts all threads of the process out of the system calls that the role has no use for. A
 * kernel without seccomp is a warning. ERR_DENIED: refused; logged. */
enum err syscalls_shut(enum syscalls_role role, bool kill_violators) MUST_USE;
