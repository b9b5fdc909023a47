/* imapd/thread_id.c - Message-IDs, and the thread that they put a message in. In the back.
 *
 * RFC 8474 section 5.2. A thread is what goes back to one message: the first of References, which is
 * the root by RFC 5322 section 3.6.4, or else In-Reply-To, or else the message itself. So the number
 * follows from the content alone: it is the same for all copies, never changes, needs no index, and
 * is the same whether the root has come already, is still to come, or never does. Where an answer to
 * an answer has In-Reply-To but no References, it begins a thread of its own; THREAD=REFERENCES,
 * which looks at all messages of a mailbox, knows better. Who wants into a thread needs only to
 * refer to it, so nothing is gained by a hash that is hard to collide with. */
#include "imapd/thread_id_priv.h"

#include "mail/header.h"

bool take_message_id(struct cursor *c, struct arena *arena, struct slice *id_out)
{
	for (;;) {
		while (c->at != c->end && *c->at != '<')
			c->at++;
		if (!take_byte(c, '<'))
			return false;
		const uint8_t *end = c->at;
		while (end != c->end && *end != '>' && *end != '<')
			end++;
		uint8_t *id = arena_alloc(arena, (size_t)(end - c->at) + 1);
		size_t len = 0;
		bool has_at = false;
		while (c->at != end) {
			uint8_t octet = *c->at++;
			if (octet == '\\' && c->at != end)
				octet = *c->at++;
			else if (octet == '"' || octet <= ' ')
				continue;
			has_at |= octet == '@';
			id[len++] = octet;
		}
		*id_out = slice_of(id, len);
		if (take_byte(c, '>') && has_at)
			return true;
	}
}

/* FNV-1a. */
static uint64_t hash(struct slice id)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < id.len; i++)
		hash = (hash ^ id.ptr[i]) * 0x100000001b3;
	return hash ? hash : 1;
}

bool thread_fields_of_envelope(const struct mime_envelope *envelope,
			       struct thread_fields *fields_out)
{
	enum { NEEDED = MIME_MORE_REFERENCES | MIME_MORE_IN_REPLY_TO | MIME_MORE_MESSAGE_ID };
	*fields_out = (struct thread_fields){ envelope->references, envelope->in_reply_to,
					      envelope->message_id };
	return !(envelope->more & NEEDED);
}

static struct slice first_of(struct slice header, struct slice name)
{
	struct header_field field;
	return header_find(header, name, &field) ? field.value : SLICE_NONE;
}

void thread_fields_of_header(struct slice header, struct thread_fields *fields_out)
{
	*fields_out = (struct thread_fields){ first_of(header, SLICE("References")),
					      first_of(header, SLICE("In-Reply-To")),
					      first_of(header, SLICE("Message-ID")) };
}

uint64_t thread_id_of(const struct thread_fields *fields, uint64_t blob_id)
{
	const struct slice *in_order[] = { &fields->references, &fields->in_reply_to,
					   &fields->message_id };
	struct arena arena = { 0 };
	uint64_t thread_id = blob_id;
	for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
		struct slice id;
		struct cursor c = cursor_of(*in_order[i]);
		if (!take_message_id(&c, &arena, &id))
			continue;
		thread_id = hash(id);
		break;
	}
	arena_fini(&arena);
	return thread_id;
}
