/* serve/programs_priv.h - the sockets of [listen] sendmail, where programs of this machine come. In the
 * supervisor. */
#pragma once

#include "serve/offspring_priv.h"
#include "serve/sockets_priv.h"

struct programs;

/* Takes clients off `sockets`, which stay the caller's, and hands them to `back`. */
struct programs *programs_new(struct loop *loop, const struct listening_sockets *sockets,
			      struct offspring *back);
/* Accepts NULL, leaves NULL. */
void programs_free(struct programs **programs);
