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

uint64_t thread_id_of(struct slice header, uint64_t blob_id)
{
	static const struct slice names[] = { SLICE("References"), SLICE("In-Reply-To"),
					      SLICE("Message-ID") };
	struct header_field field;
	struct arena arena = { 0 };
	uint64_t thread_id = blob_id;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct slice id;
		if (!header_find(header, names[i], &field))
			continue;
		struct cursor c = cursor_of(field.value);
		if (!take_message_id(&c, &arena, &id))
			continue;
		thread_id = hash(id);
		break;
	}
	arena_fini(&arena);
	return thread_id;
}
