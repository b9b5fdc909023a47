/* tests/fuzz/pop3_session.c - what a client types, before sign-in (first octet even) and after it.
 * The second octet is the size of the pieces in which it comes. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/password.h"
#include "pop3d/login_priv.h"
#include "pop3d/session_priv.h"
#include "storage/account.h"
#include "tests/folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES = 4 };

static struct back back;
static struct front front;
static uint32_t account_id;

static enum err add_account(struct write *write, struct job *job)
{
	enum err err = domain_add(write, SLICE("example.org"));
	return err == ERR_OK ? account_add(write, SLICE("alice"), SLICE("example.org"), SLICE("-"),
					   &account_id)
			     : err;
}

struct filling {
	struct job job;
	struct intake *intake;
	bool done;
};

static enum err add_message(struct write *write, struct job *job)
{
	struct filling *filling = CONTAINER_OF(job, struct filling, job);
	struct message_entry entry = { .size_octets = intake_size_octets(filling->intake) };
	struct arena arena = { NULL };
	struct mailbox inbox;
	uint32_t uid;
	enum err err = mailbox_find(write_read(write), account_id, SLICE("INBOX"), &arena, &inbox);
	arena_fini(&arena);
	if (err == ERR_OK)
		err = intake_commit(write, filling->intake, &entry.blob_id);
	return err == ERR_OK ? message_append(write, inbox.mailbox_id, &entry, NULL, 0, &uid) : err;
}

static void filled(struct job *job)
{
	CONTAINER_OF(job, struct filling, job)->done = true;
}

static void has_room(void *user)
{
}

/* What an input has deleted is there again for the next. */
static void fill_maildrop(void)
{
	struct maildrop drop = { 0 };
	struct read *read = read_begin(back.store);
	enum err err = maildrop_open(&drop, read, account_id);
	read_end(&read);
	assert(err == ERR_OK);
	for (uint32_t count = drop.count; count < MESSAGES; count++) {
		struct filling filling = {
			.job = { .run = add_message, .done = filled, .loop = back.loop }
		};
		filling.intake = intake_new(back.store, back.loop, has_room, NULL);
		intake_feed(filling.intake, SLICE("Subject: x\r\n\r\n.dot\r\n\r\nno end"));
		err = intake_finish(filling.intake);
		assert(err == ERR_OK);
		store_submit(back.store, &filling.job);
		while (!filling.done)
			loop_run_once(back.loop, 100);
		assert(filling.job.outcome == ERR_OK);
		intake_free(&filling.intake);
	}
	maildrop_close(&drop);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char text[] = "[server]\nhostname = mx.example.org\n";
	char dir[FOLDER_PATH_OCTETS];
	const char *why;
	struct store *made;
	struct job job = { .run = add_account };
	log_set_level(LOG_ERROR);
	password_start();
	folder_make(dir, "pop3");
	struct config *config = config_parse("fuzz", slice_cstr(text), stderr);
	if (!config || store_open(dir, STORE_CREATE, &made, &why) != ERR_OK ||
	    store_write_now(made, &job) != ERR_OK)
		abort();
	store_close(&made);
	back = (struct back){ .loop = loop_new(0), .config = config };
	if (store_open(dir, STORE_SERVE, &back.store, &why) != ERR_OK)
		abort();
	store_start_writer(back.store);
	/* Not connected: every question is answered with "not now". */
	front = (struct front){ .loop = back.loop, .link = link_new(back.loop), .config = config };
	return 0;
}

/* What the binder does for a stream. */
static void drive(struct session *session, struct slice typed, size_t piece)
{
	struct buffer waiting = { 0 };
	size_t at = 0;
	enum step step;
	if (session->class->notify(session, NEWS_SECURED) == STEP_CLOSE)
		return;
	do {
		struct cursor in = cursor_of(buffer_slice(&waiting));
		size_t before = waiting.len;
		step = session_drive(session, &in);
		buffer_drop_front(&waiting, before - cursor_left(&in));
		assert(session->out.len < 4 * SESSION_OUT_HIGH_OCTETS);
		assert(waiting.len <= POP3_LINE_MAX_OCTETS + 2 + piece);
		buffer_clear(&session->out);
		assert(!session->wants_tls); /* it is up already */
		while (session->job_out)
			loop_run_once(session->loop, 100);
		if (step == STEP_INPUT) {
			if (at == typed.len)
				break;
			buffer_add(&waiting, slice_sub(typed, at, piece));
			at += piece < typed.len - at ? piece : typed.len - at;
		}
	} while (step != STEP_CLOSE);
	buffer_free(&waiting);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct session_message message = { .protocol = PROTOCOL_POP3 };
	if (size < 2)
		return 0;
	struct slice typed = slice_of(data + 2, size - 2);
	bool signed_in = data[0] & 1;
	if (signed_in)
		fill_maildrop();
	struct session *session = signed_in ? pop3_session_new(&back, &message, account_id)
					    : pop3_login_new(&front, NULL);
	drive(session, typed, data[1] ? data[1] : 4096);
	session->class->free(session);
	return 0;
}
