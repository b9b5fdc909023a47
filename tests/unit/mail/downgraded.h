/* tests/unit/mail/downgraded.h - what holds for every message that mail/downgrade.h has converted, for
 * its own tests, those of the corpora and the fuzzer. */
#pragma once

#include "mail/downgrade.h"
#include "mail/header.h"
#include "mail/text.h"
#include "tests/unit/mail/structure.h"

static inline enum err downgraded_source(void *user, uint64_t offset, size_t len,
					 struct buffer *out)
{
	const struct slice *message = user;
	assert(offset % DOWNGRADE_CHUNK_OCTETS == 0 && len <= DOWNGRADE_CHUNK_OCTETS);
	assert(offset + len <= message->len);
	buffer_add(out, slice_sub(*message, (size_t)offset, len));
	return ERR_OK;
}

/* The verdict; with DOWNGRADE_PLANNED the result, read in pieces of about so many octets. */
static inline enum downgrade_verdict downgraded(struct slice message, uint64_t start,
						enum downgrade_form form, size_t about,
						struct buffer *out)
{
	const struct downgrade_source source = { downgraded_source, &message };
	struct downgrade_outcome outcome;
	struct arena arena = { 0 };
	struct mime_part *root = structure_parse(message, &arena);
	enum err err = downgrade_plan(&source, root, start, form, &outcome);
	assert(err == ERR_OK);
	arena_fini(&arena);
	buffer_clear(out);
	assert((outcome.verdict == DOWNGRADE_PLANNED) == (outcome.plan != NULL));
	if (!outcome.plan)
		return outcome.verdict;
	for (size_t before = SIZE_MAX; before != out->len;) {
		before = out->len;
		err = downgrade_read(outcome.plan, &source, about, out);
		assert(err == ERR_OK);
	}
	assert(out->len == outcome.size_octets);
	downgrade_free(&outcome.plan);
	return DOWNGRADE_PLANNED;
}

static inline void downgraded_check_octets(struct slice text, enum downgrade_form form)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		assert(c != 0 && (c < 0x80 || form != DOWNGRADE_TO_7BIT));
		assert(c != '\n' || (i > 0 && text.ptr[i - 1] == '\r'));
		assert(c != '\r' || (i + 1 < text.len && text.ptr[i + 1] == '\n'));
	}
}

static inline void downgraded_check_lines(struct slice body)
{
	for (size_t at = 0, end; at < body.len; at = end + 1) {
		end = slice_find_byte(body, at, '\n');
		assert(end - at <= 998 + 1);
	}
}

static inline struct slice downgraded_body(const struct mime_part *part, struct slice message)
{
	return slice_sub(message, part->body_start, part->body_end - part->body_start);
}

static inline void downgraded_decode(const struct mime_part *part, struct slice message,
				     struct buffer *octets)
{
	struct transfer_decoder *decoder =
		transfer_decoder_new(transfer_encoding_of(part->encoding));
	buffer_clear(octets);
	transfer_decode(decoder, downgraded_body(part, message), octets);
	transfer_decoder_finish(&decoder, octets);
}

static inline bool downgraded_has_no_part(const struct mime_part *part)
{
	return mime_is_multipart(part) && !part->first_child->next_sibling &&
	       part->first_child->header_start == part->body_end;
}

/* Leaf by leaf the same. */
static inline void downgraded_compare(const struct mime_part *was, struct slice message,
				      const struct mime_part *is, struct slice result)
{
	struct buffer old = { 0 }, new = { 0 };
	const struct mime_part *child = was->first_child, *other = is->first_child;
	bool is_global = mime_is_message(was) && slice_eq(was->subtype, SLICE("global"));
	if (is_global && !other) {
		/* Encoded as a whole. */
		downgraded_decode(is, result, &new);
		assert(slice_eq(downgraded_body(was, message), buffer_slice(&new)));
		buffer_free(&new);
		return;
	}
	assert(slice_eq(was->type, is->type) && slice_eq(was->subtype, is->subtype));
	assert(slice_eq(was->id, is->id) && slice_eq(was->disposition, is->disposition));
	assert(was->parameter_count == is->parameter_count);
	if (!child || downgraded_has_no_part(was)) {
		downgraded_decode(was, message, &old);
		downgraded_decode(is, result, &new);
		assert(slice_eq(buffer_slice(&old), buffer_slice(&new)));
		downgraded_check_lines(downgraded_body(is, result));
		buffer_free(&old);
		buffer_free(&new);
		return;
	}
	for (; child && other; child = child->next_sibling, other = other->next_sibling)
		downgraded_compare(child, message, other, result);
	assert(!child && !other);
}

/* All that is promised, whatever the message. Gives the verdict. */
static inline enum downgrade_verdict downgraded_check(struct slice message,
						      enum downgrade_form form, size_t about)
{
	struct arena arena = { 0 };
	struct buffer result = { 0 }, again = { 0 };
	enum downgrade_verdict verdict = downgraded(message, 0, form, about, &result);
	if (verdict == DOWNGRADE_NEEDLESS)
		downgraded_check_octets(message, form);
	if (verdict == DOWNGRADE_PLANNED) {
		struct slice text = buffer_slice(&result);
		downgraded_check_octets(text, form);
		downgraded_compare(structure_parse(message, &arena), message,
				   structure_parse(text, &arena), text);
		assert(downgraded(text, 0, form, about, &again) == DOWNGRADE_NEEDLESS);
		downgraded(message, 0, form, 1, &again);
		assert(slice_eq(text, buffer_slice(&again)));
	}
	buffer_free(&result);
	buffer_free(&again);
	arena_fini(&arena);
	return verdict;
}
