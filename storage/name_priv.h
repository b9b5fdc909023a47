/* storage/name_priv.h - names of mailboxes: which may be, and the rows of those that are.
 * Reads on any thread; writes in a job. */
#pragma once

#include "storage/store_priv.h"

/* ERR_LIMIT: too long; ERR_BAD_INPUT: empty, an empty level, not UTF-8, control characters. */
enum err name_check(struct slice name) MUST_USE;
/* Also of a name that is to be made: composed, and no controls beyond ASCII's (RFC 6855 section 3). */
enum err name_check_new(struct slice name) MUST_USE;
/* Names are kept in normalisation form C, which is what any other form of one means (RFC 9051 section 5.1);
 * unless there is a row of just these octets, from before that was so. */
struct slice name_as_kept(struct read *read, uint32_t account_id, struct slice name,
			  struct arena *arena);
/* The next level above: *end, 0 to start, is set behind it. False: there are no more. */
bool name_superior(struct slice name, size_t *end);
/* ERR_NOT_FOUND. */
enum err name_get(struct read *read, uint32_t account_id, struct slice name,
		  struct name_row *row_out) MUST_USE;
/* Writes the row, or deletes one that stands for nothing; counts the account's names. */
enum err name_put(struct write *write, struct account_slot *account, struct slice name,
		  const struct name_row *row) MUST_USE;
/* Whether `name` is free and may be made, with its superiors, and `count` names in all. */
enum err name_may_make(struct write *write, struct account_slot *account, struct slice name,
		       size_t count) MUST_USE;
enum err names_may_add(const struct account_slot *account, size_t count) MUST_USE;
/* mailbox.c. `for_other`: as mailbox_create_for_other(). */
enum err superiors_make(struct write *write, struct account_slot *account, struct slice name,
			bool for_other) MUST_USE;
