/* tests/unit/mail/structure.h - what the tests of the structure parser share, the fuzzer's too. */
#pragma once

#include <assert.h>
#include <stdlib.h>

#include "mail/digest.h"
#include "mail/mime.h"
#include "tests/dice.h"

static inline struct mime_part *structure_parse(struct slice message, struct arena *arena)
{
	struct mime_parser *parser = mime_parser_new(arena);
	mime_parser_feed(parser, message);
	return mime_parser_finish(&parser);
}

/* In pieces of 1 to `most` octets, as `seed` has it. Each piece
 * is a copy of its own, so that a sanitizer sees who reads beyond it or keeps it. */
static inline struct mime_part *structure_parse_pieces(struct slice message, size_t most,
						       uint32_t seed, struct arena *arena)
{
	struct mime_parser *parser = mime_parser_new(arena);
	for (size_t at = 0; at < message.len;) {
		struct slice piece = slice_sub(message, at, 1 + dice_roll(&seed, (uint32_t)most));
		uint8_t *copy = malloc(piece.len);
		memcpy(copy, piece.ptr, piece.len);
		mime_parser_feed(parser, slice_of(copy, piece.len));
		free(copy);
		at += piece.len;
	}
	return mime_parser_finish(&parser);
}

static inline void structure_check_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		assert(text.ptr[i] != '\0' && text.ptr[i] != '\r' && text.ptr[i] != '\n');
}

static inline void structure_check_addresses(const struct header_address *list, size_t count)
{
	bool in_group = false;
	assert(count <= ADDRESS_LIST_MAX);
	for (size_t i = 0; i < count; i++) {
		structure_check_text(list[i].name);
		structure_check_text(list[i].route);
		structure_check_text(list[i].mailbox);
		structure_check_text(list[i].host);
		if (!list[i].host.ptr) {
			assert(in_group == !list[i].mailbox.ptr);
			in_group = !in_group;
		}
	}
	assert(!in_group);
}

static inline void structure_check_envelope(const struct mime_envelope *e)
{
	structure_check_text(e->date);
	structure_check_text(e->subject);
	structure_check_text(e->in_reply_to);
	structure_check_text(e->message_id);
	structure_check_addresses(e->from, e->from_count);
	structure_check_addresses(e->sender, e->sender_count);
	structure_check_addresses(e->reply_to, e->reply_to_count);
	structure_check_addresses(e->to, e->to_count);
	structure_check_addresses(e->cc, e->cc_count);
	structure_check_addresses(e->bcc, e->bcc_count);
	assert(e->from_count == 0 || (e->sender_count && e->reply_to_count));
}

static inline uint64_t structure_count_crlf(struct slice text)
{
	uint64_t count = 0;
	for (size_t at = 0; (at = slice_find(text, at, SLICE("\r\n"))) < text.len; at += 2)
		count++;
	return count;
}

/* Each part within its parent and behind its sibling: what even a forged record cannot undo. */
static inline void structure_check_places(const struct mime_part *part, uint64_t before,
					  uint64_t after)
{
	assert(before <= part->header_start && part->header_start <= part->body_start &&
	       part->body_start <= part->body_end && part->body_end <= after);
	assert(part->lines <= (part->body_end - part->body_start) / 2);
	before = part->body_start;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		structure_check_places(child, before, part->body_end);
		before = child->body_end;
	}
}

/* What mail/mime.h promises of each part. Gives the number of parts. */
static inline size_t structure_check(const struct mime_part *part, struct slice message,
				     uint64_t before, uint64_t after, int depth, bool is_message)
{
	size_t count = 1, children = 0;
	assert(depth <= MIME_MAX_DEPTH);
	assert(before <= part->header_start && part->header_start <= part->body_start &&
	       part->body_start <= part->body_end && part->body_end <= after);
	struct slice body = slice_sub(message, part->body_start, part->body_end - part->body_start);
	/* Counting each body once more would take a deep nest's depth times as long. */
	if (depth < 20)
		assert(part->lines == structure_count_crlf(body));
	assert(part->type.len && part->subtype.len && part->encoding.len);
	structure_check_text(part->type);
	structure_check_text(part->subtype);
	structure_check_text(part->encoding);
	structure_check_text(part->id);
	structure_check_text(part->description);
	structure_check_text(part->disposition);
	for (size_t i = 0; i < part->parameter_count; i++) {
		assert(part->parameters[i].name.len);
		structure_check_text(part->parameters[i].value);
	}
	assert(is_message == (part->envelope != NULL));
	if (is_message)
		structure_check_envelope(part->envelope);
	assert(!part->first_child == !(mime_is_message(part) || mime_is_multipart(part)));
	assert(!slice_eq(part->type, SLICE("multipart")) || part->first_child);
	before = part->body_start;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		count += structure_check(child, message, before, part->body_end, depth + 1,
					 mime_is_message(part));
		before = child->body_end;
		children++;
	}
	assert(children == 1 || !mime_is_message(part));
	assert(count <= MIME_MAX_PARTS);
	return count;
}
