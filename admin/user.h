/* admin/user.h - users, for the commands that name one: who he is, and making one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mail/address.h"
#include "storage/account.h"

struct admin;
/* Opens the store. False: there is none; that was said. In the admin's arena. */
bool user_find(struct admin *admin, const char *text, struct account *account_out);
bool user_find_id(struct admin *admin, const char *text, uint32_t *account_id_out);
/* Asks for the password, or reads it from standard input. Returns the exit status; what went
 * wrong was said. `quota_octets` 0: none. */
int user_add(struct admin *admin, const char *text, bool password_stdin, uint64_t quota_octets);
/* Why an account was not made; returns EXIT_FAILURE. `doing` as for admin_fail_store(). */
int user_fail_add(enum err err, const char *text, const struct address *address, const char *doing);
