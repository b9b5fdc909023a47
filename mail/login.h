/* mail/login.h - the name of an account, as people type it. Any thread. */
#pragma once

#include "base/arena.h"

/* The form in which accounts are looked up: "local@domain", both in their one form
 * (mail/address.h). False where it is no address. */
bool login_normalise(struct slice text, struct arena *arena, struct slice *login_out);
