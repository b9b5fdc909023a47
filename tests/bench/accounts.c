/* tests/bench/accounts.c - more accounts in a store of bench.test, without passwords:
 * `bench-accounts STATE_DIR COUNT` makes u1 to uCOUNT where they are not there yet. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/account.h"
#include "storage/store.h"

static void check(enum err err)
{
	if (err != ERR_OK) {
		fprintf(stderr, "bench-accounts: %s\n", err_word(err));
		exit(1);
	}
}

static unsigned first, end;

static enum err run(struct write *write, struct job *job)
{
	uint32_t account_id;
	for (unsigned i = first; i < end; i++) {
		char local[16];
		snprintf(local, sizeof(local), "u%u", i);
		enum err err = account_add(write, slice_cstr(local), SLICE("bench.test"),
					   SLICE_NONE, &account_id);
		if (err != ERR_EXISTS)
			check(err);
	}
	return ERR_OK;
}

int main(int argc, char **argv)
{
	enum { BATCH = 100 };
	struct store *store;
	const char *why;
	struct job job = { .run = run };
	if (argc != 3) {
		fprintf(stderr, "usage: bench-accounts STATE_DIR COUNT\n");
		return 2;
	}
	if (store_open(argv[1], STORE_CREATE, &store, &why) != ERR_OK) {
		fprintf(stderr, "bench-accounts: %s\n", why);
		return 1;
	}
	unsigned count = (unsigned)atoi(argv[2]);
	for (first = 1; first <= count; first = end) {
		end = first + BATCH <= count ? first + BATCH : count + 1;
		check(store_write_now(store, &job));
	}
	store_close(&store);
	return 0;
}
