/* tests/transcripts/world.h - a whole server in one thread: the front's sessions, the channel,
 * the back's, a store of its own in a folder of its own. Everything but the sockets' other
 * ends, the processes and the check of passwords is the real thing. */
#pragma once

#include "auth/token.h"
#include "runtime/channel.h"
#include "runtime/front.h"
#include "storage/back.h"
#include "tests/transcripts/transcript.h"
#include "tests/transcripts/wire.h"

enum { WORLD_ACCOUNTS_MAX = 32 };
#define WORLD_HOSTNAME "mx.example.org"

/* Made once, before any world: every child of the runner has it. */
struct world_identity {
	struct buffer certificate_pem, key_pem;
};
void world_identity_make(struct world_identity *identity);

struct world_account {
	char login[128], password[128];
	uint32_t account_id;
};

struct connection {
	struct wire wire;
	bool opened;
	/* How it starts. */
	enum config_service service;
	bool secure;
	const struct world_account *signed_in; /* NULL: at the greeting */
	struct peer peer;
};

struct world {
	const struct world_identity *identity;
	char *dir;
	struct config *config;
	struct loop *loop;
	struct store *store;
	struct back back;
	struct front front;
	struct channel *channel; /* the back's end; NULL: the back is away */
	struct smtpd_back *smtpd;
	struct way_back *way_back;
	struct token_table *tokens;
	struct world_account accounts[WORLD_ACCOUNTS_MAX];
	size_t account_count;
	struct connection connections[TRANSCRIPT_CONNECTIONS_MAX + 1]; /* from 1 */
};

/* `settings`: lines "section.key value". False: they are wrong, or there is no store. */
bool world_start(struct world *world, const struct world_identity *identity, const char *dir,
		 enum config_service service, const struct slice *settings, size_t setting_count);
/* Ends what is left; false when sessions stay behind (said on standard output). */
bool world_stop(struct world *world);
/* One turn of the loop, then every client takes what has come. True: something has. */
bool world_turn(struct world *world, unsigned wait_ms);
void world_back_leaves(struct world *world);

/* Opens connection `number` as its settings say: TLS and the answer to a sign-in that was
 * `given` are over when it returns. False: said on standard output. */
bool world_connect(struct world *world, unsigned number);
bool world_handshake(struct world *world, unsigned number);

/* Runs `run` in a job of the real writer and waits for it. */
struct write;
enum err world_write(struct world *world, enum err (*run)(struct write *write, void *user),
		     void *user);
const struct world_account *world_find_account(const struct world *world, struct slice login);

/* A moment until which something must have happened; generous, since it fails the test. */
int64_t world_deadline_ms(void);
bool world_is_past(int64_t deadline_ms);
