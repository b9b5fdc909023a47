/* imapd/fetch_answer.c - the FETCH response for one message.
 *
 * RFC 9051 section 7.5.2; the RFC822 items of RFC 3501 section 7.4.2; UIDFETCH of
 * RFC 9586. An item that cannot be had (its octets are damaged, or gone with the message) is left out and noted for the tagged
 * reply: damaged octets never leave as good ones. Where that shows only in the middle of a
 * literal, the connection closes, since the length promised cannot be kept. NUL, which no
 * literal may hold, leaves as 0x80; BINARY sends it as it is, in a literal8. Runs in the back. */
#include "imapd/fetch_answer_priv.h"

#include "imapd/bodystructure_priv.h"
#include "imapd/envelope_priv.h"
#include "imapd/object_id_priv.h"
#include "imapd/preview_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/thread_id_priv.h"
#include "mail/date.h"
#include "mail/digest.h"

enum { NUL_ON_THE_WIRE = 0x80 };

/* What a function that makes an item is handed. */
struct answering {
	struct fetch_answer *answer;
	const struct fetch_item *item;
	struct read *read;
	const struct mailbox *mailbox;
	struct session *session;
	struct buffer *out;
	uint64_t *spent;
	size_t mark; /* out's length before the item */
	bool said;   /* says_something before the item */
};

static bool must_pause(const struct answering *a)
{
	return session_out_is_full(a->session) || *a->spent >= ANSWER_SLICE_OCTETS;
}

static enum answer_trouble trouble_of(enum err err)
{
	if (err == ERR_NOT_FOUND || err == ERR_GONE)
		return TROUBLE_EXPUNGED;
	return err == ERR_DAMAGED ? TROUBLE_DAMAGED : TROUBLE_UNAVAILABLE;
}

/* The item is left out, as if it had not been asked for. */
static enum answer_progress leave_out(struct answering *a, enum answer_trouble trouble)
{
	a->out->len = a->mark;
	a->answer->says_something = a->said;
	a->answer->trouble |= trouble;
	a->answer->body = BODY_IDLE;
	content_fini(&a->answer->content);
	return ANSWER_COMPLETE;
}

static void put_space(struct fetch_answer *answer, struct buffer *out)
{
	if (answer->says_something)
		buffer_add_byte(out, ' ');
	answer->says_something = true;
}

/* "BODY[1.HEADER]<0> " */
static void put_name(struct answering *a)
{
	put_space(a->answer, a->out);
	buffer_add_cstr(a->out, a->item->name);
	if (a->item->names_section)
		section_render(a->out, &a->item->section, a->answer->utf8);
	if (a->item->is_partial) {
		buffer_add_byte(a->out, '<');
		buffer_add_u64(a->out, a->item->partial.offset);
		buffer_add_byte(a->out, '>');
	}
	buffer_add_byte(a->out, ' ');
}

static enum answer_progress put_nil(struct answering *a)
{
	put_name(a);
	buffer_add(a->out, a->item->kind == FETCH_BINARY_SIZE ? SLICE("0") : SLICE("NIL"));
	return ANSWER_COMPLETE;
}

static const struct partial *item_partial(const struct fetch_item *item)
{
	return item->is_partial ? &item->partial : NULL;
}

static void mask_nuls(struct buffer *out, size_t from)
{
	while (from < out->len) {
		uint8_t *nul = memchr(out->data + from, '\0', out->len - from);
		if (!nul)
			return;
		*nul = NUL_ON_THE_WIRE;
		from = (size_t)(nul - out->data) + 1;
	}
}

static enum err load_record(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	if (answer->record.ptr)
		return ERR_OK;
	*a->spent += ANSWER_DIGEST_COST;
	return blob_digest(a->read, answer->entry.blob_id, &answer->arena, &answer->record);
}

static enum err load_structure(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	enum err err;
	if (answer->has_structure)
		return ERR_OK;
	if ((err = load_record(a)) != ERR_OK)
		return err;
	if (!digest_decode_structure(answer->record, &answer->arena, &answer->root))
		return ERR_DAMAGED;
	answer->has_structure = true;
	return ERR_OK;
}

static enum err load_envelope(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	enum err err;
	if (answer->has_envelope)
		return ERR_OK;
	if ((err = load_record(a)) != ERR_OK)
		return err;
	if (!digest_decode_envelope(answer->record, &answer->arena, &answer->envelope))
		return ERR_DAMAGED;
	answer->has_envelope = true;
	return ERR_OK;
}

static enum answer_progress put_envelope(struct answering *a)
{
	enum err err = load_envelope(a);
	if (err != ERR_OK)
		return leave_out(a, trouble_of(err));
	put_name(a);
	envelope_render(a->out, &a->answer->envelope, a->answer->utf8);
	return ANSWER_COMPLETE;
}

/* Nearly always a copy of what was made ready at arrival. */
static enum answer_progress put_structure(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	enum bodystructure_form form = a->item->kind == FETCH_BODY ? FORM_BODY : FORM_BODYSTRUCTURE;
	struct slice text;
	*a->spent += ANSWER_TEXT_COST;
	enum err err = blob_structure_text(a->read, answer->entry.blob_id, &text);
	if (err == ERR_OK && !text.ptr)
		err = load_structure(a);
	if (err != ERR_OK)
		return leave_out(a, trouble_of(err));
	put_name(a);
	bool is_good = text.ptr ? bodystructure_tell(a->out, text, form, answer->utf8)
				: bodystructure_render(a->out, answer->root, form, answer->utf8);
	return is_good ? ANSWER_COMPLETE : leave_out(a, TROUBLE_DAMAGED);
}

static void put_date(struct answering *a, int64_t unix_seconds)
{
	char text[DATE_TEXT_OCTETS];
	imap_date_format(unix_seconds, text);
	put_name(a);
	buffer_add_byte(a->out, '"');
	buffer_add_cstr(a->out, text);
	buffer_add_byte(a->out, '"');
}

static void put_email_id(struct answering *a)
{
	put_name(a);
	respond_object_id_list(a->out, 'M', a->answer->entry.blob_id);
}

/* A body that is the only one asked for goes from the map to the output with one copy. */
static enum err read_range(struct answering *a, uint64_t offset, uint64_t octets)
{
	if (a->answer->items->body_count == 1)
		return blob_read(a->read, a->answer->entry.blob_id, offset, octets, a->out);
	return a->answer->blob.source.read(&a->answer->blob.source, offset, octets, a->out);
}

static enum answer_progress put_preview(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	struct buffer preview = { 0 };
	enum err err = load_structure(a);
	if (err == ERR_OK)
		err = preview_make(answer->root, &answer->blob.source, &preview, a->spent);
	if (err == ERR_OK) {
		put_name(a);
		respond_string(a->out, buffer_slice(&preview), answer->utf8);
	}
	buffer_free(&preview);
	return err == ERR_OK ? ANSWER_COMPLETE : leave_out(a, trouble_of(err));
}

/* Sends what is left of the range. The first piece stands behind its own literal header, so
 * that both can still be taken back. */
static enum answer_progress send_range(struct answering *a, bool is_first)
{
	struct octet_range *range = &a->answer->range;

	while (range->start < range->end) {
		uint64_t want = content_piece_octets(*range);
		size_t from = a->out->len;
		enum err err = read_range(a, range->start, want);
		if (err == ERR_OK && a->out->len - from != want)
			err = ERR_DAMAGED;
		if (err != ERR_OK) {
			a->out->len = from;
			return is_first ? leave_out(a, trouble_of(err)) : ANSWER_BROKEN;
		}
		mask_nuls(a->out, from);
		range->start += want;
		*a->spent += want;
		is_first = false;
		if (range->start < range->end && must_pause(a))
			return ANSWER_PAUSED;
	}
	a->answer->body = BODY_IDLE;
	return ANSWER_COMPLETE;
}

/* Into the scratch: a header is read whole, but for a monstrous one. */
static enum err read_header(struct answering *a, struct octet_range range)
{
	struct fetch_answer *answer = a->answer;
	uint64_t octets = range.end - range.start;
	if (octets > CONTENT_HEADER_MAX_OCTETS)
		octets = CONTENT_HEADER_MAX_OCTETS;
	buffer_clear(&answer->scratch);
	*a->spent += octets;
	enum err err = answer->blob.source.read(&answer->blob.source, range.start, octets,
						&answer->scratch);
	return err == ERR_OK && answer->scratch.len != octets ? ERR_DAMAGED : err;
}

/* Where the digest does not tell, the header does. */
static enum answer_progress put_thread_id(struct answering *a)
{
	static const struct section header = { .text = SECTION_HEADER };
	struct fetch_answer *answer = a->answer;
	const struct mime_part *part;
	struct octet_range range;
	struct thread_fields fields;
	enum err err = load_envelope(a);
	if (err == ERR_OK && !thread_fields_of_envelope(&answer->envelope, &fields)) {
		err = load_structure(a);
		if (err == ERR_OK && !section_resolve(&header, answer->root,
						      answer->entry.size_octets, &range, &part))
			err = ERR_DAMAGED;
		if (err == ERR_OK)
			err = read_header(a, range);
		if (err == ERR_OK)
			thread_fields_of_header(buffer_slice(&answer->scratch), &fields);
	}
	if (err != ERR_OK)
		return leave_out(a, trouble_of(err));
	put_name(a);
	respond_object_id_list(a->out, 'T', thread_id_of(&fields, answer->entry.blob_id));
	return ANSWER_COMPLETE;
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT */
static enum answer_progress put_fields(struct answering *a, struct octet_range range, bool has_body)
{
	struct fetch_answer *answer = a->answer;
	struct buffer fields = { 0 };
	enum err err = read_header(a, range);
	if (err != ERR_OK)
		return leave_out(a, trouble_of(err));

	section_filter_fields(&a->item->section, buffer_slice(&answer->scratch), has_body, &fields);
	struct octet_range clipped =
		section_clip(item_partial(a->item), (struct octet_range){ 0, fields.len });
	put_name(a);
	respond_literal_header(a->out, clipped.end - clipped.start);
	size_t from = a->out->len;
	buffer_add(a->out,
		   slice_sub(buffer_slice(&fields), clipped.start, clipped.end - clipped.start));
	mask_nuls(a->out, from);
	buffer_free(&fields);
	return ANSWER_COMPLETE;
}

static enum answer_progress put_section(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	const struct section *section = &a->item->section;
	const struct mime_part *part;
	struct octet_range range;
	enum err err;

	if (answer->body == BODY_RANGE)
		return send_range(a, false);
	if (section_needs_structure(section) && (err = load_structure(a)) != ERR_OK)
		return leave_out(a, trouble_of(err));
	if (!section_resolve(section, answer->root, answer->entry.size_octets, &range, &part))
		return put_nil(a);
	if (section->text == SECTION_HEADER_FIELDS || section->text == SECTION_HEADER_FIELDS_NOT)
		return put_fields(a, range, part->body_end > part->body_start);

	answer->range = section_clip(item_partial(a->item), range);
	answer->body = BODY_RANGE;
	put_name(a);
	respond_literal_header(a->out, answer->range.end - answer->range.start);
	return send_range(a, true);
}

/* Sends what is left of the decoded content. */
static enum answer_progress send_decoded(struct answering *a, bool is_first)
{
	struct fetch_answer *answer = a->answer;

	while (answer->to_send > 0) {
		struct slice piece;
		enum err err =
			content_next(&answer->content, &answer->blob.source, &piece, a->spent);
		if (err == ERR_OK && piece.len == 0)
			err = ERR_DAMAGED;
		if (err != ERR_OK)
			return is_first ? leave_out(a, trouble_of(err)) : ANSWER_BROKEN;
		size_t skip = piece.len < answer->to_skip ? piece.len : (size_t)answer->to_skip;
		piece = slice_sub(piece, skip, piece.len);
		if (piece.len > answer->to_send)
			piece.len = (size_t)answer->to_send;
		buffer_add(a->out, piece);
		answer->to_skip -= skip;
		answer->to_send -= piece.len;
		is_first = false;
		if (answer->to_send > 0 && must_pause(a))
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
	struct octet_range clipped =
		section_clip(item_partial(a->item), (struct octet_range){ 0, answer->counted });

	content_fini(&answer->content);
	answer->body = BODY_IDLE;
	put_name(a);
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
		if (must_pause(a))
			return ANSWER_PAUSED;
		enum err err =
			content_next(&answer->content, &answer->blob.source, &piece, a->spent);
		if (err != ERR_OK)
			return leave_out(a, trouble_of(err));
		if (piece.len == 0)
			return put_counted(a);
		answer->counted += piece.len;
		if (!answer->has_nul && memchr(piece.ptr, '\0', piece.len))
			answer->has_nul = true;
	}
}

/* BINARY and BINARY.SIZE. Composite parts, which may not be asked for, give what is stored:
 * their encoding is the identity (RFC 2045 section 6.4). */
static enum answer_progress put_binary(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	const struct section *section = &a->item->section;
	enum err err;

	if (answer->body == BODY_COUNT)
		return count_decoded(a);
	if (answer->body == BODY_SEND)
		return send_decoded(a, false);
	if (section_needs_structure(section) && (err = load_structure(a)) != ERR_OK)
		return leave_out(a, trouble_of(err));
	if (!section_resolve(section, answer->root, answer->entry.size_octets, &answer->source,
			     &answer->part))
		return put_nil(a);
	if (answer->part && !answer->part->first_child &&
	    !content_encoding_is_known(answer->part->encoding))
		return leave_out(a, TROUBLE_ENCODING);
	content_begin(&answer->content, answer->part, answer->source);
	answer->body = BODY_COUNT;
	answer->counted = 0;
	answer->has_nul = false;
	return count_decoded(a);
}

static void put_flags(struct answering *a)
{
	put_space(a->answer, a->out);
	buffer_add(a->out, SLICE("FLAGS "));
	respond_flags(a->out, a->mailbox, &a->answer->entry, a->answer->is_recent);
}

static void put_uid(struct answering *a)
{
	put_space(a->answer, a->out);
	buffer_add(a->out, SLICE("UID "));
	buffer_add_u64(a->out, a->answer->entry.uid);
}

static void put_modseq(struct answering *a)
{
	put_space(a->answer, a->out);
	buffer_add(a->out, SLICE("MODSEQ ("));
	buffer_add_u64(a->out, a->answer->entry.modseq);
	buffer_add_byte(a->out, ')');
}

/* News of the flags that nobody asked for. */
static void put_news(struct answering *a)
{
	const struct fetch_answer *answer = a->answer;
	if (answer->tells_modseq && !answer->items->has_uid)
		put_uid(a);
	if (!answer->items->has_flags)
		put_flags(a);
	if (answer->tells_modseq && !answer->items->has_modseq)
		put_modseq(a);
}

static enum answer_progress put_item(struct answering *a)
{
	a->mark = a->out->len;
	a->said = a->answer->says_something;
	switch (a->item->kind) {
	case FETCH_UID: put_uid(a); break;
	case FETCH_FLAGS: put_flags(a); break;
	case FETCH_INTERNALDATE: put_date(a, a->answer->entry.internal_unix); break;
	case FETCH_SAVEDATE: put_date(a, a->answer->entry.saved_unix); break;
	case FETCH_EMAILID: put_email_id(a); break;
	case FETCH_THREADID: return put_thread_id(a);
	case FETCH_SIZE:
		put_name(a);
		buffer_add_u64(a->out, a->answer->entry.size_octets);
		break;
	case FETCH_MODSEQ: put_modseq(a); break;
	case FETCH_PREVIEW: return put_preview(a);
	case FETCH_ENVELOPE: return put_envelope(a);
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE: return put_structure(a);
	case FETCH_SECTION: return put_section(a);
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE: return put_binary(a);
	}
	return ANSWER_COMPLETE;
}

void answer_begin(struct fetch_answer *answer, const struct message_entry *entry, uint32_t seqnum,
		  bool is_recent, bool tells_flags, struct buffer *out)
{
	answer->entry = *entry;
	answer->seqnum = seqnum;
	answer->is_recent = is_recent;
	answer->tells_flags = tells_flags;
	answer->next_item = 0;
	answer->says_something = false;
	answer->has_envelope = answer->has_structure = false;
	answer->record = SLICE_NONE;
	answer->root = NULL;
	buffer_add(out, SLICE("* "));
	buffer_add_u64(out, answer->only_uids ? entry->uid : seqnum);
	buffer_add(out, answer->only_uids ? SLICE(" UIDFETCH (") : SLICE(" FETCH ("));
}

enum answer_progress answer_go_on(struct fetch_answer *answer, struct read *read,
				  const struct mailbox *mailbox, struct session *session,
				  uint64_t *spent)
{
	struct answering a = { answer, NULL, read, mailbox, session, &session->out, spent };

	content_blob_set(&answer->blob, read, answer->entry.blob_id);
	for (; answer->next_item < answer->items->count; answer->next_item++) {
		a.item = &answer->items->items[answer->next_item];
		if (must_pause(&a))
			return ANSWER_PAUSED;
		enum answer_progress progress = put_item(&a);
		if (progress != ANSWER_COMPLETE)
			return progress;
	}
	if (answer->tells_flags)
		put_news(&a);
	if (!answer->says_something)
		put_uid(&a); /* an empty list would not be grammatical */
	buffer_add(a.out, SLICE(")\r\n"));
	if (answer->items->needs_envelope || answer->items->needs_structure)
		arena_reset(&answer->arena);
	return ANSWER_COMPLETE;
}

void answer_fini(struct fetch_answer *answer)
{
	content_fini(&answer->content);
	content_blob_fini(&answer->blob);
	arena_fini(&answer->arena);
	buffer_free(&answer->scratch);
}
