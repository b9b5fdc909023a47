/* tests/crash/check.c - walks over a store (walk.h), beside a running server or without one.
 *
 *   crash-check STATE_DIR
 *
 * Prints what is wrong, a line each, and leaves with 1; else a line for each mailbox:
 * account, mailbox, UIDVALIDITY, UIDNEXT, highest MODSEQ, messages, name. */
#include <stdio.h>

#include "base/log.h"
#include "storage/message.h"
#include "tests/crash/walk.h"

static void print_mailboxes(struct store *store)
{
	struct arena arena = { 0 };
	struct account account;
	struct mailbox mailbox;
	uint32_t account_id = 0;
	struct read *read = read_begin(store);
	while (account_next(read, &account_id, &arena, &account)) {
		struct mailbox_row row;
		for (struct slice after = SLICE_NONE;
		     mailbox_next(read, account.account_id, after, &row);
		     after = arena_copy(&arena, row.name))
			if (row.mailbox_id != 0 &&
			    mailbox_get(read, row.mailbox_id, &arena, &mailbox) == ERR_OK)
				printf("%.*s %llu %u %u %llu %u %.*s\n", SLICE_ARG(account.login),
				       (unsigned long long)row.mailbox_id, mailbox.uidvalidity,
				       mailbox.uidnext, (unsigned long long)mailbox.highest_modseq,
				       mailbox.messages, SLICE_ARG(row.name));
	}
	read_end(&read);
	arena_fini(&arena);
}

int main(int argc, char **argv)
{
	struct store *store;
	struct walk_totals totals;
	struct buffer problems = { 0 };
	const char *why;
	if (argc != 2) {
		fprintf(stderr, "usage: crash-check STATE_DIR\n");
		return 2;
	}
	log_set_level(LOG_ERROR);
	if (store_open(argv[1], STORE_ADMIN, &store, &why) != ERR_OK) {
		printf("%s\n", why);
		return 1;
	}
	store_walk(store, &problems, &totals);
	bool fine = problems.len == 0;
	printf("%.*s", (int)problems.len, fine ? "" : (char *)problems.data);
	if (fine)
		print_mailboxes(store);
	buffer_free(&problems);
	store_close(&store);
	return !fine;
}
