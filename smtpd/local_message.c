/* smtpd/local_message.c - a message from this machine: its trace header, its content held to the rules
 * that SMTP's is held to, its header completed, its form as it turns out to be. Runs in the back and in
 * the admin's process.
 *
 * A program says nothing of BODY or SMTPUTF8: both are seen, so that no server is asked for more than
 * the message needs (RFC 6152 section 3, RFC 6531 section 3.4). */
#include "smtpd/local_message.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "mail/text.h"
#include "mda/submission.h"
#include "smtpd/content_priv.h"
#include "smtpd/trace.h"

struct local_message {
	struct arena arena;
	struct sender sender;
	struct filing *filing;
	struct submission *submission; /* NULL: its header stays as it is */
	struct smtp_content content;
	size_t asked_count; /* of recipients */
	struct slice taken; /* the path of the last who gets it */
	bool has_trace;
	bool has_8bit;
	bool is_utf8; /* one of its addresses */
	bool is_full;
	void (*filed)(void *user, enum err outcome, uint64_t blob_id);
	void (*room)(void *user);
	void *user;
};

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct local_message *message = user;
	message->filed(message->user, outcome, blob_id);
}

static void on_room(void *user)
{
	struct local_message *message = user;
	message->is_full = false;
	message->room(message->user);
}

struct local_message *local_message_new(struct store *store, struct loop *loop,
					const struct sender *sender, struct slice author,
					const struct journal_event *origin,
					void (*filed)(void *user, enum err outcome,
						      uint64_t blob_id),
					void (*room)(void *user), void *user)
{
	struct local_message *message = heap_alloc(sizeof(*message));
	const struct envelope envelope = { .reverse_path = sender->reverse_path,
					   .recipient_count = 1 };

	message->sender = *sender;
	message->sender.reverse_path = arena_copy(&message->arena, sender->reverse_path);
	message->sender.user = arena_copy(&message->arena, sender->user);
	message->content.is_chunked = true;
	message->is_utf8 = !text_is_ascii(sender->reverse_path);
	message->filed = filed;
	message->room = room;
	message->user = user;
	message->filing = filing_new(store, loop, &envelope, on_filed, on_room, message);
	filing_set_origin(message->filing, origin);
	if (author.len > 0)
		message->submission = submission_new(store, &message->sender, author);
	return message;
}

enum err local_message_add(struct local_message *message, struct read *read,
			   struct slice forward_path, struct slice fallback)
{
	struct envelope_recipient recipient = { .forward_path = forward_path };
	enum err err = filing_add_recipient(message->filing, read, &message->sender, &recipient);

	if ((err == ERR_NOT_FOUND || err == ERR_DENIED) && fallback.len > 0) {
		recipient.forward_path = fallback;
		err = filing_add_recipient(message->filing, read, &message->sender, &recipient);
	}
	message->asked_count++;
	if (err == ERR_OK) {
		message->taken = arena_copy(&message->arena, recipient.forward_path);
		message->is_utf8 |= !text_is_ascii(recipient.forward_path);
	}
	return err;
}

/* Octets that are held to no rule any more. */
static enum err pass_on(struct local_message *message, struct slice octets, bool is_end)
{
	message->has_8bit |= !text_is_ascii(octets);
	return submission_file(message->submission, message->filing, octets, is_end,
			       &message->is_full);
}

/* It names the recipient where he is the only one, by the address that he was found at. */
static enum err pass_trace(struct local_message *message)
{
	struct buffer lines = { 0 };
	const struct trace trace = {
		.reverse_path = message->sender.reverse_path,
		.hostname = slice_cstr(message->sender.config->hostname),
		.protocol = "local",
		.forward_path = message->asked_count == 1 ? message->taken : SLICE_NONE,
		.arrived_unix = clock_unix(),
	};

	if (message->has_trace)
		return ERR_OK;
	message->has_trace = true;
	trace_format(&trace, &lines);
	enum err err = pass_on(message, buffer_slice(&lines), false);
	buffer_free(&lines);
	return err;
}

enum err local_message_feed(struct local_message *message, struct slice octets)
{
	struct smtp_content *content = &message->content;
	struct cursor in = cursor_of(octets);
	struct slice run;
	enum err err = pass_trace(message);

	while (err == ERR_OK && smtp_content_next(content, &in, &run) == CONTENT_RUN)
		err = pass_on(message, run, false);
	if (err == ERR_OK && content->has_bare)
		err = ERR_LINE_END;
	return err == ERR_OK && content->hops > CONTENT_HOPS_MAX ? ERR_LOOP : err;
}

bool local_message_is_full(const struct local_message *message)
{
	return message->is_full;
}

enum err local_message_commit(struct local_message *message)
{
	enum err err = pass_trace(message);

	smtp_content_end_chunks(&message->content);
	if (err == ERR_OK && message->content.has_bare)
		err = ERR_LINE_END;
	if (err == ERR_OK)
		err = pass_on(message, SLICE_NONE, true);
	if (err != ERR_OK)
		return err;
	filing_set_form(message->filing, message->has_8bit ? ENVELOPE_8BITMIME : ENVELOPE_7BIT,
			message->is_utf8);
	filing_commit(message->filing);
	return ERR_OK;
}

struct filing *local_message_filing(const struct local_message *message)
{
	return message->filing;
}

void local_message_free(struct local_message **message)
{
	struct local_message *m = *message;

	*message = NULL;
	if (!m)
		return;
	submission_free(&m->submission);
	filing_free(&m->filing);
	arena_fini(&m->arena);
	free(m);
}
