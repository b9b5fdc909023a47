/* smtpd/program.c - mail from users and programs of this machine, by the socket of [listen] sendmail.
 * Runs in the back, on one loop: who is at the other end the kernel has told the supervisor, and no
 * front, which strangers talk to, has a word in it.
 *
 * A user of the machine sends as himself: NAME@origin or NAME@hostname, or with the null sender; where
 * NAME@origin leads to an account, as whatever that may send as, within its limits a day. Root sends
 * as anybody, as he may in any case. */
#include "runtime/program_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/octets.h"
#include "mail/text.h"
#include "mda/filing.h"
#include "runtime/stream.h"
#include "smtpd/smtpd.h"
#include "smtpd/trace.h"
#include "storage/back.h"

enum {
	PROGRAMS_MAX = 50, /* at a time; others hear "later" */
	IDLE_MS = 60 * 1000,
	USER_MAX_OCTETS = 64,
};

enum program_state { PROGRAM_LENGTH, PROGRAM_HEAD, PROGRAM_CONTENT, PROGRAM_FILING, PROGRAM_OVER };

struct program {
	struct program *next, **at; /* in its desk's list */
	struct program_desk *desk;
	struct stream *stream;
	enum program_state state;
	uint32_t uid;
	char user[USER_MAX_OCTETS + 1];
	struct log log;
	struct arena arena;
	struct buffer head;
	uint32_t head_octets;
	uint64_t left_octets; /* of the content */
	struct filing *filing;
	uint8_t *outcomes; /* of each recipient */
	size_t *numbers;   /* of those the filing has, its number; else SIZE_MAX */
	size_t recipient_count, filed_count;
};

struct program_desk {
	struct back *back;
	struct program *programs;
	unsigned count;
};

static void program_free(struct program *program)
{
	*program->at = program->next;
	if (program->next)
		program->next->at = program->at;
	program->desk->count--;
	filing_free(&program->filing);
	buffer_free(&program->head);
	arena_fini(&program->arena);
	free(program);
}

static void program_end(struct program *program)
{
	struct stream *stream = program->stream;
	program_free(program);
	stream_close(stream);
}

static void answer(struct program *program)
{
	stream_write(program->stream, slice_of(program->outcomes, program->recipient_count));
	program_end(program);
}

/* Nothing comes of it; those who had an outcome of their own keep it. */
static void refuse_all(struct program *program, enum err outcome)
{
	for (size_t i = 0; i < program->recipient_count; i++)
		if (program->outcomes[i] == ERR_OK)
			program->outcomes[i] = (uint8_t)outcome;
	log_info(&program->log, EVENT("not-filed"), WORD("why", err_word(outcome)),
		 CSTR("by", program->user));
	program->state = PROGRAM_OVER;
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct program *program = user;
	enum err why;

	if (outcome != ERR_OK) {
		refuse_all(program, outcome);
		answer(program);
		return;
	}
	log_info(&program->log, HEX("msg", blob_id), EVENT("accepted"), CSTR("by", program->user),
		 NUM("size_octets", filing_size_octets(program->filing)),
		 NUM("rcpts", program->filed_count));
	for (size_t i = 0; i < program->recipient_count; i++)
		if (program->numbers[i] != SIZE_MAX) {
			(void)filing_fate(program->filing, program->numbers[i], &why);
			program->outcomes[i] = (uint8_t)why;
		}
	answer(program);
}

static void on_room(void *user)
{
	stream_resume(((struct program *)user)->stream);
}

/* ---- as whom ---- */

static bool is_name_at(const struct address *address, struct slice name, const char *domain,
		       struct arena *arena)
{
	struct slice normal, given;

	return domain && domain_normalise(slice_cstr(domain), arena, &normal) &&
	       domain_normalise(address->domain, arena, &given) && slice_eq(normal, given) &&
	       slice_eq(local_normalise(address->local, arena), local_normalise(name, arena));
}

/* The account that the user's own address leads to, alone; 0: none. */
static uint32_t account_of(struct program *program, struct read *read, const char *origin)
{
	const struct sender nobody = { .config = program->desk->back->config };
	const struct address own = { slice_cstr(program->user), slice_cstr(origin) };
	struct destinations found = { 0 };

	if (recipient_resolve(read, &nobody, &own, &program->arena, &found) != ERR_OK ||
	    found.account_count != 1 || found.remote_count > 0)
		return 0;
	return found.account_ids[0];
}

static enum err find_sender(struct program *program, struct read *read, struct slice reverse_path,
			    struct sender *sender)
{
	const struct config *config = program->desk->back->config;
	const char *origin = config->origin ? config->origin : config->hostname;
	struct slice name = slice_cstr(program->user);
	struct address address;

	*sender = (struct sender){ .config = config,
				   .reverse_path = reverse_path,
				   .may_relay = true };
	if (program->uid == 0)
		return reverse_path.len == 0 ||
				       address_parse(reverse_path, &program->arena, &address)
			       ? ERR_OK
			       : ERR_BAD_INPUT;
	sender->account_id = account_of(program, read, origin);
	if (reverse_path.len == 0)
		return ERR_OK;
	if (!address_parse(reverse_path, &program->arena, &address))
		return ERR_BAD_INPUT;
	if (is_name_at(&address, name, origin, &program->arena) ||
	    is_name_at(&address, name, config->hostname, &program->arena))
		return ERR_OK;
	if (sender->account_id == 0)
		return ERR_BAD_INPUT;
	enum err err = sender_check_path(read, sender, &program->arena);
	return err == ERR_DENIED ? ERR_BAD_INPUT : err;
}

/* ---- the message ---- */

static void feed_trace(struct program *program, const struct program_message *message)
{
	struct buffer lines = { 0 };
	struct slice recipients = message->recipients;
	struct program_recipient only;
	struct trace trace = {
		.reverse_path = message->reverse_path,
		.hostname = slice_cstr(program->desk->back->config->hostname),
		.protocol = "local",
		.arrived_unix = clock_unix(),
	};

	if (message->recipient_count == 1 && program_next_recipient(&recipients, &only))
		trace.forward_path = only.forward_path;
	trace_format(&trace, &lines);
	(void)filing_feed(program->filing, buffer_slice(&lines));
	buffer_free(&lines);
}

static enum err add(struct program *program, struct read *read, const struct sender *sender,
		    const struct program_recipient *recipient)
{
	struct envelope_recipient to = { .forward_path = recipient->forward_path };
	enum err err = filing_add_recipient(program->filing, read, sender, &to);

	if ((err != ERR_NOT_FOUND && err != ERR_DENIED) || recipient->fallback.len == 0)
		return err;
	to.forward_path = recipient->fallback;
	return filing_add_recipient(program->filing, read, sender, &to);
}

static void add_all(struct program *program, struct read *read, const struct sender *sender,
		    struct slice recipients)
{
	struct program_recipient recipient;

	for (size_t i = 0; program_next_recipient(&recipients, &recipient); i++) {
		enum err err = add(program, read, sender, &recipient);
		program->numbers[i] = err == ERR_OK ? program->filed_count++ : SIZE_MAX;
		program->outcomes[i] = (uint8_t)err;
	}
}

static void begin(struct program *program, const struct program_message *message)
{
	struct back *back = program->desk->back;
	struct envelope envelope = { .reverse_path = message->reverse_path,
				     .body = ENVELOPE_8BITMIME,
				     .is_utf8 = !text_is_ascii(message->recipients) ||
						!text_is_ascii(message->reverse_path),
				     .recipient_count = message->recipient_count };
	const struct journal_event origin = { .service = SLICE("sendmail"),
					      .login = slice_cstr(program->user) };
	struct sender sender;

	program->filing =
		filing_new(back->store, back->loop, &envelope, on_filed, on_room, program);
	filing_set_origin(program->filing, &origin);
	filing_set_outcomes(program->filing);
	struct read *read = read_begin(back->store);
	enum err err = find_sender(program, read, message->reverse_path, &sender);
	if (err == ERR_OK)
		add_all(program, read, &sender, message->recipients);
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	read_end(&read);
	if (err != ERR_OK || program->filed_count == 0) {
		refuse_all(program, err != ERR_OK ? err : ERR_NOT_FOUND);
		return;
	}
	feed_trace(program, message);
	program->left_octets = message->size_octets;
	program->state = PROGRAM_CONTENT;
}

/* False: it is none, or larger than anybody may send. */
static bool head_done(struct program *program)
{
	const struct config *config = program->desk->back->config;
	struct program_message message;

	if (!program_decode(buffer_slice(&program->head), &message) ||
	    message.recipient_count > config->recipients)
		return false;
	program->recipient_count = message.recipient_count;
	program->outcomes = arena_alloc(&program->arena, message.recipient_count);
	memset(program->outcomes, ERR_OK, message.recipient_count);
	program->numbers = arena_alloc_array(&program->arena, message.recipient_count,
					     sizeof(*program->numbers));
	if (message.size_octets > config->message_size_octets)
		refuse_all(program, ERR_LIMIT);
	else
		begin(program, &message);
	return true;
}

static struct slice take(struct cursor *in, uint64_t most)
{
	struct slice rest = cursor_rest(in);
	rest.len = rest.len < most ? rest.len : (size_t)most;
	in->at += rest.len;
	return rest;
}

/* Towards a head of `octets`; true: it is whole. */
static bool gather(struct program *program, struct cursor *in, uint32_t octets)
{
	buffer_add(&program->head, take(in, octets - program->head.len));
	return program->head.len == octets;
}

static void take_content(struct program *program, struct cursor *in)
{
	struct slice octets = take(in, program->left_octets);
	program->left_octets -= octets.len;
	bool has_room = octets.len == 0 || filing_feed(program->filing, octets);
	if (program->left_octets == 0) {
		program->state = PROGRAM_FILING;
		stream_set_idle_ms(program->stream, 0); /* now it is ours to be quick */
		filing_commit(program->filing);
	} else if (!has_room) {
		stream_pause(program->stream);
	}
}

static void on_input(struct stream *stream, struct cursor *in)
{
	struct program *program = stream_user(stream);

	if (program->state == PROGRAM_LENGTH && gather(program, in, 4)) {
		program->head_octets = get_be32(program->head.data);
		buffer_clear(&program->head);
		program->state = PROGRAM_HEAD;
		if (program->head_octets > PROGRAM_HEAD_MAX_OCTETS) {
			program_end(program);
			return;
		}
	}
	if (program->state == PROGRAM_HEAD && gather(program, in, program->head_octets)) {
		program->state = PROGRAM_FILING;
		if (!head_done(program)) {
			program_end(program);
			return;
		}
	}
	if (program->state == PROGRAM_OVER)
		answer(program);
	else if (program->state == PROGRAM_CONTENT)
		take_content(program, in);
}

static void on_drained(struct stream *stream)
{
}

static void on_timeout(struct stream *stream)
{
	program_end(stream_user(stream));
}

/* Whoever has sent all of it may shut his side, and wait for the answer. */
static void on_ended(struct stream *stream, enum stream_end how)
{
	struct program *program = stream_user(stream);
	if (program->state != PROGRAM_FILING || how != STREAM_EOF)
		program_end(program);
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.timeout = on_timeout,
	.ended = on_ended,
};

void program_desk_take(struct program_desk *desk, int fd, uint32_t uid, struct slice user)
{
	if (desk->count >= PROGRAMS_MAX || user.len == 0 || user.len > USER_MAX_OCTETS) {
		log_warning(NULL, EVENT("program-refused"), NUM("uid", uid),
			    NUM("programs", desk->count));
		close(fd);
		return;
	}
	struct program *program = heap_alloc(sizeof(*program));
	program->desk = desk;
	program->uid = uid;
	memcpy(program->user, user.ptr, user.len);
	snprintf(program->log.conn, sizeof(program->log.conn), "sendmail");
	program->next = desk->programs;
	program->at = &desk->programs;
	if (program->next)
		program->next->at = &program->next;
	desk->programs = program;
	desk->count++;
	program->stream = stream_new(desk->back->loop, fd, &events, program);
	stream_set_idle_ms(program->stream, IDLE_MS);
}

struct program_desk *program_desk_new(struct back *back)
{
	struct program_desk *desk = heap_alloc(sizeof(*desk));
	desk->back = back;
	return desk;
}

void program_desk_stop(struct program_desk *desk)
{
	struct program *next;
	for (struct program *program = desk->programs; program; program = next) {
		next = program->next;
		if (program->state != PROGRAM_FILING)
			program_end(program);
	}
}

bool program_desk_is_empty(const struct program_desk *desk)
{
	return desk->count == 0;
}

void program_desk_free(struct program_desk **desk)
{
	free(*desk);
	*desk = NULL;
}
