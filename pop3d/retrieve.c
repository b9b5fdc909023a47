/* pop3d/retrieve.c - RETR and TOP: RFC 1939 sections 5 and 7. Runs in the back.
 *
 * A message goes out in pieces of a chunk of its blob; the next is read when the client has
 * taken the last. A read transaction is open for one piece only. */
#include "pop3d/session_priv.h"

/* The next piece of the message, stuffed, into session.out. */
static enum err add_piece(struct pop3_session *s)
{
	struct buffer piece = { 0 };
	struct read *read = read_begin(s->back->store);
	enum err err = blob_read(read, s->body.blob_id, s->body.offset, BLOB_CHUNK_OCTETS, &piece);
	read_end(&read);
	/* Less than its size says: the rest is missing. */
	if (err == ERR_OK && piece.len == 0 && s->body.offset < s->body.size_octets)
		err = ERR_DAMAGED;
	if (err == ERR_OK) {
		s->body.offset += piece.len;
		(void)stuffing_add(&s->body.stuffing, buffer_slice(&piece), &s->session.out);
	}
	buffer_free(&piece);
	return err;
}

static enum step send_body(struct pop3_session *s)
{
	while (s->body.offset < s->body.size_octets && !s->body.stuffing.is_complete) {
		if (session_out_is_full(&s->session))
			return STEP_WAIT;
		enum err err = add_piece(s);
		if (err != ERR_OK) {
			/* After +OK there is no way to say so but to break off: without its last
			 * line the client knows that the message is not whole. */
			log_error(&s->session.log, EVENT("message-broken-off"),
				  HEX("msg", s->body.blob_id), NUM("offset", s->body.offset),
				  WORD("why", err_word(err)));
			return pop3_close(s, "message-broken-off");
		}
	}
	stuffing_end(&s->body.stuffing, &s->session.out);
	s->retrieved++;
	s->retrieved_octets += s->body.offset;
	return pop3_end_answer(s);
}

/* +OK only once the message's beginning has been read. */
static enum step begin(struct pop3_session *s, uint32_t number, uint64_t body_lines)
{
	struct message_entry entry;
	struct buffer *out = &s->session.out;
	struct read *read = read_begin(s->back->store);
	enum err err = message_get(read, s->drop.mailbox_id,
				   maildrop_message(&s->drop, number)->uid, &entry);
	read_end(&read);
	if (err != ERR_OK)
		return pop3_fail(s, err);
	s->body.blob_id = entry.blob_id;
	s->body.offset = 0;
	s->body.size_octets = entry.size_octets;
	stuffing_begin(&s->body.stuffing, body_lines);
	size_t before = out->len;
	if (body_lines == UINT64_MAX) /* the size that LIST says */
		buffer_add_format(out, "+OK %u octets\r\n",
				  maildrop_message(&s->drop, number)->size_octets);
	else
		pop3_ok(&s->session, "top of message follows");
	if (entry.size_octets > 0)
		err = add_piece(s);
	if (err != ERR_OK) {
		out->len = before;
		return pop3_fail(s, err);
	}
	return pop3_begin_answer(s, send_body);
}

enum step pop3_retr(struct pop3_session *s, const struct pop3_arguments *args)
{
	return begin(s, args->number, UINT64_MAX);
}

enum step pop3_top(struct pop3_session *s, const struct pop3_arguments *args)
{
	return begin(s, args->number, args->lines);
}
