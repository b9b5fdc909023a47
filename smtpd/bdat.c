/* smtpd/bdat.c - BDAT: the message in counted chunks (CHUNKING and BINARYMIME, RFC 3030). Runs in
 * the front.
 *
 * The octets of a chunk come behind its command whatever we think of it, so they are always
 * read to their end before the answer, and never taken for commands: where BDAT is out of place,
 * where its transaction has failed, where nobody has signed in. A command whose count cannot be
 * read leaves no way to know what follows, and so ends the connection.
 *
 * A chunk that fails ends its transaction, and those behind it find none. */
#include "smtpd/session_priv.h"

/* chunk-size [ SP "LAST" ] */
static bool take_chunk_size(struct cursor *args, struct smtp_chunk *chunk_out)
{
	struct cursor c = *args;

	*chunk_out = (struct smtp_chunk){ .refusal = REPLY_NONE };
	if (!take_number(&c, UINT64_MAX, &chunk_out->left_octets))
		return false;
	chunk_out->size_octets = chunk_out->left_octets;
	if (take_byte(&c, ' ')) {
		skip_blanks(&c);
		chunk_out->is_last = take_word_nocase(&c, SLICE("LAST"));
		if (!chunk_out->is_last)
			return false;
	}
	return at_end(&c);
}

/* What can be said against the chunk before it is here. */
static enum smtp_reply_name refusal_of(const struct smtp_session *s, const struct smtp_chunk *chunk)
{
	const struct smtp_transaction *t = &s->transaction;

	if (!link_is_up(s->front->link))
		return REPLY_TRY_AGAIN;
	if (t->content.size_octets > t->size_max_octets ||
	    chunk->size_octets > t->size_max_octets - t->content.size_octets)
		return REPLY_TOO_LARGE;
	return REPLY_NONE;
}

enum step smtp_bdat_refused(struct smtp_session *s, struct cursor *args,
			    enum smtp_reply_name refusal)
{
	if (!take_chunk_size(args, &s->chunk)) {
		smtp_reply(s, REPLY_BAD_CHUNK_SIZE);
		return smtp_close(s, "bad-chunk-size");
	}
	s->chunk.refusal = refusal;
	s->chunk.state_before = s->state;
	smtp_set_state(s, SMTP_CHUNK);
	return STEP_AGAIN;
}

enum step smtp_bdat(struct smtp_session *s, struct cursor *args)
{
	struct smtp_transaction *t = &s->transaction;
	enum step step = smtp_bdat_refused(s, args, REPLY_NONE);

	if (step == STEP_CLOSE)
		return step;
	if (!t->content.is_chunked) {
		s->transactions++;
		t->content.is_chunked = true;
		t->content.is_binary = t->envelope.body == ENVELOPE_BINARYMIME;
	}
	if (t->refusal == REPLY_NONE) /* the back may have said no since the last chunk */
		t->refusal = refusal_of(s, &s->chunk);
	if (t->refusal != REPLY_NONE)
		smtp_transaction_abandon(s);
	return step;
}

static enum step end_chunk(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	if (s->chunk.refusal != REPLY_NONE) { /* it was never part of a message */
		smtp_set_state(s, s->chunk.state_before);
		smtp_reply(s, s->chunk.refusal);
		return STEP_AGAIN;
	}
	if (s->chunk.is_last) {
		smtp_content_end_chunks(&t->content);
		smtp_transfer_check(s);
	}
	if (s->chunk.is_last || t->refusal != REPLY_NONE)
		return smtp_transfer_finish(s);
	smtp_transfer_flush(s);
	buffer_add_format(&s->session.out, "250 2.0.0 %llu octets received\r\n",
			  (unsigned long long)s->chunk.size_octets);
	smtp_set_state(s, SMTP_BDAT);
	return STEP_AGAIN;
}

enum step smtp_take_chunk(struct smtp_session *s, struct cursor *in)
{
	struct cursor piece = *in;
	enum content_event event;
	enum step step = STEP_AGAIN;

	if (cursor_left(&piece) > s->chunk.left_octets)
		piece.end = piece.at + s->chunk.left_octets;
	if (s->chunk.refusal != REPLY_NONE || s->transaction.refusal != REPLY_NONE)
		piece.at = piece.end;
	else
		step = smtp_transfer_take(s, &piece, &event);
	s->chunk.left_octets -= (uint64_t)(piece.at - in->at);
	in->at = piece.at;
	if (step != STEP_AGAIN)
		return step;
	if (s->chunk.left_octets == 0)
		return end_chunk(s);
	smtp_transfer_flush(s);
	return STEP_INPUT;
}
