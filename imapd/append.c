/* imapd/append.c - APPEND: messages from the client into a mailbox; REPLACE: one in the place of
 * another. In the back.
 *
 * RFC 9051 section 6.3.12, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 3516 section 4.4
 * (literal8), RFC 7889 (APPENDLIMIT), RFC 8508 (REPLACE). Each message streams into an intake of
 * the store as it comes (append_data.c), so one of any size costs a few chunks of memory, and its
 * octets are kept exactly as they are, bare CR and LF included. All messages are filed by one job,
 * so all of them or none. Everything that can be refused is refused before the client is asked for
 * the octets. */
#include "imapd/access_priv.h"
#include "imapd/append_priv.h"
#include "imapd/respond_priv.h"
#include "storage/account.h"

static void append_fini(struct imap_session *s)
{
	append_free_messages(s->work);
}

/* ---- the arguments ---- */

/* "APPEND" / ["UID" SP] "REPLACE" SP seq-number; *number_out is 0 for APPEND. */
static bool take_verb(struct cursor *at, bool *uid_out, uint32_t *number_out)
{
	struct cursor c = *at;
	*uid_out = false;
	*number_out = 0;
	if (!take_keyword(&c, "APPEND")) {
		*uid_out = take_keyword(&c, "UID") && take_space(&c);
		if (!take_keyword(&c, "REPLACE") || !take_space(&c))
			return false;
		if (take_byte(&c, '*'))
			*number_out = UINT32_MAX;
		else if (!take_nz_number(&c, number_out))
			return false;
	}
	*at = c;
	return true;
}

/* ---- what cannot be ---- */

/* NULL: there is such a message, and it may go. */
static const char *why_not_replace(struct imap_session *s, struct append *append, bool uid,
				   uint32_t number)
{
	struct message_entry entry;
	struct imap_view *view = s->view;
	uint32_t count = view_count(view);
	if (view->is_read_only)
		return "[NOPERM] The mailbox is selected read-only";
	if (!view_may_remove(view))
		return respond_refusal(ERR_DENIED);
	if (uid && number == UINT32_MAX)
		number = count > 0 ? ranges_at_rank(&view->uids, count) : 0;
	else if (!uid)
		number = number == UINT32_MAX ? count : number;
	if (!uid && number > 0 && number <= count)
		number = ranges_at_rank(&view->uids, number);
	else if (!uid)
		return "[NONEXISTENT] There is no such message";
	if (!ranges_contains(&view->uids, number))
		return "[NONEXISTENT] There is no such message";
	append->replaced_mailbox_id = view->mailbox_id;
	append->replaced_uid = number;
	struct read *read = read_begin(s->back->store);
	enum err err = message_get(read, view->mailbox_id, number, &entry);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		return "[EXPUNGEISSUED] The message has been expunged";
	append->replaced_octets = err == ERR_OK ? entry.size_octets : 0;
	return err == ERR_OK ? NULL : respond_refusal(err);
}

const char *append_why_not_message(const struct append *append,
				   const struct append_message *message)
{
	if (flag_list_check(&message->flags) != ERR_OK)
		return "[LIMIT] Too many keywords, or too long ones";
	if (append->count >= APPEND_MESSAGES_MAX)
		return "[LIMIT] Too many messages for one command";
	return NULL;
}

const char *append_why_not_part(struct append *append, uint64_t octets)
{
	struct imap_session *s = append->s;
	struct append_message *message = append->last;
	struct arena arena = { 0 };
	struct account account;
	uint64_t most = s->back->config->message_size_octets;
	if (append->parts++ >= APPEND_PARTS_MAX)
		return "[LIMIT] Too many parts for one command";
	if (octets > most || message->size_octets > most - octets)
		return "[TOOBIG] The message is too large";

	struct read *read = read_begin(s->back->store);
	enum err err = account_get(read, append->owner_id, &arena, &account);
	read_end(&read);
	arena_fini(&arena); /* the account's figures do not live in it */
	if (err != ERR_OK)
		return respond_refusal(err);
	uint64_t used = account.used_octets + append->size_octets;
	if (account.quota_octets > 0 &&
	    used + octets > account.quota_octets + append->replaced_octets)
		return respond_refusal(ERR_QUOTA);
	message->size_octets += octets;
	append->size_octets += octets;
	return NULL;
}

static const char *why_not_mailbox(struct imap_session *s, struct append *append, struct slice name)
{
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = access_find(read, s->account_id, name, RIGHT_INSERT, &s->command_arena,
				   mailbox, NULL);
	append->owner_id = mailbox->account_id;
	append->mailbox_id = mailbox->mailbox_id;
	append->uidvalidity = mailbox->uidvalidity;
	read_end(&read);
	if (err == ERR_NOT_FOUND || err == ERR_GONE)
		return "[TRYCREATE] No such mailbox";
	return err == ERR_OK ? NULL : respond_refusal(err);
}

/* ---- filing ---- */

/* What refuses most often is looked at before anything is written: a job that is refused later
 * costs its batch a second run (storage/store.h). */
static enum err check_before_write(struct write *write, struct append *append)
{
	struct arena arena = { 0 };
	struct account account;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	enum err err = mailbox_get(write_read(write), append->mailbox_id, &arena, mailbox);
	if (err == ERR_OK) {
		unsigned rights = acl_rights(write_read(write), append->account_id,
					     append->owner_id, append->mailbox_id);
		append->withheld = access_withheld(rights);
		append->may_read = rights & RIGHT_READ;
		err = access_judge(rights, RIGHT_INSERT);
	}
	if (err == ERR_OK)
		err = account_get(write_read(write), append->owner_id, &arena, &account);
	if (err == ERR_OK && account.quota_octets > 0 &&
	    account.used_octets + append->size_octets >
		    account.quota_octets + append->replaced_octets)
		err = ERR_QUOTA;
	if (err == ERR_OK && account.quota_messages > 0 &&
	    account.used_messages + append->count > account.quota_messages + append->is_replace)
		err = ERR_QUOTA;
	arena_fini(&arena);
	return err;
}

/* REPLACE: it goes first, so that only the net growth meets the quota (RFC 8508 section 3.4). */
static enum err remove_replaced(struct write *write, const struct append *append)
{
	struct ranges uids = { 0 }, expunged = { 0 };
	ranges_add(&uids, append->replaced_uid, append->replaced_uid);
	enum err err = message_expunge(write, append->replaced_mailbox_id, &uids, false, &expunged);
	if (err == ERR_OK && expunged.count == 0)
		err = ERR_CANCELLED; /* somebody was faster */
	ranges_free(&uids);
	ranges_free(&expunged);
	return err;
}

static enum err file_message(struct write *write, const struct append *append,
			     struct append_message *message)
{
	struct message_entry entry = {
		.internal_unix = message->internal_unix,
		.size_octets = intake_size_octets(message->intake),
		.flags = message->flags.flags & (uint8_t)~append->withheld.flags,
	};
	enum err err = intake_commit(write, message->intake, &entry.blob_id);
	if (err != ERR_OK)
		return err;
	return message_append(write, append->mailbox_id, &entry, message->flags.keywords,
			      append->withheld.keywords ? 0 : message->flags.keyword_count,
			      &message->uid);
}

static enum err run_append(struct write *write, struct job *job)
{
	struct append *append = imap_session_of_job(job)->job_data;
	enum err err = check_before_write(write, append);
	if (err == ERR_OK && append->is_replace)
		err = remove_replaced(write, append);
	for (struct append_message *message = append->first; message && err == ERR_OK;
	     message = message->next)
		err = file_message(write, append, message);
	return err;
}

/* "[APPENDUID 7 1:3] text", in the command's arena. Filed by one job, so the UIDs are neighbours, in the order
 * of the command. They tell how many came before, so not to who may not read there (RFC 4315 section 5). */
static const char *append_text(struct imap_session *s, const char *text)
{
	const struct append *append = s->work;
	if (!append->may_read)
		return text;
	if (append->count == 1)
		return arena_format(&s->command_arena, "[APPENDUID %u %u] %s", append->uidvalidity,
				    append->first->uid, text);
	return arena_format(&s->command_arena, "[APPENDUID %u %u:%u] %s", append->uidvalidity,
			    append->first->uid, append->last->uid, text);
}

static enum step after_append(struct imap_session *s, enum err outcome)
{
	const struct append *append = s->work;
	if (outcome == ERR_GONE || outcome == ERR_NOT_FOUND)
		return imap_no(s, "[TRYCREATE] The mailbox has just been deleted");
	if (outcome == ERR_CANCELLED && append->is_replace)
		return imap_no(s, "[EXPUNGEISSUED] The message has been expunged");
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	if (s->view && s->view->mailbox_id == append->mailbox_id)
		view_note_own(s->view, append->first->uid, append->last->uid);
	if (!append->is_replace)
		return imap_ok(s, append_text(s, "APPEND completed"));
	/* Before the EXPUNGE, so that it is known what came in its place (section 4.3). */
	respond_line(&s->session.out, s->language, SLICE("*"), "OK",
		     append_text(s, "The replacement is there"));
	return imap_ok_expunged(s, "REPLACE completed");
}

enum step append_file(struct imap_session *s)
{
	return imap_write(s, run_append, s->work, after_append);
}

/* ---- refusing ---- */

/* After a literal that nobody wants, and all that came with it. */
static enum step skip_rest(struct imap_session *s, struct cursor *in)
{
	/* The literals behind it are skipped with it. */
	if (framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS) == FRAMED_NOTHING)
		return STEP_INPUT;
	return s->reply.condition[0] == 'B' ? imap_bad(s, s->reply.text)
					    : imap_no(s, s->reply.text);
}

bool append_is_skipping(const struct imap_session *s)
{
	return s->running == skip_rest;
}

enum step append_refuse(struct imap_session *s, const char *condition, const char *why)
{
	struct append *append = s->work;
	bool skips = append->has_literal && !framing_refuse(&s->framing);
	log_info(&s->session.log, EVENT("append-refused"), CSTR("why", why),
		 NUM("size_octets", append->size_octets));
	append_free_messages(append);
	s->reply.condition = condition;
	s->reply.text = why;
	if (skips) {
		s->running = skip_rest;
		return STEP_AGAIN;
	}
	if (append->has_literal)
		s->errors++; /* as any literal that is refused */
	return condition[0] == 'B' ? imap_bad(s, why) : imap_no(s, why);
}

/* ---- the command ---- */

/* What stands before the messages: whether it is an APPEND or REPLACE at all. `from_out`: where they
 * begin in the framed command. */
static struct append *take_beginning(struct imap_session *s, bool *uid_out, uint32_t *number_out,
				     struct slice *name_out, size_t *from_out)
{
	struct slice command = framing_command(&s->framing), tag;
	struct cursor c = cursor_of(command);
	if (!take_tag(&c, &tag) || !take_space(&c) || !take_verb(&c, uid_out, number_out) ||
	    (*number_out > 0 && s->state != IMAP_SELECTED) || !take_space(&c) ||
	    !take_mailbox(&c, &s->command_arena, imap_speaks_utf8(s), name_out))
		return NULL;
	struct append *append = arena_alloc(&s->command_arena, sizeof(*append));
	append->s = s;
	append->account_id = s->account_id;
	append->is_replace = *number_out > 0;
	*from_out = command.len - cursor_left(&c);
	return append;
}

/* True: it is one, and *step_out says how it goes on. */
static bool begin(struct imap_session *s, enum step *step_out)
{
	bool uid;
	uint32_t number;
	size_t from;
	struct slice name;
	struct append *append = take_beginning(s, &uid, &number, &name, &from);
	if (!append || !append_take_segment(append, from))
		return false;
	s->command = imap_command_of(append->is_replace ? SLICE("REPLACE") : SLICE("APPEND"), uid);
	s->tag = arena_copy(&s->command_arena, framing_tag(&s->framing));
	s->work = append;
	s->work_fini = append_fini;
	if (append->is_replace && !uid && imap_has(s, IMAP_ENABLED_UIDONLY)) {
		*step_out = append_refuse(s, "BAD", IMAP_UID_REQUIRED_TEXT);
		return true;
	}
	const char *why = append->is_replace ? why_not_replace(s, append, uid, number) : NULL;
	if (!why)
		why = why_not_mailbox(s, append, name);
	if (why) {
		*step_out = append_refuse(s, "NO", why);
		return true;
	}
	s->running = append_go_on;
	*step_out = STEP_AGAIN;
	return true;
}

bool imap_append_meets_literal(struct imap_session *s, enum step *step_out)
{
	return begin(s, step_out);
}

/* One without a literal that is a message's comes through the dispatcher. */
enum step imap_append(struct imap_session *s, struct cursor *args, bool uid)
{
	enum step step;
	if (begin(s, &step))
		return step;
	return imap_bad(s, "APPEND needs a mailbox, maybe flags and a date, and a literal");
}

enum step imap_replace(struct imap_session *s, struct cursor *args, bool uid)
{
	enum step step;
	if (begin(s, &step))
		return step;
	return imap_bad(
		s, "REPLACE needs a message, a mailbox, maybe flags and a date, and a literal");
}
