/* serve/user_names_priv.h - the names of users of the machine, by the numbers that the kernel has for
 * them. In the supervisor, on its loop. */
#pragma once

#include "runtime/loop.h"

struct user_names;

/* found() follows a user_names_get() that returned NULL, once for all until then. */
struct user_names *user_names_new(struct loop *loop, void (*found)(void *user), void *user);
/* The name, until the loop turns; "uid1234" where there is none (`is_nobodys_out`). Root has his in any
 * case. NULL: it, or another's before it, is being looked up, which may take as long as a directory in the
 * network takes; ask again in found(). */
const char *user_names_get(struct user_names *names, uint32_t uid, bool *is_nobodys_out);
/* No found() comes afterwards; who looks one up is not waited for. Accepts NULL, leaves NULL. */
void user_names_free(struct user_names **names);
