/* serve/control_priv.h - the socket by which the admin's process wakes the server: STATE_DIR/
 * control, datagrams of one octet that says what has changed, and the be32 number of an account. For this
 * room alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/sandbox.h"

enum { CONTROL_OCTETS = 1 + 4 };
enum control_kind {
	CONTROL_ACCOUNT, /* something of the account */
	CONTROL_RIGHTS,	 /* lists of rights: of its mailboxes, or what they give to it; 0: to all */
	CONTROL_QUEUE,	 /* the queue, of no account */
};
/* Binds it, for its owner alone, in the place of one that a killed server left. The caller
 * holds the state directory's lock. -1: logged; the server can do without. */
int control_bind(const char *state_dir, const struct sandbox_user *owner);
void control_unbind(const char *state_dir);
