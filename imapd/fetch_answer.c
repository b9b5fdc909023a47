/* imapd/fetch_answer.c - the FETCH response for one message.
 *
 * RFC 9051 section 7.5.2; UIDFETCH of RFC 9586. An item that cannot be had (its octets are
 * damaged, or gone with the message) is left out and noted for the tagged reply: damaged octets
 * never leave as good ones. Bodies are made in fetch_section.c and fetch_binary.c. Runs in the
 * back. */
#include "imapd/fetch_answering_priv.h"

#include "imapd/bodystructure_priv.h"
#include "imapd/envelope_priv.h"
#include "imapd/object_id_priv.h"
#include "imapd/preview_priv.h"
#include "imapd/thread_id_priv.h"
#include "imapd/view_priv.h"
#include "mail/date.h"
#include "mail/digest.h"

enum answer_trouble answer_trouble_of(enum err err)
{
	if (err == ERR_NOT_FOUND || err == ERR_GONE)
		return TROUBLE_EXPUNGED;
	return err == ERR_DAMAGED ? TROUBLE_DAMAGED : TROUBLE_UNAVAILABLE;
}

enum answer_progress answer_leave_out(struct answering *a, enum answer_trouble trouble)
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

void answer_put_name(struct answering *a)
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

enum answer_progress answer_put_nil(struct answering *a)
{
	answer_put_name(a);
	buffer_add(a->out, a->item->kind == FETCH_BINARY_SIZE ? SLICE("0") : SLICE("NIL"));
	return ANSWER_COMPLETE;
}

static enum err load_record(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	if (answer->record.ptr)
		return ERR_OK;
	a->slice->spent += ANSWER_DIGEST_COST;
	return blob_digest(a->slice->read, answer->entry.blob_id, &answer->arena, &answer->record);
}

enum err answer_load_structure(struct answering *a)
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
		return answer_leave_out(a, answer_trouble_of(err));
	answer_put_name(a);
	envelope_render(a->out, &a->answer->envelope, a->answer->utf8);
	return ANSWER_COMPLETE;
}

/* Nearly always a copy of what was made ready at arrival. */
static enum answer_progress put_structure(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	enum bodystructure_form form = a->item->kind == FETCH_BODY ? FORM_BODY : FORM_BODYSTRUCTURE;
	struct slice text;
	a->slice->spent += ANSWER_TEXT_COST;
	enum err err = blob_structure_text(a->slice->read, answer->entry.blob_id, &text);
	if (err == ERR_OK && !text.ptr)
		err = answer_load_structure(a);
	if (err != ERR_OK)
		return answer_leave_out(a, answer_trouble_of(err));
	answer_put_name(a);
	bool is_good = text.ptr ? bodystructure_tell(a->out, text, form, answer->utf8)
				: bodystructure_render(a->out, answer->root, form, answer->utf8);
	return is_good ? ANSWER_COMPLETE : answer_leave_out(a, TROUBLE_DAMAGED);
}

static void put_date(struct answering *a, int64_t unix_seconds)
{
	char text[DATE_TEXT_OCTETS];
	imap_date_format(unix_seconds, text);
	answer_put_name(a);
	buffer_add_byte(a->out, '"');
	buffer_add_cstr(a->out, text);
	buffer_add_byte(a->out, '"');
}

static void put_email_id(struct answering *a)
{
	answer_put_name(a);
	respond_object_id_list(a->out, 'M', a->answer->entry.blob_id);
}

static enum answer_progress put_preview(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	struct buffer preview = { 0 };
	enum err err = answer_load_structure(a);
	if (err == ERR_OK)
		err = preview_make(answer->root, &answer->blob.source, &preview, &a->slice->spent);
	if (err == ERR_OK) {
		answer_put_name(a);
		respond_string(a->out, buffer_slice(&preview), answer->utf8);
	}
	buffer_free(&preview);
	return err == ERR_OK ? ANSWER_COMPLETE : answer_leave_out(a, answer_trouble_of(err));
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
		err = answer_load_structure(a);
		if (err == ERR_OK && !section_resolve(&header, answer->root,
						      answer->entry.size_octets, &range, &part))
			err = ERR_DAMAGED;
		if (err == ERR_OK)
			err = answer_read_header(a, range);
		if (err == ERR_OK)
			thread_fields_of_header(buffer_slice(&answer->scratch), &fields);
	}
	if (err != ERR_OK)
		return answer_leave_out(a, answer_trouble_of(err));
	answer_put_name(a);
	respond_object_id_list(a->out, 'T', thread_id_of(&fields, answer->entry.blob_id));
	return ANSWER_COMPLETE;
}

static void put_flags(struct answering *a)
{
	put_space(a->answer, a->out);
	buffer_add(a->out, SLICE("FLAGS "));
	respond_flags(a->out, a->slice->mailbox, &a->answer->entry, a->answer->is_recent);
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
		answer_put_name(a);
		buffer_add_u64(a->out, a->answer->entry.size_octets);
		break;
	case FETCH_MODSEQ: put_modseq(a); break;
	case FETCH_PREVIEW: return put_preview(a);
	case FETCH_ENVELOPE: return put_envelope(a);
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE: return put_structure(a);
	case FETCH_SECTION: return answer_put_section(a);
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE: return answer_put_binary(a);
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

static void end_answer(struct answering *a)
{
	const struct fetch_items *items = a->answer->items;
	if (!a->answer->says_something)
		put_uid(a); /* an empty list would not be grammatical */
	buffer_add(a->out, SLICE(")\r\n"));
	if (items->needs_envelope || items->needs_structure)
		arena_reset(&a->answer->arena);
}

enum answer_progress answer_go_on(struct fetch_answer *answer, struct answer_slice *slice)
{
	struct answering a = { .answer = answer, .slice = slice, .out = slice->out };

	content_blob_set(&answer->blob, slice->read, answer->entry.blob_id);
	for (; answer->next_item < answer->items->count; answer->next_item++) {
		a.item = &answer->items->items[answer->next_item];
		if (answer_slice_is_over(slice))
			return ANSWER_PAUSED;
		enum answer_progress progress = put_item(&a);
		if (progress != ANSWER_COMPLETE)
			return progress;
	}
	if (answer->tells_flags)
		put_news(&a);
	end_answer(&a);
	return ANSWER_COMPLETE;
}

bool answer_leave_off(struct fetch_answer *answer, struct buffer *out)
{
	struct answering a = { .answer = answer, .out = out };
	bool is_in_literal = answer->body == BODY_RANGE || answer->body == BODY_SEND;
	if (is_in_literal || answer->tells_flags)
		return false;
	content_fini(&answer->content);
	answer->body = BODY_IDLE;
	end_answer(&a);
	return true;
}

void answer_fini(struct fetch_answer *answer)
{
	content_fini(&answer->content);
	content_blob_fini(&answer->blob);
	arena_fini(&answer->arena);
	buffer_free(&answer->scratch);
}
