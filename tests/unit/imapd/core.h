/* tests/unit/imapd/core.h - signed-in session cores over a store of their own, without streams:
 * for unit tests and the session fuzzer. */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/session_priv.h"
#include "runtime/loop.h"
#include "storage/account.h"
#include "storage/store.h"
#include "tests/folder.h"
#include "tests/unit/storage/jobs_home.h"

struct core_world {
	char dir[FOLDER_PATH_OCTETS];
	struct config *config;
	struct loop *loop;
	struct back back;
	uint32_t account_id;
};

struct core_setup {
	struct job job;
	uint32_t account_id;
};

static inline enum err core_setup_run(struct write *write, struct job *job)
{
	struct core_setup *setup = CONTAINER_OF(job, struct core_setup, job);
	enum err err = domain_add(write, SLICE("example.org"));
	if (err != ERR_OK)
		return err;
	return account_add(write, SLICE("alice"), SLICE("example.org"), SLICE("no hash"),
			   &setup->account_id);
}

static inline void core_world_start(struct core_world *world)
{
	const char *why;
	struct core_setup setup = { .job = { .run = core_setup_run } };
	struct store *store = NULL;
	folder_make(world->dir, "imapd");
	char text[200];
	snprintf(text, sizeof(text),
		 "[server]\nhostname = mx.example.org\nstate_dir = %s\n"
		 "[limits]\nprotocol_errors = 1000\n",
		 world->dir);
	world->config = config_parse("core", slice_cstr(text), stderr);
	if (!world->config || store_open(world->dir, STORE_CREATE, &store, &why) != ERR_OK ||
	    store_write_now(store, &setup.job) != ERR_OK)
		abort();
	store_close(&store);
	if (store_open(world->dir, STORE_SERVE, &store, &why) != ERR_OK)
		abort();
	world->account_id = setup.account_id;
	world->loop = loop_new(0);
	world->back = (struct back){ world->loop, store, world->config };
	store_start_writer(store);
}

static inline void core_world_stop(struct core_world *world)
{
	jobs_home(world->back.store, world->loop);
	store_close(&world->back.store);
	loop_free(world->loop);
	config_free(world->config);
	folder_remove(world->dir);
}

static inline void core_woken(struct session *session)
{
	/* core_feed() looks by itself. */
}

static inline struct session *core_sign_in(struct core_world *world, uint32_t conn_id)
{
	struct session_message message = { .client = { .conn_id = conn_id, .secure = true },
					   .protocol = PROTOCOL_IMAP,
					   .tag = SLICE("sign-in") };
	struct session *session = imap_session_new(&world->back, &message, world->account_id);
	session->woken = core_woken;
	return session;
}

static inline void core_drain(struct session *session, struct buffer *said)
{
	buffer_add(said, buffer_slice(&session->out));
	buffer_clear(&session->out);
}

/* Feeds all of it, waiting for jobs, until the core wants more. False: it wants to close. */
static inline bool core_feed(struct core_world *world, struct session *session, struct slice input,
			     struct buffer *said)
{
	struct cursor in = cursor_of(input);
	for (;;) {
		enum step step = session_drive(session, &in);
		core_drain(session, said);
		if (step == STEP_CLOSE)
			return false;
		if (step == STEP_INPUT) {
			assert(at_end(&in));
			return true;
		}
		if (session->job_out)
			loop_run_once(world->loop, 1000);
	}
}

/* What came in the meantime: watches. */
static inline bool core_turn(struct core_world *world, struct session *session, struct buffer *said)
{
	loop_run_once(world->loop, 0);
	return core_feed(world, session, SLICE_NONE, said);
}

static inline void core_sign_out(struct core_world *world, struct session *session)
{
	while (session->job_out)
		loop_run_once(world->loop, 1000);
	session->class->free(session);
}
