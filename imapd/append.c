/* imapd/append.c - APPEND: a message from the client into a mailbox. In the back.
 *
 * RFC 9051 section 6.3.12, RFC 4315 (APPENDUID), RFC 3516 section 4.4 (literal8), RFC 4469
 * section 4.2 (TOOBIG). The literal streams into the store's intake as it comes, so a message
 * of any size costs a few chunks of memory, and its octets are kept exactly as they are, bare
 * CR and LF included. Everything that can be refused is refused before the client is asked for
 * the octets. Left out: MULTIAPPEND (RFC 3502), CATENATE. */
#include "base/clock.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "storage/account.h"

struct append {
	struct imap_session *s;
	struct slice name; /* in the framed command; gone once the message comes */
	struct flag_list flags;
	int64_t internal_unix;
	uint32_t account_id;
	uint64_t mailbox_id;
	uint32_t uidvalidity;
	uint64_t left_octets; /* of the literal */
	struct intake *intake;
	bool intake_waits; /* for room() */
	uint32_t uid;	   /* of the new message */
};

static void append_fini(struct imap_session *s)
{
	struct append *append = s->work;
	intake_free(&append->intake);
}

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal; what stands before
 * the literal's header. */
static bool take_append_arguments(struct imap_session *s, struct cursor *c, struct append *append)
{
	struct arena *arena = &s->command_arena;
	append->internal_unix = clock_unix();
	if (!take_mailbox(c, arena, imap_is_rev2(s), &append->name) || !take_space(c))
		return false;
	if (next_is(c, '(') && (!take_flag_list(c, arena, &append->flags) || !take_space(c)))
		return false;
	if (next_is(c, '"') && (!take_date_time(c, &append->internal_unix) || !take_space(c)))
		return false;
	return true;
}

/* Whether the literal just framed is the message, not the mailbox's name. */
static bool take_append_up_to_literal(struct imap_session *s, struct append *append)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	struct slice tag;
	struct literal literal;
	return take_tag(&c, &tag) && take_space(&c) && take_keyword(&c, "APPEND") &&
	       take_space(&c) && take_append_arguments(s, &c, append) &&
	       take_literal_header(&c, &literal) && take_byte(&c, '\r') && take_byte(&c, '\n') &&
	       at_end(&c);
}

/* NULL: the message may come. */
static const char *why_not_append(struct imap_session *s, struct append *append)
{
	uint64_t size = s->framing.literal.size_octets;
	if (size == 0)
		return "The message is empty";
	if (size > s->back->config->message_size_octets)
		return "[TOOBIG] The message is too large";
	if (flag_list_check(&append->flags) != ERR_OK)
		return "[LIMIT] Too many keywords, or too long ones";

	struct account account;
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_find(read, s->account_id, append->name, &s->command_arena, mailbox);
	append->mailbox_id = mailbox->mailbox_id;
	append->uidvalidity = mailbox->uidvalidity;
	if (err == ERR_OK)
		err = account_get(read, s->account_id, &s->command_arena, &account);
	read_end(&read);
	if (err == ERR_NOT_FOUND || err == ERR_GONE)
		return "[TRYCREATE] No such mailbox";
	if (err != ERR_OK)
		return respond_refusal(err);
	if (account.quota_octets > 0 && size > account.quota_octets - account.used_octets)
		return respond_refusal(ERR_QUOTA);
	return NULL;
}

/* A refusal must leave no trace (storage/store.h), so what could make message_append() refuse
 * is looked at before the blob is written. */
static enum err check_before_write(struct write *write, const struct append *append)
{
	struct arena arena = { 0 };
	struct account account;
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	uint64_t size = intake_size_octets(append->intake);
	enum err err = mailbox_get(write_read(write), append->mailbox_id, &arena, mailbox);
	if (err == ERR_OK)
		err = account_get(write_read(write), append->account_id, &arena, &account);
	if (err == ERR_OK && account.quota_octets > 0 &&
	    account.used_octets + size > account.quota_octets)
		err = ERR_QUOTA;
	if (err == ERR_OK && account.quota_messages > 0 &&
	    account.used_messages >= account.quota_messages)
		err = ERR_QUOTA;
	arena_fini(&arena);
	return err;
}

static enum err run_append(struct write *write, struct job *job)
{
	struct append *append = imap_session_of_job(job)->job_data;
	struct message_entry entry = {
		.internal_unix = append->internal_unix,
		.size_octets = intake_size_octets(append->intake),
		.flags = append->flags.flags,
	};
	enum err err = check_before_write(write, append);
	if (err != ERR_OK)
		return err;
	err = intake_commit(write, append->intake, &entry.blob_id);
	if (err != ERR_OK)
		return err;
	return message_append(write, append->mailbox_id, &entry, append->flags.keywords,
			      append->flags.keyword_count, &append->uid);
}

static enum step after_append(struct imap_session *s, enum err outcome)
{
	const struct append *append = s->work;
	if (outcome == ERR_GONE || outcome == ERR_NOT_FOUND)
		return imap_no(s, "[TRYCREATE] The mailbox has just been deleted");
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	return imap_ok(s, arena_format(&s->command_arena, "[APPENDUID %u %u] APPEND completed",
				       append->uidvalidity, append->uid));
}

static void room_in_intake(void *user)
{
	struct append *append = user;
	if (!append->intake_waits)
		return;
	append->intake_waits = false;
	session_job_end(&append->s->session);
}

static enum step end_append(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	switch (framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING: return STEP_INPUT;
	case FRAMED_COMMAND: break;
	case FRAMED_LITERAL:
		if (!framing_refuse(&s->framing))
			return STEP_AGAIN;
		return imap_bad(s, "Nothing may follow the message");
	case FRAMED_REFUSED: return imap_bad(s, "Nothing may follow the message");
	}
	if (s->framing.line_start != s->framing.text.len)
		return imap_bad(s, "Nothing may follow the message");
	enum err err = intake_finish(append->intake);
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
		if (!intake_feed(append->intake, octets)) {
			append->intake_waits = true;
			session_job_begin(&s->session);
			return STEP_WAIT;
		}
	}
	return end_append(s, in);
}

/* What outlives the framed command: the line after the message will move it. */
static void keep_arguments(struct imap_session *s, struct append *append)
{
	struct arena *arena = &s->command_arena;
	s->tag = arena_copy(arena, framing_tag(&s->framing));
	for (size_t i = 0; i < append->flags.keyword_count; i++)
		append->flags.keywords[i] = arena_copy(arena, append->flags.keywords[i]);
	append->name = SLICE_NONE;
}

bool imap_append_meets_literal(struct imap_session *s, enum step *step_out)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	struct slice tag;
	if (!take_tag(&c, &tag) || !take_space(&c) || !take_keyword(&c, "APPEND"))
		return false;
	struct append *append = arena_alloc(&s->command_arena, sizeof(*append));
	if (!take_append_up_to_literal(s, append))
		return false;
	append->s = s;
	append->account_id = s->account_id;
	append->left_octets = s->framing.literal.size_octets;
	const char *why = why_not_append(s, append);
	if (why) {
		log_info(&s->session.log, EVENT("append-refused"), CSTR("why", why),
			 NUM("size_octets", append->left_octets));
		*step_out = imap_refuse_literal(s, "NO", why);
		return true;
	}
	s->command = imap_command_of(SLICE("APPEND"));
	keep_arguments(s, append);
	append->intake = intake_new(s->back->store, s->session.loop, room_in_intake, append);
	s->work = append;
	s->work_fini = append_fini;
	s->running = receive;
	imap_ask_for_literal(s);
	framing_skip_literal(&s->framing);
	*step_out = STEP_AGAIN;
	return true;
}

/* Only an APPEND without a message comes through the dispatcher. */
enum step imap_append(struct imap_session *s, struct cursor *args, bool uid)
{
	return imap_bad(s, "APPEND needs a mailbox, maybe flags and a date, and a literal");
}
