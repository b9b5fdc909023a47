/* imapd/fetch_binary.c - BINARY and BINARY.SIZE in a FETCH response: the content of a part without its
 * transfer encoding.
 *
 * RFC 9051 sections 6.4.5 and 7.5.2 (RFC 3516). What holds a NUL goes as it is, in a literal8.
 * Runs in the back. */
#include "imapd/fetch_answering_priv.h"

/* Sends what is left of the decoded content. */
static enum answer_progress send_decoded(struct answering *a, bool is_first)
{
	struct fetch_answer *answer = a->answer;

	while (answer->to_send > 0) {
		struct slice piece;
		enum err err = content_next(&answer->content, &answer->blob.source, &piece,
					    &a->slice->spent);
		if (err == ERR_OK && piece.len == 0)
			err = ERR_DAMAGED;
		if (err != ERR_OK)
			return is_first ? answer_leave_out(a, answer_trouble_of(err))
					: ANSWER_BROKEN;
		size_t skip = piece.len < answer->to_skip ? piece.len : (size_t)answer->to_skip;
		piece = slice_sub(piece, skip, piece.len);
		if (piece.len > answer->to_send)
			piece.len = (size_t)answer->to_send;
		buffer_add(a->out, piece);
		answer->to_skip -= skip;
		answer->to_send -= piece.len;
		is_first = false;
		if (answer->to_send > 0 && answer_slice_is_over(a->slice))
			return ANSWER_PAUSED;
	}
	content_fini(&answer->content);
	answer->body = BODY_IDLE;
	return ANSWER_COMPLETE;
}

/* The content has been counted: answers with the size, or begins to send it. */
static enum answer_progress put_counted(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	struct octet_range clipped = answer_clip(a, (struct octet_range){ 0, answer->counted });

	content_fini(&answer->content);
	answer->body = BODY_IDLE;
	answer_put_name(a);
	if (a->item->kind == FETCH_BINARY_SIZE) {
		buffer_add_u64(a->out, answer->counted);
		return ANSWER_COMPLETE;
	}
	if (answer->has_nul)
		buffer_add_byte(a->out, '~');
	answer->to_skip = clipped.start;
	answer->to_send = clipped.end - clipped.start;
	respond_literal_header(a->out, answer->to_send);
	content_begin(&answer->content, answer->part, answer->source);
	answer->body = BODY_SEND;
	return send_decoded(a, true);
}

/* The length of a literal stands before it, so the content is decoded twice: counted, then
 * sent. Keeping it instead would let a 50 MB attachment into memory. */
static enum answer_progress count_decoded(struct answering *a)
{
	struct fetch_answer *answer = a->answer;

	for (;;) {
		struct slice piece;
		if (answer_slice_is_over(a->slice))
			return ANSWER_PAUSED;
		enum err err = content_next(&answer->content, &answer->blob.source, &piece,
					    &a->slice->spent);
		if (err != ERR_OK)
			return answer_leave_out(a, answer_trouble_of(err));
		if (piece.len == 0)
			return put_counted(a);
		answer->counted += piece.len;
		if (!answer->has_nul && memchr(piece.ptr, '\0', piece.len))
			answer->has_nul = true;
	}
}

/* BINARY and BINARY.SIZE. Composite parts, which may not be asked for, give what is stored:
 * their encoding is the identity (RFC 2045 section 6.4). */
enum answer_progress answer_put_binary(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	const struct section *section = &a->item->section;
	enum err err;

	if (answer->body == BODY_COUNT)
		return count_decoded(a);
	if (answer->body == BODY_SEND)
		return send_decoded(a, false);
	if (section_needs_structure(section) && (err = answer_load_structure(a)) != ERR_OK)
		return answer_leave_out(a, answer_trouble_of(err));
	if (!section_resolve(section, answer->root, answer->entry.size_octets, &answer->source,
			     &answer->part))
		return answer_put_nil(a);
	if (answer->part && !answer->part->first_child &&
	    !content_encoding_is_known(answer->part->encoding))
		return answer_leave_out(a, TROUBLE_ENCODING);
	content_begin(&answer->content, answer->part, answer->source);
	answer->body = BODY_COUNT;
	answer->counted = 0;
	answer->has_nul = false;
	return count_decoded(a);
}
