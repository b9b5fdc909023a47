/* tests/bench/journal.c - a store whose journal holds many events, for measuring `bode why`:
 * `bench-journal STATE_DIR [EVENTS]`. Each message has two events, as a filing notes them; the
 * segments of the index are made as the server makes them. Prints what noting one costs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "storage/account.h"
#include "storage/journal_index_priv.h"

enum { BATCH = 100, USERS = 50 };

static void check(enum err err)
{
	if (err != ERR_OK) {
		fprintf(stderr, "bench-journal: %s\n", err_word(err));
		exit(1);
	}
}

static double cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static unsigned first;

static enum err run_setup(struct write *write, struct job *job)
{
	uint32_t account_id;
	check(domain_add(write, SLICE("bench.test")));
	for (unsigned i = 0; i < USERS; i++) {
		char local[16];
		snprintf(local, sizeof(local), "u%u", i);
		check(account_add(write, slice_cstr(local), SLICE("bench.test"), SLICE_NONE,
				  &account_id));
	}
	return ERR_OK;
}

static enum err run_batch(struct write *write, struct job *job)
{
	for (unsigned i = first; i < first + BATCH; i++) {
		char sender[64], id[64], recipient[64];
		snprintf(sender, sizeof(sender), "sender%u@domain%u.example", i % 20011, i % 1009);
		snprintf(id, sizeof(id), "<%08x.%u@domain%u.example>", i * 2654435761u, i,
			 i % 1009);
		snprintf(recipient, sizeof(recipient), "u%u@bench.test", i % USERS);
		struct journal_event received = {
			.kind = JOURNAL_RECEIVED,
			.service = SLICE("smtp"),
			.conn_id = 1000000 + i,
			.peer = { .family = 4, .port = 25252 },
			.client_name = SLICE("mail.domain.example"),
			.blob_id = i + 1,
			.message_id = slice_cstr(id),
			.sender = slice_cstr(sender),
			.size_octets = 4096,
		};
		put_be32(received.peer.address, i % 50021 * 85733u);
		journal_note(write, &received);
		struct journal_event filed = {
			.kind = JOURNAL_FILED,
			.blob_id = i + 1,
			.recipient = slice_cstr(recipient),
			.account_id = i % USERS + 1,
			.mailbox_id = i % USERS + 1,
			.uid = i,
		};
		journal_note(write, &filed);
	}
	return ERR_OK;
}

int main(int argc, char **argv)
{
	struct store *store;
	const char *why;
	struct job setup = { .run = run_setup }, batch = { .run = run_batch };
	unsigned messages = (argc > 2 ? (unsigned)atoi(argv[2]) : 1000000) / 2;
	if (argc < 2) {
		fprintf(stderr, "usage: bench-journal STATE_DIR [EVENTS]\n");
		return 2;
	}
	if (store_open(argv[1], STORE_CREATE, &store, &why) != ERR_OK) {
		fprintf(stderr, "bench-journal: %s\n", why);
		return 1;
	}
	store_set_journal(store, 30, UINT64_C(1) << 40);
	check(store_write_now(store, &setup));
	/* The syncs are others' affair. */
	mdb_env_set_flags(store->env, MDB_NOSYNC, 1);
	double begun_us = cpu_us();
	for (first = 0; first < messages; first += BATCH)
		check(store_write_now(store, &batch));
	double noted_us = cpu_us();
	for (uint64_t wait_ms = 0; wait_ms == 0;)
		check(journal_step(store, &wait_ms));
	double indexed_us = cpu_us();
	uint64_t rows, octets, index_octets;
	struct read *read = read_begin(store);
	db_extent(read, DB_JOURNAL, &rows, &octets);
	db_extent(read, DB_JOURNAL_INDEX, &rows, &index_octets);
	read_end(&read);
	printf("note_cpu %.2f us/msg\nindex_cpu %.2f us/msg\noctets %.0f octet/msg\n",
	       (noted_us - begun_us) / messages, (indexed_us - noted_us) / messages,
	       (double)(octets + index_octets) / messages);
	store_close(&store);
	return 0;
}
