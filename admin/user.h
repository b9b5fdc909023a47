/* admin/user.h - making a user, for `user add` and for `setup`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/account.h"

struct admin;
/* Opens the store. False: there is none; that was said. In the admin's arena. */
bool user_find(struct admin *admin, const char *text, struct account *account_out);
/* Asks for the password, or reads it from standard input. Returns the exit status; what went
 * wrong was said. `quota_octets` 0: none. */
int user_add(struct admin *admin, const char *text, bool password_stdin, uint64_t quota_octets);
