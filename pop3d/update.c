/* pop3d/update.c - DELE and RSET, and QUIT's UPDATE state: RFC 1939 sections 5 and 6.
 * Runs in the back.
 *
 * All deletions are one job of the writer, all or nothing; +OK means that they are on disk. A
 * message that IMAP has expunged meanwhile is where QUIT would have had it. */
#include <inttypes.h>

#include "pop3d/session_priv.h"

enum step pop3_dele(struct pop3_session *s, const struct pop3_arguments *args)
{
	maildrop_delete(&s->drop, args->number);
	buffer_add_format(&s->session.out, "+OK message %" PRIu32 " marked\r\n", args->number);
	return STEP_AGAIN;
}

enum step pop3_rset(struct pop3_session *s, const struct pop3_arguments *args)
{
	maildrop_reset(&s->drop);
	buffer_add_format(&s->session.out,
			  "+OK maildrop has %" PRIu32 " messages (%" PRIu64 " octets)\r\n",
			  s->drop.count, s->drop.size_octets);
	return STEP_AGAIN;
}

static enum err run_update(struct write *write, struct job *job)
{
	struct pop3_session *s = CONTAINER_OF(job, struct pop3_session, update.job);
	ranges_clear(&s->update.expunged);
	return message_expunge(write, s->drop.mailbox_id, &s->update.uids, false,
			       &s->update.expunged);
}

static void update_done(struct job *job)
{
	struct pop3_session *s = CONTAINER_OF(job, struct pop3_session, update.job);
	session_job_end(&s->session);
}

static enum step say_goodbye(struct pop3_session *s)
{
	uint32_t left = maildrop_left(&s->drop);
	enum step step = pop3_close(s, "quit");
	if (left == 0)
		pop3_ok(&s->session, "goodbye (maildrop empty)");
	else
		buffer_add_format(&s->session.out, "+OK goodbye (%" PRIu32 " messages left)\r\n",
				  left);
	return step;
}

enum step pop3_quit(struct pop3_session *s, const struct pop3_arguments *args)
{
	if (s->drop.deleted_count == 0)
		return say_goodbye(s);
	maildrop_deleted(&s->drop, &s->update.uids);
	s->update.job = (struct job){
		.run = run_update,
		.done = update_done,
		.loop = s->session.loop,
	};
	pop3_set_state(s, POP3_UPDATE);
	session_job_begin(&s->session);
	store_submit(s->back->store, &s->update.job);
	return STEP_WAIT;
}

enum step pop3_updated(struct pop3_session *s)
{
	enum err err = s->update.job.outcome;
	if (err == ERR_OK)
		return say_goodbye(s);
	log_error(&s->session.log, EVENT("update-failed"), WORD("why", err_word(err)),
		  NUM("messages", s->drop.deleted_count));
	ranges_clear(&s->update.expunged);
	pop3_err(&s->session, "[SYS/TEMP] the deleted messages could not be removed");
	return pop3_close(s, "update-failed");
}
