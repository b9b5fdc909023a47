/* smtpd/program.c - mail from users and programs of this machine, by the socket of [listen] sendmail.
 * Runs in the back, on one loop: who is at the other end the kernel has told the supervisor, and no
 * front, which strangers talk to, has a word in it.
 *
 * A user of the machine sends as himself: NAME@origin or NAME@hostname, or with the null sender; where
 * an account has NAME@origin for its own, as whatever that may send as, within its limits a day. That
 * goes for From as well, as in SMTP. Root sends as anybody, as he may in any case.
 *
 * No user can shut out the others: the more places one has, the more must be free for another, some are
 * root's alone, and who dribbles loses his. Those whom the machine has no name for count as one, since
 * anybody may have thousands of such numbers (subuid(5)). */
#include "runtime/program_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/octets.h"
#include "runtime/stream.h"
#include "smtpd/local_message.h"
#include "smtpd/smtpd.h"
#include "storage/back.h"

enum {
	PROGRAMS_MAX = 100, /* at a time; others hear "later" */
	ROOT_PLACES = 10,   /* of them */
	/* Silent for so long, or with a head that takes longer, or with content at less than [limits]
	 * minimum_rate in that time: he is not waited for. */
	PATIENCE_MS = 60 * 1000,
	TELL_MS = 60 * 1000, /* of who was refused */
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
	uint64_t since_ms;    /* the head, or this stretch of the content */
	uint64_t octets;      /* that came in it */
	struct local_message *message;
	uint8_t *outcomes; /* of each recipient */
	size_t *numbers;   /* of those the filing has, its number; else SIZE_MAX */
	size_t recipient_count, filed_count;
};

struct program_desk {
	struct back *back;
	struct program *programs;
	unsigned count;
	uint64_t told_ms; /* when the log last heard of one who was refused */
	unsigned untold;
};

static void program_free(struct program *program)
{
	*program->at = program->next;
	if (program->next)
		program->next->at = program->at;
	program->desk->count--;
	local_message_free(&program->message);
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
	const struct filing *filing = local_message_filing(program->message);
	enum err why;

	if (outcome != ERR_OK) {
		refuse_all(program, outcome);
		answer(program);
		return;
	}
	log_info(&program->log, HEX("msg", blob_id), EVENT("accepted"), CSTR("by", program->user),
		 NUM("size_octets", filing_size_octets(filing)),
		 NUM("rcpts", program->filed_count));
	for (size_t i = 0; i < program->recipient_count; i++)
		if (program->numbers[i] != SIZE_MAX) {
			(void)filing_fate(filing, program->numbers[i], &why);
			program->outcomes[i] = (uint8_t)why;
		}
	answer(program);
}

static void begin_stretch(struct program *program)
{
	program->since_ms = clock_monotonic_ms();
	program->octets = 0;
}

/* Time in which he waited for us is not held against him. */
static void on_room(void *user)
{
	struct program *program = user;

	begin_stretch(program);
	stream_set_idle_ms(program->stream, PATIENCE_MS);
	stream_resume(program->stream);
}

/* ---- as whom ---- */

/* The account whose own address the user's is. What else leads somewhere from there, an alias, a detail,
 * a role, the domain's catch-all, tells who reads his mail, not who he is. */
static uint32_t account_of(struct program *program, struct read *read)
{
	const char *origin = sender_origin(program->desk->back->config);
	struct slice local = local_normalise(slice_cstr(program->user), &program->arena), domain;
	struct domain_record names;
	struct address_record record;

	if (!domain_normalise(slice_cstr(origin), &program->arena, &domain) ||
	    domain_get(read, domain, &program->arena, &names) != ERR_OK)
		return 0;
	if (names.alias_of.len > 0)
		domain = names.alias_of;
	if (address_find(read, local, domain, &program->arena, &record) != ERR_OK)
		return 0;
	return record.account_id;
}

static enum err find_sender(struct program *program, struct read *read, struct slice reverse_path,
			    struct sender *sender)
{
	struct address address;

	*sender = (struct sender){ .config = program->desk->back->config,
				   .reverse_path = reverse_path,
				   .may_relay = true };
	if (reverse_path.len > 0 && !address_parse(reverse_path, &program->arena, &address))
		return ERR_BAD_INPUT;
	if (program->uid == 0)
		return ERR_OK;
	sender->user = slice_cstr(program->user);
	sender->account_id = account_of(program, read);
	enum err err = sender_check_path(read, sender, &program->arena);
	return err == ERR_DENIED ? ERR_BAD_INPUT : err;
}

/* Who stands in for a From that is missing. */
static struct slice author_of(struct program *program, struct slice reverse_path)
{
	const struct address own = { slice_cstr(program->user),
				     slice_cstr(sender_origin(program->desk->back->config)) };

	return reverse_path.len > 0 ? reverse_path : address_format(&own, &program->arena);
}

/* ---- the message ---- */

static void add_all(struct program *program, struct read *read, struct slice recipients)
{
	struct program_recipient recipient;

	for (size_t i = 0; program_next_recipient(&recipients, &recipient); i++) {
		enum err err = local_message_add(program->message, read, recipient.forward_path,
						 recipient.fallback);
		program->numbers[i] = err == ERR_OK ? program->filed_count++ : SIZE_MAX;
		program->outcomes[i] = (uint8_t)err;
	}
}

static void begin(struct program *program, const struct program_message *message)
{
	struct back *back = program->desk->back;
	const struct journal_event origin = { .service = SLICE("sendmail"),
					      .login = slice_cstr(program->user) };
	struct sender sender;
	struct read *read = read_begin(back->store);
	enum err err = find_sender(program, read, message->reverse_path, &sender);

	if (err == ERR_OK) {
		program->message = local_message_new(back->store, back->loop, &sender,
						     author_of(program, message->reverse_path),
						     &origin, on_filed, on_room, program);
		filing_set_outcomes(local_message_filing(program->message));
		add_all(program, read, message->recipients);
	}
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	read_end(&read);
	if (err != ERR_OK || program->filed_count == 0) {
		refuse_all(program, err != ERR_OK ? err : ERR_NOT_FOUND);
		return;
	}
	program->left_octets = message->size_octets;
	program->state = PROGRAM_CONTENT;
	begin_stretch(program);
}

/* False: it is none. */
static bool head_done(struct program *program)
{
	const struct config *config = program->desk->back->config;
	struct program_message message;

	if (!program_decode(buffer_slice(&program->head), &message))
		return false;
	program->recipient_count = message.recipient_count;
	program->outcomes = arena_alloc(&program->arena, message.recipient_count);
	memset(program->outcomes, ERR_OK, message.recipient_count);
	program->numbers = arena_alloc_array(&program->arena, message.recipient_count,
					     sizeof(*program->numbers));
	if (message.size_octets > config->message_size_octets ||
	    message.recipient_count > config->recipients)
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
	enum err err = ERR_OK;

	program->left_octets -= octets.len;
	program->octets += octets.len;
	if (octets.len > 0)
		err = local_message_feed(program->message, octets);
	if (err == ERR_OK && program->left_octets == 0) {
		program->state = PROGRAM_FILING;
		stream_set_idle_ms(program->stream, 0); /* now it is ours to be quick */
		err = local_message_commit(program->message);
	} else if (err == ERR_OK && local_message_is_full(program->message)) {
		stream_set_idle_ms(program->stream, 0);
		stream_pause(program->stream);
	}
	if (err != ERR_OK) {
		refuse_all(program, err);
		answer(program);
	}
}

/* Each octet begins the idle time anew, so somebody could keep his place for ever. */
static bool is_too_slow(struct program *program)
{
	uint64_t elapsed_ms = clock_monotonic_ms() - program->since_ms;

	if (elapsed_ms < PATIENCE_MS)
		return false;
	if (program->state != PROGRAM_CONTENT ||
	    program->octets * 1000 < program->desk->back->config->minimum_rate * elapsed_ms)
		return true;
	begin_stretch(program);
	return false;
}

static void on_input(struct stream *stream, struct cursor *in)
{
	struct program *program = stream_user(stream);

	if (program->state < PROGRAM_FILING && is_too_slow(program)) {
		program_end(program);
		return;
	}
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

/* As many for one user as there are free ones for others. */
static bool has_place(const struct program_desk *desk, uint32_t uid)
{
	unsigned his = 0;

	for (const struct program *program = desk->programs; program; program = program->next)
		his += program->uid == uid;
	return desk->count + his < (uid == 0 ? PROGRAMS_MAX : PROGRAMS_MAX - ROOT_PLACES);
}

/* Who knocks in vain must not fill the log. The name tells apart those who count as one uid. */
static void log_refused(struct program_desk *desk, uint32_t uid, struct slice user)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (desk->told_ms != 0 && now_ms - desk->told_ms < TELL_MS) {
		desk->untold++;
		return;
	}
	desk->told_ms = now_ms;
	log_warning(NULL, EVENT("program-refused"), NUM("uid", uid), TEXT("by", user),
		    NUM("programs", desk->count), NUM("more", desk->untold));
	desk->untold = 0;
}

void program_desk_take(struct program_desk *desk, int fd, uint32_t uid, struct slice user)
{
	if (!has_place(desk, uid) || user.len == 0 || user.len > USER_MAX_OCTETS) {
		log_refused(desk, uid, user);
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
	begin_stretch(program);
	program->stream = stream_new(desk->back->loop, fd, &events, program);
	stream_set_idle_ms(program->stream, PATIENCE_MS);
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
