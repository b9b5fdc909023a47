/* imapd/append.c - APPEND: messages from the client into a mailbox; REPLACE: one in the place of
 * another. In the back.
 *
 * RFC 9051 section 6.3.12, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 3516 section 4.4
 * (literal8), RFC 7889 (APPENDLIMIT), RFC 8508 (REPLACE), RFC 6855 section 4 (UTF8). Each literal streams into an intake of
 * the store as it comes, so a message of any size costs a few chunks of memory, and its octets are
 * kept exactly as they are, bare CR and LF included. All messages are filed by one job, so
 * all of them or none. Everything that can be refused is refused before the client is asked for
 * the octets. Left out: CATENATE. */
#include "base/clock.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "storage/account.h"

enum {
	/* Of one command. Beyond that a client is told to come again. */
	MESSAGES_MAX = 1000,
	HELD_MAX_OCTETS = 8 * 1024 * 1024,
	/* What whole messages may hold in memory before they are handed to the store. */
	PARK_ABOVE_OCTETS = 1024 * 1024,
};

struct append_message {
	struct append_message *next;
	struct flag_list flags;
	int64_t internal_unix;
	bool is_utf8_data; /* "UTF8 (" literal8 ")": RFC 6855 section 4 */
	enum { HEADER_LINE_START, HEADER_LINE, HEADER_OVER } header; /* what has come of it */
	bool has_utf8_header;
	struct intake *intake;
	uint32_t uid; /* when it is filed */
};

struct append {
	struct imap_session *s;
	bool is_replace;
	uint64_t replaced_mailbox_id; /* REPLACE: the message that goes */
	uint32_t replaced_uid;
	uint64_t replaced_octets;
	struct slice name; /* in the framed command; gone once the message comes */
	uint32_t account_id;
	uint64_t mailbox_id;
	uint32_t uidvalidity;
	struct append_message *first, *last; /* the last one is on its way */
	size_t count;
	uint64_t size_octets; /* of all whose size is known */
	uint64_t left_octets; /* of the literal */
	bool intake_waits;    /* for room() */
};

static void append_fini(struct imap_session *s)
{
	struct append *append = s->work;
	s->work = NULL;
	s->work_fini = NULL;
	for (struct append_message *message = append ? append->first : NULL; message;
	     message = message->next)
		intake_free(&message->intake);
}

/* ---- the arguments ---- */

/* append-message = [SP flag-list] [SP date-time] SP append-data, which is a literal or, by RFC 6855
 * section 4, "UTF8" SP "(" literal8 ")": what stands before the literal, up to
 * the end of its header. */
static bool take_message_arguments(struct cursor *c, struct arena *arena,
				   struct append_message *message)
{
	struct literal literal;
	message->internal_unix = clock_unix();
	if (!take_space(c))
		return false;
	if (next_is(c, '(') && (!take_flag_list(c, arena, &message->flags) || !take_space(c)))
		return false;
	if (next_is(c, '"') && (!take_date_time(c, &message->internal_unix) || !take_space(c)))
		return false;
	message->is_utf8_data = take_keyword(c, "UTF8");
	if (message->is_utf8_data && (!take_space(c) || !take_byte(c, '(')))
		return false;
	return take_literal_header(c, &literal) && take_byte(c, '\r') && take_byte(c, '\n') &&
	       at_end(c) && (literal.is_literal8 || !message->is_utf8_data);
}

/* What ends the data of the message before: its ")". */
static bool take_data_end(struct cursor *c, const struct append_message *message)
{
	return !message->is_utf8_data || take_byte(c, ')');
}

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

/* Whether the literal just framed is the message, not the mailbox's name. */
static bool take_append_up_to_literal(struct imap_session *s, struct append *append,
				      struct append_message *message, bool *uid_out,
				      uint32_t *number_out)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	struct slice tag;
	return take_tag(&c, &tag) && take_space(&c) && take_verb(&c, uid_out, number_out) &&
	       take_space(&c) &&
	       take_mailbox(&c, &s->command_arena, imap_speaks_utf8(s), &append->name) &&
	       take_message_arguments(&c, &s->command_arena, message);
}

/* What outlives the framed line: the next one will move it. */
static void keep_keywords(struct imap_session *s, struct append_message *message)
{
	for (size_t i = 0; i < message->flags.keyword_count; i++)
		message->flags.keywords[i] =
			arena_copy(&s->command_arena, message->flags.keywords[i]);
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

/* NULL: the message may come. */
static const char *why_not_message(struct imap_session *s, const struct append *append,
				   const struct append_message *message)
{
	struct account account;
	uint64_t size = s->framing.literal.size_octets;
	if (size == 0)
		return "The message is empty";
	if (size > s->back->config->message_size_octets)
		return "[TOOBIG] The message is too large";
	if (flag_list_check(&message->flags) != ERR_OK)
		return "[LIMIT] Too many keywords, or too long ones";
	if (append->count >= MESSAGES_MAX)
		return "[LIMIT] Too many messages for one command";

	struct read *read = read_begin(s->back->store);
	enum err err = account_get(read, s->account_id, &s->command_arena, &account);
	read_end(&read);
	if (err != ERR_OK)
		return respond_refusal(err);
	uint64_t used = account.used_octets + append->size_octets;
	if (account.quota_octets > 0 &&
	    used + size > account.quota_octets + append->replaced_octets)
		return respond_refusal(ERR_QUOTA);
	return NULL;
}

static const char *why_not_mailbox(struct imap_session *s, struct append *append)
{
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_find(read, s->account_id, append->name, &s->command_arena, mailbox);
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
static enum err check_before_write(struct write *write, const struct append *append)
{
	struct arena arena = { 0 };
	struct account account;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	enum err err = mailbox_get(write_read(write), append->mailbox_id, &arena, mailbox);
	if (err == ERR_OK)
		err = account_get(write_read(write), append->account_id, &arena, &account);
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
		.flags = message->flags.flags,
	};
	enum err err = intake_commit(write, message->intake, &entry.blob_id);
	if (err != ERR_OK)
		return err;
	return message_append(write, append->mailbox_id, &entry, message->flags.keywords,
			      message->flags.keyword_count, &message->uid);
}

static enum err run_append(struct write *write, struct job *job)
{
	const struct append *append = imap_session_of_job(job)->job_data;
	enum err err = check_before_write(write, append);
	if (err == ERR_OK && append->is_replace)
		err = remove_replaced(write, append);
	for (struct append_message *message = append->first; message && err == ERR_OK;
	     message = message->next)
		err = file_message(write, append, message);
	return err;
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
	/* Filed by one job, so their UIDs are neighbours, in the order of the command. */
	char *code = append->count == 1 ? arena_format(&s->command_arena, "[APPENDUID %u %u]",
						       append->uidvalidity, append->first->uid)
					: arena_format(&s->command_arena, "[APPENDUID %u %u:%u]",
						       append->uidvalidity, append->first->uid,
						       append->last->uid);
	if (!append->is_replace)
		return imap_ok(s, arena_format(&s->command_arena, "%s APPEND completed", code));
	/* Before the EXPUNGE, so that it is known what came in its place (section 4.3). */
	buffer_add_format(&s->session.out, "* OK %s The replacement is there\r\n", code);
	return imap_ok_expunged(s, "REPLACE completed");
}

/* ---- the octets ---- */

static void room_in_intake(void *user)
{
	struct append *append = user;
	if (!append->intake_waits)
		return;
	append->intake_waits = false;
	session_job_end(&append->s->session);
}

static enum step receive(struct imap_session *s, struct cursor *in);

/* The literal that was framed is the content of `message`, the last one from now on. */
static enum step begin_message(struct imap_session *s, struct append *append,
			       struct append_message *message)
{
	keep_keywords(s, message);
	message->intake = intake_new(s->back->store, s->session.loop, room_in_intake, append);
	if (append->last)
		append->last->next = message;
	else
		append->first = message;
	append->last = message;
	append->count++;
	append->left_octets = s->framing.literal.size_octets;
	append->size_octets += append->left_octets;
	imap_ask_for_literal(s);
	framing_skip_literal(&s->framing);
	s->running = receive;
	return STEP_AGAIN;
}

/* Notes octets above 127 up to the empty line. */
static void look_at_header(struct append_message *message, struct slice octets)
{
	for (size_t i = 0; i < octets.len && message->header != HEADER_OVER; i++) {
		uint8_t c = octets.ptr[i];
		if (c == '\n')
			message->header = message->header == HEADER_LINE_START ? HEADER_OVER
									       : HEADER_LINE_START;
		else if (c != '\r')
			message->header = HEADER_LINE;
		message->has_utf8_header |= c > 127;
	}
}

/* A client that does not know of them has no business with such headers (RFC 6855 section 4); one
 * of IMAP4rev2 may send them in any literal (RFC 9051 section 6.3.12). */
static const char *why_not_header(const struct imap_session *s,
				  const struct append_message *message)
{
	return message->has_utf8_header && !imap_speaks_utf8(s)
		       ? "[CANNOT] 8-bit header fields only after ENABLE UTF8=ACCEPT"
		       : NULL;
}

/* None is filed. Where the client sends the literal unasked, its octets are skipped first. */
static enum step refuse(struct imap_session *s, const char *condition, const char *why)
{
	log_info(&s->session.log, EVENT("append-refused"), CSTR("why", why),
		 NUM("size_octets", s->framing.literal.size_octets));
	append_fini(s); /* while octets are skipped a session owns no arena */
	s->running = NULL;
	return imap_refuse_literal(s, condition, why);
}

static enum step take_next_message(struct imap_session *s)
{
	struct append *append = s->work;
	struct append_message *message = arena_alloc(&s->command_arena, sizeof(*message));
	struct cursor line = cursor_of(framing_line(&s->framing));
	if (append->is_replace || !take_data_end(&line, append->last) ||
	    !take_message_arguments(&line, &s->command_arena, message))
		return refuse(s, "BAD", "Only another message may follow the message");
	const char *why = why_not_header(s, append->last);
	if (!why)
		why = why_not_message(s, append, message);
	return why ? refuse(s, "NO", why) : begin_message(s, append, message);
}

static enum err run_park(struct write *write, struct job *job)
{
	const struct append *append = imap_session_of_job(job)->job_data;
	enum err err = ERR_OK;
	for (struct append_message *message = append->first; message && err == ERR_OK;
	     message = message->next)
		err = intake_park(write, message->intake);
	return err;
}

static enum step after_park(struct imap_session *s, enum err outcome)
{
	const struct append *append = s->work;
	uint64_t held_octets = 0;
	for (struct append_message *message = append->first; message; message = message->next) {
		intake_parked(message->intake, outcome);
		held_octets += intake_held_octets(message->intake);
	}
	if (outcome != ERR_OK)
		return refuse(s, "NO", respond_refusal(outcome));
	if (held_octets > HELD_MAX_OCTETS)
		return refuse(s, "NO", "[LIMIT] Too many messages for one command");
	return take_next_message(s);
}

/* The messages that are whole wait for the last one; only a few of them in memory. */
static enum step go_on_with_next(struct imap_session *s)
{
	struct append *append = s->work;
	uint64_t held_octets = 0;
	enum err err = intake_finish(append->last->intake);
	if (err != ERR_OK)
		return refuse(s, "NO", respond_refusal(err));
	for (struct append_message *message = append->first; message; message = message->next)
		held_octets += intake_held_octets(message->intake);
	if (held_octets > PARK_ABOVE_OCTETS)
		return imap_write(s, run_park, append, after_park);
	return take_next_message(s);
}

static enum step end_message(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	switch (framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING: return STEP_INPUT;
	case FRAMED_COMMAND: break;
	case FRAMED_LITERAL: return go_on_with_next(s);
	case FRAMED_REFUSED: return imap_bad(s, "Only another message may follow the message");
	}
	struct cursor line = cursor_of(framing_line(&s->framing));
	if (!take_data_end(&line, append->last) || !at_end(&line))
		return imap_bad(s, "Only another message may follow the message");
	if (why_not_header(s, append->last))
		return imap_no(s, why_not_header(s, append->last));
	enum err err = intake_finish(append->last->intake);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	return imap_write(s, run_append, append, after_append);
}

static enum step receive(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	while (append->left_octets > 0) {
		struct slice octets;
		size_t len = cursor_left(in);
		if (len > append->left_octets)
			len = (size_t)append->left_octets;
		if (len == 0)
			return STEP_INPUT;
		if (!take_octets(in, len, &octets))
			return STEP_INPUT;
		append->left_octets -= len;
		look_at_header(append->last, octets);
		if (!intake_feed(append->last->intake, octets)) {
			append->intake_waits = true;
			session_job_begin(&s->session);
			return STEP_WAIT;
		}
	}
	return end_message(s, in);
}

bool imap_append_is_receiving(const struct imap_session *s)
{
	return s->running == receive;
}

bool imap_append_meets_literal(struct imap_session *s, enum step *step_out)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	struct slice tag;
	bool uid;
	uint32_t number;
	if (!take_tag(&c, &tag) || !take_space(&c) || !take_verb(&c, &uid, &number) ||
	    (number > 0 && s->state != IMAP_SELECTED))
		return false;
	struct append *append = arena_alloc(&s->command_arena, sizeof(*append));
	struct append_message *message = arena_alloc(&s->command_arena, sizeof(*message));
	if (!take_append_up_to_literal(s, append, message, &uid, &number))
		return false;
	append->s = s;
	append->account_id = s->account_id;
	append->is_replace = number > 0;
	if (append->is_replace && !uid && imap_has(s, IMAP_ENABLED_UIDONLY)) {
		*step_out = refuse(s, "BAD", IMAP_UID_REQUIRED_TEXT);
		return true;
	}
	const char *why = append->is_replace ? why_not_replace(s, append, uid, number) : NULL;
	if (!why)
		why = why_not_mailbox(s, append);
	if (!why)
		why = why_not_message(s, append, message);
	if (why) {
		*step_out = refuse(s, "NO", why);
		return true;
	}
	s->command = imap_command_of(append->is_replace ? SLICE("REPLACE") : SLICE("APPEND"), uid);
	s->tag = arena_copy(&s->command_arena, framing_tag(&s->framing));
	append->name = SLICE_NONE;
	s->work = append;
	s->work_fini = append_fini;
	*step_out = begin_message(s, append, message);
	return true;
}

/* Only one without a message comes through the dispatcher. */
enum step imap_append(struct imap_session *s, struct cursor *args, bool uid)
{
	return imap_bad(s, "APPEND needs a mailbox, maybe flags and a date, and a literal");
}

enum step imap_replace(struct imap_session *s, struct cursor *args, bool uid)
{
	return imap_bad(
		s, "REPLACE needs a message, a mailbox, maybe flags and a date, and a literal");
}
