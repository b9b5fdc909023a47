/* imapd/append_data.c - the messages of an APPEND or REPLACE as they come: literals, and pieces of
 * other messages. In the back.
 *
 * RFC 9051 section 6.3.12, RFC 3502 (MULTIAPPEND), RFC 4469 (CATENATE), RFC 6855 section 4 (UTF8).
 * The command is cut into segments by its literals; each is read whole, then what it asks for is
 * done in order, and only then is the client asked for the literal that ends it. All octets go
 * through the intake of their message, so its size takes no memory; whole messages wait for the last
 * one in the store. */
#include "base/clock.h"
#include "imapd/append_priv.h"
#include "imapd/respond_priv.h"

enum {
	/* What whole messages may hold in memory, when they have been handed to the store. */
	HELD_MAX_OCTETS = 8 * 1024 * 1024,
	/* And before that. */
	PARK_ABOVE_OCTETS = 1024 * 1024,
	/* What is copied before the loop turns. */
	COPY_SLICE_OCTETS = 1024 * 1024,
};

/* ---- the grammar ---- */

struct segment {
	struct cursor c;
	struct arena *arena;
	enum append_state state;
	struct append_action *first, **last;
	bool has_literal, is_url_literal;
};

static struct append_action *add_action(struct segment *segment, int kind)
{
	struct append_action *action = arena_alloc(segment->arena, sizeof(*action));
	action->kind = kind;
	*segment->last = action;
	segment->last = &action->next;
	return action;
}

/* The header of a literal, which ends the segment. */
static bool take_literal_end(struct segment *segment, bool only_literal8)
{
	struct literal literal;
	struct cursor c = segment->c;
	if (!take_literal_header(&c, &literal) || !take_byte(&c, '\r') || !take_byte(&c, '\n') ||
	    !at_end(&c) || (only_literal8 && !literal.is_literal8))
		return false;
	segment->c = c;
	segment->has_literal = true;
	return true;
}

/* [SP flag-list] [SP date-time] SP append-data */
static bool take_message(struct segment *segment)
{
	struct cursor *c = &segment->c;
	struct append_message *message = arena_alloc(segment->arena, sizeof(*message));
	message->internal_unix = clock_unix();
	if (!take_space(c))
		return false;
	if (next_is(c, '(') &&
	    (!take_flag_list(c, segment->arena, &message->flags) || !take_space(c)))
		return false;
	if (next_is(c, '"') && (!take_date_time(c, &message->internal_unix) || !take_space(c)))
		return false;
	add_action(segment, ACTION_BEGIN)->message = message;
	if (take_keyword(c, "CATENATE")) {
		message->is_catenated = true;
		segment->state = APPEND_PART;
		return take_space(c) && take_byte(c, '(');
	}
	bool is_utf8 = take_keyword(c, "UTF8");
	segment->state = is_utf8 ? APPEND_AFTER_UTF8 : APPEND_AFTER_LITERAL;
	return (!is_utf8 || (take_space(c) && take_byte(c, '('))) &&
	       take_literal_end(segment, is_utf8);
}

/* cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")" */
static bool take_part(struct segment *segment)
{
	struct cursor *c = &segment->c;
	struct slice url;
	if (take_keyword(c, "URL")) {
		if (!take_space(c))
			return false;
		if (take_astring(c, segment->arena, &url)) {
			add_action(segment, ACTION_URL)->url = url;
			segment->state = APPEND_AFTER_PART;
			return true;
		}
		segment->is_url_literal = true;
		return take_literal_end(segment, false);
	}
	bool is_utf8 = take_keyword(c, "UTF8");
	if (!is_utf8 && !take_keyword(c, "TEXT"))
		return false;
	segment->state = is_utf8 ? APPEND_AFTER_UTF8_PART : APPEND_AFTER_PART;
	return take_space(c) && (!is_utf8 || take_byte(c, '(')) &&
	       take_literal_end(segment, is_utf8);
}

static bool take_step(struct segment *segment)
{
	struct cursor *c = &segment->c;
	switch (segment->state) {
	case APPEND_MESSAGE: return take_message(segment);
	case APPEND_PART: return take_part(segment);
	case APPEND_AFTER_UTF8_PART: segment->state = APPEND_AFTER_PART; return take_byte(c, ')');
	case APPEND_AFTER_PART:
		if (take_space(c)) {
			segment->state = APPEND_PART;
			return true;
		}
		/* FALLTHROUGH */
	case APPEND_AFTER_UTF8:
		if (!take_byte(c, ')'))
			return false;
		/* FALLTHROUGH */
	case APPEND_AFTER_LITERAL:
		segment->state = APPEND_MESSAGE;
		add_action(segment, ACTION_END);
		return true;
	}
	return false;
}

/* To its end; the state is that behind it. */
static bool take_steps(struct segment *segment)
{
	while (!segment->has_literal) {
		if (at_end(&segment->c) && segment->state == APPEND_MESSAGE)
			return true;
		if (!take_step(segment))
			return false;
	}
	return true;
}

static unsigned count_messages(const struct append_action *actions)
{
	unsigned count = 0;
	for (; actions; actions = actions->next)
		count += actions->kind == ACTION_BEGIN;
	return count;
}

enum segment_end { SEGMENT_BAD, SEGMENT_URL_LITERAL, SEGMENT_GOOD };

static enum segment_end take_segment(struct append *append, size_t from)
{
	struct slice command = framing_command(&append->s->framing);
	struct segment segment = { .c = cursor_of(slice_sub(command, from, command.len)),
				   .arena = &append->s->command_arena,
				   .state = append->state };
	segment.last = &segment.first;
	if (!take_steps(&segment) ||
	    (append->is_replace && append->count + count_messages(segment.first) > 1))
		return SEGMENT_BAD;
	if (segment.is_url_literal)
		return SEGMENT_URL_LITERAL;
	append->state = segment.state;
	append->actions = segment.first;
	append->has_literal = segment.has_literal;
	return SEGMENT_GOOD;
}

bool append_take_segment(struct append *append, size_t from)
{
	return take_segment(append, from) == SEGMENT_GOOD &&
	       (append->actions || append->has_literal);
}

/* ---- octets into the intake ---- */

static void room_in_intake(void *user)
{
	struct append *append = user;
	if (!append->intake_waits)
		return;
	append->intake_waits = false;
	session_job_end(&append->s->session);
}

/* Notes octets above 127 in the header fields that the client sends. The header ends with the first
 * line that is no field. */
static void look_at_header(struct append_message *message, struct slice octets, bool is_sent)
{
	for (size_t i = 0; i < octets.len && message->header != HEADER_OVER; i++) {
		uint8_t c = octets.ptr[i];
		bool is_blank = c == ' ' || c == '\t';
		if (message->header == HEADER_VALUE) {
			message->has_utf8_header |= is_sent && c > 127;
			if (c == '\n')
				message->header = HEADER_NEXT_LINE;
		} else if (c == ':' || (is_blank && message->header == HEADER_NEXT_LINE)) {
			message->header = HEADER_VALUE;
		} else {
			message->header = c > ' ' && c < 0x7f ? HEADER_NAME : HEADER_OVER;
		}
	}
}

/* False: the intake is full; the session goes on when it has room. */
static bool feed(struct append *append, struct slice octets, bool is_sent)
{
	look_at_header(append->last, octets, is_sent);
	if (intake_feed(append->last->intake, octets))
		return true;
	append->intake_waits = true;
	session_job_begin(&append->s->session);
	return false;
}

void append_free_messages(struct append *append)
{
	for (struct append_message *message = append->first; message; message = message->next)
		intake_free(&message->intake);
	append->first = append->last = NULL;
	catenation_fini(&append->part);
}

/* ---- the actions ---- */

static const char *begin_message(struct append *append, struct append_message *message)
{
	struct imap_session *s = append->s;
	const char *why = append_why_not_message(append, message);
	if (why)
		return why;
	/* They outlive the framed line, which the next one will move. */
	for (size_t i = 0; i < message->flags.keyword_count; i++)
		message->flags.keywords[i] =
			arena_copy(&s->command_arena, message->flags.keywords[i]);
	message->intake = intake_new(s->back->store, s->session.loop, room_in_intake, append);
	if (append->last)
		append->last->next = message;
	else
		append->first = message;
	append->last = message;
	append->count++;
	return NULL;
}

/* url-resp-text: what is no TEXT-CHAR, or ends the code, as it would be in a URL. It has at least
 * one octet (RFC 4469 section 5), which an empty URL has not. */
static const char *bad_url(struct imap_session *s, struct slice url)
{
	struct buffer text = { 0 };
	if (url.len == 0)
		return "There is no such message or part";
	buffer_add_cstr(&text, "[BADURL ");
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] > '~' || url.ptr[i] == ']' ||
		    url.ptr[i] == '\\')
			buffer_add_format(&text, "%%%02X", url.ptr[i]);
		else
			buffer_add_byte(&text, url.ptr[i]);
	buffer_add_cstr(&text, "] There is no such message or part");
	const char *kept = arena_string(&s->command_arena, buffer_slice(&text));
	buffer_free(&text);
	return kept;
}

/* Its octets come next. */
static const char *begin_copy(struct append *append, struct slice url)
{
	struct imap_session *s = append->s;
	struct arena arena = { 0 };
	enum err err = catenation_open(s, url, &arena, &append->part);
	arena_fini(&arena);
	if (err == ERR_BAD_INPUT)
		return bad_url(s, url);
	if (err != ERR_OK)
		return respond_refusal(err);
	append->is_copying = true;
	return append_why_not_part(append, append->part.left.end - append->part.left.start);
}

static enum step copy_on(struct imap_session *s, struct append *append)
{
	size_t copied = 0;
	while (copied < COPY_SLICE_OCTETS) {
		struct slice piece;
		enum err err = catenation_next(&append->part, s->back->store, &piece);
		if (err != ERR_OK)
			return append_refuse(s, "NO", respond_refusal(err));
		if (piece.len == 0) {
			append->is_copying = false;
			catenation_fini(&append->part);
			return STEP_AGAIN;
		}
		copied += piece.len;
		if (!feed(append, piece, false))
			return STEP_WAIT;
	}
	return STEP_WAIT; /* in its turn, so that others have theirs */
}

/* A client that does not know of them has no business with such headers (RFC 6855 section 4); one
 * of IMAP4rev2 may send them in any literal (RFC 9051 section 6.3.12). */
static const char *why_not_whole(const struct imap_session *s, const struct append_message *message)
{
	if (message->size_octets == 0)
		return "The message is empty";
	if (message->has_utf8_header && !imap_speaks_utf8(s))
		return "[CANNOT] 8-bit header fields only after ENABLE UTF8=ACCEPT";
	return NULL;
}

static uint64_t held_octets(const struct append *append)
{
	uint64_t octets = 0;
	for (const struct append_message *message = append->first; message; message = message->next)
		octets += intake_held_octets(message->intake);
	return octets;
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
	struct append *append = s->work;
	for (struct append_message *message = append->first; message; message = message->next)
		intake_parked(message->intake, outcome);
	if (outcome != ERR_OK)
		return append_refuse(s, "NO", respond_refusal(outcome));
	if (held_octets(append) > HELD_MAX_OCTETS)
		return append_refuse(s, "NO", "[LIMIT] Too many messages for one command");
	s->running = append_go_on;
	return STEP_AGAIN;
}

/* The messages that are whole wait for the last one; only a few of them in memory. */
static enum step end_message(struct imap_session *s, struct append *append)
{
	const char *why = why_not_whole(s, append->last);
	if (why)
		return append_refuse(s, "NO", why);
	enum err err = intake_finish(append->last->intake);
	if (err != ERR_OK)
		return append_refuse(s, "NO", respond_refusal(err));
	bool is_last = !append->actions && !append->has_literal;
	if (!is_last && held_octets(append) > PARK_ABOVE_OCTETS)
		return imap_write(s, run_park, append, after_park);
	return STEP_AGAIN;
}

static enum step do_action(struct imap_session *s, struct append *append)
{
	const struct append_action *action = append->actions;
	const char *why = NULL;
	append->actions = action->next;
	switch (action->kind) {
	case ACTION_BEGIN: why = begin_message(append, action->message); break;
	case ACTION_URL: why = begin_copy(append, action->url); break;
	case ACTION_END: return end_message(s, append);
	}
	return why ? append_refuse(s, "NO", why) : STEP_AGAIN;
}

/* ---- from one segment to the next ---- */

static const char only_messages[] = "Only another message may follow the message";

static enum step next_segment(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	enum framed framed = framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS);
	if (framed == FRAMED_NOTHING)
		return STEP_INPUT;
	append->has_literal = framed == FRAMED_LITERAL;
	if (framed == FRAMED_REFUSED)
		return append_refuse(s, "BAD", only_messages);
	switch (take_segment(append, append->segment)) {
	case SEGMENT_GOOD: break;
	case SEGMENT_BAD: return append_refuse(s, "BAD", only_messages);
	case SEGMENT_URL_LITERAL:
		if (!framing_literal_fits(&s->framing, IMAP_COMMAND_MAX_OCTETS))
			return append_refuse(s, "BAD", "[TOOBIG] The command is too long");
		imap_ask_for_literal(s);
		framing_accept(&s->framing);
		return STEP_AGAIN;
	}
	s->running = append_go_on;
	return STEP_AGAIN;
}

static enum step receive(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	while (append->left_octets > 0) {
		struct slice octets;
		size_t len = cursor_left(in);
		if (len > append->left_octets)
			len = (size_t)append->left_octets;
		if (len == 0 || !take_octets(in, len, &octets))
			return STEP_INPUT;
		append->left_octets -= len;
		if (!feed(append, octets, true))
			return STEP_WAIT;
	}
	s->running = next_segment;
	return STEP_AGAIN;
}

bool imap_append_is_receiving(const struct imap_session *s)
{
	return s->running == receive || s->running == next_segment || append_is_skipping(s);
}

static enum step begin_literal(struct imap_session *s, struct append *append)
{
	uint64_t octets = s->framing.literal.size_octets;
	const char *why = append_why_not_part(append, octets);
	if (!why && octets == 0 && !append->last->is_catenated)
		why = "The message is empty";
	if (why)
		return append_refuse(s, "NO", why);
	append->left_octets = octets;
	imap_ask_for_literal(s);
	framing_skip_literal(&s->framing, append->segment);
	append->segment = s->framing.line_start;
	append->has_literal = false;
	s->running = receive;
	return STEP_AGAIN;
}

enum step append_go_on(struct imap_session *s, struct cursor *in)
{
	struct append *append = s->work;
	if (append->is_copying)
		return copy_on(s, append);
	if (append->actions)
		return do_action(s, append);
	return append->has_literal ? begin_literal(s, append) : append_file(s);
}
