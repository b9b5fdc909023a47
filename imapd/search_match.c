/* imapd/search_match.c - whether one message matches a search.
 *
 * RFC 9051 section 6.4.4: substrings, compared without case (RFC 5051 in effect, by
 * mail/text.h), after encoded words, transfer encodings and charsets have been undone. FROM
 * and its like look into the envelope: `Name <local@domain>` of each address. BODY looks into
 * every text part, into other leaves of type message (delivery reports) and the headers of
 * messages inside; TEXT also into the header and the MIME headers. Other parts are left out,
 * as the RFC allows. HTML is searched as it is written. Runs in the back. */
#include "imapd/search_match_priv.h"

#include "imapd/search_text_priv.h"
#include "mail/date.h"
#include "mail/digest.h"
#include "mail/header.h"

enum { ENTRY_COST = 50, KEY_COST = 20, DIGEST_COST = 1024 };

static enum err match_key(struct matcher *m, const struct search_key *key, bool *yes);

static enum err load_record(struct matcher *m)
{
	if (m->record.ptr)
		return ERR_OK;
	m->spent += DIGEST_COST;
	return m->source->digest(m->source, &m->arena, &m->record);
}

static enum err load_structure(struct matcher *m)
{
	enum err err;
	if (m->has_structure)
		return ERR_OK;
	if ((err = load_record(m)) != ERR_OK)
		return err;
	if (!digest_decode_structure(m->record, &m->arena, &m->root))
		return ERR_DAMAGED;
	m->has_structure = true;
	return ERR_OK;
}

static enum err load_envelope(struct matcher *m)
{
	enum err err;
	if (m->has_envelope)
		return ERR_OK;
	if ((err = load_record(m)) != ERR_OK)
		return err;
	if (!digest_decode_envelope(m->record, &m->arena, &m->envelope))
		return ERR_DAMAGED;
	m->has_envelope = true;
	return ERR_OK;
}

/* Without the addresses, which take longer than all the rest. */
static enum err load_envelope_texts(struct matcher *m)
{
	enum err err;
	if (m->has_envelope || m->has_envelope_texts)
		return ERR_OK;
	if ((err = load_record(m)) != ERR_OK)
		return err;
	if (!digest_decode_texts(m->record, &m->envelope))
		return ERR_DAMAGED;
	m->has_envelope_texts = true;
	return ERR_OK;
}

static enum err load_header(struct matcher *m)
{
	enum err err;
	if (m->has_header)
		return ERR_OK;
	if ((err = load_structure(m)) != ERR_OK)
		return err;
	err = text_read_header(m, m->root, &m->header);
	m->has_header = err == ERR_OK;
	return err;
}

static bool compare_day(const struct search_key *key, int32_t day)
{
	switch (key->date.when) {
	case WHEN_BEFORE: return day < key->date.day;
	case WHEN_ON: return day == key->date.day;
	case WHEN_SINCE: return day >= key->date.day;
	}
	return false;
}

/* A message without a Date that can be read was sent on no day. */
static enum err match_sent(struct matcher *m, const struct search_key *key, bool *yes)
{
	int32_t day;
	enum err err = load_envelope_texts(m);
	if (err == ERR_OK)
		*yes = m->envelope.date.ptr && date_parse_day(m->envelope.date, &day) &&
		       compare_day(key, day);
	return err;
}

static void add_address(struct buffer *utf8, const struct header_address *address)
{
	if (address->name.len) {
		text_decode_header(address->name, utf8);
		buffer_add_byte(utf8, ' ');
	}
	if (address->host.ptr) {
		buffer_add_byte(utf8, '<');
		buffer_add(utf8, address->mailbox);
		buffer_add_byte(utf8, '@');
		buffer_add(utf8, address->host);
		buffer_add(utf8, SLICE(">, "));
	} else if (address->mailbox.ptr) { /* the name of a group */
		text_decode_header(address->mailbox, utf8);
		buffer_add(utf8, SLICE(": "));
	}
}

/* Whether add_address() would put the address down as it stands, but for blanks and separators, as far
 * as it is ASCII. */
static bool is_plain_address(const struct header_address *address)
{
	return text_header_is_plain(address->name) &&
	       (address->host.ptr || text_header_is_plain(address->mailbox));
}

/* Most addresses are ASCII and have no encoded words: what is in the text of a list of them is in the
 * list, so most lists need not become text. */
static bool list_may_hold(struct matcher *m, struct slice list, const struct needle *word)
{
	struct cursor c = cursor_of(list);
	struct header_address address;
	while (!at_end(&c))
		if (!digest_take_address(&c, &address) || !is_plain_address(&address))
			return true;
	return !text_is_ascii(list) || needle_is_in_ascii(word, list, &m->spent);
}

/* ptr NULL: the message has no such field, or it is one of addresses. */
static struct slice text_of(const struct mime_envelope *e, enum search_field field)
{
	switch (field) {
	case FIELD_SUBJECT: return e->subject;
	case FIELD_MESSAGE_ID: return e->message_id;
	case FIELD_IN_REPLY_TO: return e->in_reply_to;
	case FIELD_REFERENCES: return e->references;
	default: return SLICE_NONE;
	}
}

static enum digest_field digest_field_of(enum search_field field)
{
	switch (field) {
	case FIELD_TO: return DIGEST_TO;
	case FIELD_CC: return DIGEST_CC;
	case FIELD_BCC: return DIGEST_BCC;
	default: return DIGEST_FROM;
	}
}

static enum err match_addresses(struct matcher *m, const struct search_key *key, bool *yes)
{
	struct slice list;
	struct header_address address;
	enum err err = load_record(m);
	if (err != ERR_OK)
		return err;
	if (!digest_find_addresses(m->record, digest_field_of(key->text.field), &list))
		return ERR_DAMAGED;
	if (list.len == 0 || !list_may_hold(m, list, &key->text.word))
		return ERR_OK;
	struct cursor c = cursor_of(list);
	buffer_clear(&m->utf8);
	while (digest_take_address(&c, &address))
		add_address(&m->utf8, &address);
	*yes = text_contains(m, buffer_slice(&m->utf8), &key->text.needle);
	return ERR_OK;
}

/* Where there is more, in the header alone. */
static unsigned more_of(enum search_field field)
{
	switch (field) {
	case FIELD_SUBJECT: return MIME_MORE_SUBJECT;
	case FIELD_MESSAGE_ID: return MIME_MORE_MESSAGE_ID;
	case FIELD_IN_REPLY_TO: return MIME_MORE_IN_REPLY_TO;
	case FIELD_REFERENCES: return MIME_MORE_REFERENCES;
	default: return MIME_MORE_ANY;
	}
}

/* A key that each message has to match is first looked for in the digest where that stands in the store,
 * without a copy and without reading all of it for its checksum: nearly every message is passed over so.
 * One that is damaged is found neither way. What could match, and what can only be told by decoding, is
 * read as ever. */
static bool is_ruled_out(struct matcher *m, const struct search_key *key)
{
	struct mime_envelope texts;
	struct slice record, list;
	if (!key->is_required || m->record.ptr || !m->source->digest_glance(m->source, &record))
		return false;
	m->spent += DIGEST_COST;
	if (search_field_is_address(key->text.field))
		return digest_find_addresses(record, digest_field_of(key->text.field), &list) &&
		       (list.len == 0 || !list_may_hold(m, list, &key->text.word));
	if (!digest_decode_texts(record, &texts) ||
	    (key->kind == SEARCH_HEADER && (texts.more & more_of(key->text.field))))
		return false;
	struct slice text = text_of(&texts, key->text.field);
	return !text.ptr || (text_header_is_plain(text) &&
			     !needle_is_in_ascii(&key->text.needle, slice_trim(text), &m->spent));
}

static enum err match_field(struct matcher *m, const struct search_key *key, bool *yes)
{
	enum err err = load_envelope_texts(m);
	if (err != ERR_OK)
		return err;
	struct slice text = text_of(&m->envelope, key->text.field);
	*yes = text.ptr && text_field_contains(m, text, &key->text.needle);
	return ERR_OK;
}

static enum err match_envelope(struct matcher *m, const struct search_key *key, bool *yes)
{
	if (is_ruled_out(m, key))
		return ERR_OK;
	return search_field_is_address(key->text.field) ? match_addresses(m, key, yes)
							: match_field(m, key, yes);
}

static enum err match_header(struct matcher *m, const struct search_key *key, bool *yes)
{
	struct header_field field;
	enum err err;
	if (key->text.is_in_digest) {
		if (is_ruled_out(m, key))
			return ERR_OK;
		if ((err = match_field(m, key, yes)) != ERR_OK || *yes)
			return err;
		if (!(m->envelope.more & more_of(key->text.field)))
			return ERR_OK;
	}
	if ((err = load_header(m)) != ERR_OK)
		return err;
	struct cursor c = cursor_of(buffer_slice(&m->header));
	while (!*yes && take_header_field(&c, &field)) {
		if (slice_eq_nocase(field.name, key->text.header_name))
			*yes = text_field_contains(m, field.value, &key->text.needle);
	}
	return ERR_OK;
}

static enum err match_thread(struct matcher *m, const struct search_key *key, bool *yes)
{
	if (key->object.number == 0)
		return ERR_OK;
	struct thread_fields fields;
	enum err err = matcher_thread_fields(m, &fields);
	if (err == ERR_OK)
		*yes = thread_id_of(&fields, m->entry->blob_id) == key->object.number;
	return err;
}

static enum err match_text(struct matcher *m, const struct search_key *key, bool *yes)
{
	enum err err;
	if (!m->has_texts) {
		if ((err = load_structure(m)) != ERR_OK || (err = text_look(m)) != ERR_OK)
			return err;
		m->has_texts = true;
	}
	*yes = m->found[key->text.text_index];
	return ERR_OK;
}

/* Stops at the first child that decides. */
static enum err match_children(struct matcher *m, const struct search_key *key, bool *yes)
{
	bool decisive = key->kind == SEARCH_OR;
	for (const struct search_key *child = key->first_child; child; child = child->next) {
		enum err err = match_key(m, child, yes);
		if (err != ERR_OK || *yes == decisive)
			return err;
	}
	*yes = !decisive;
	return ERR_OK;
}

static enum err match_key(struct matcher *m, const struct search_key *key, bool *yes)
{
	const struct message_entry *entry = m->entry;
	enum err err = ERR_OK;

	*yes = false;
	m->spent += KEY_COST;
	switch (key->kind) {
	case SEARCH_ALL: *yes = true; break;
	case SEARCH_UIDS: *yes = ranges_contains(&key->numbers.uids, entry->uid); break;
	case SEARCH_FLAG: *yes = (entry->flags & key->flag) != 0; break;
	case SEARCH_KEYWORD: *yes = (entry->keywords & key->keyword.bit) != 0; break;
	case SEARCH_LARGER: *yes = entry->size_octets > key->size_octets; break;
	case SEARCH_SMALLER: *yes = entry->size_octets < key->size_octets; break;
	case SEARCH_DATE: *yes = compare_day(key, date_day(entry->internal_unix)); break;
	case SEARCH_SAVED: *yes = compare_day(key, date_day(entry->saved_unix)); break;
	case SEARCH_MODSEQ: *yes = entry->modseq >= key->modseq; break;
	case SEARCH_AGE:
		*yes = key->age.is_younger ? entry->internal_unix >= key->age.unix_seconds
					   : entry->internal_unix <= key->age.unix_seconds;
		break;
	case SEARCH_OBJECT:
		if (key->object.is_thread)
			return match_thread(m, key, yes);
		*yes = key->object.number != 0 && key->object.number == entry->blob_id;
		break;
	case SEARCH_SENT: return match_sent(m, key, yes);
	case SEARCH_ENVELOPE: return match_envelope(m, key, yes);
	case SEARCH_HEADER: return match_header(m, key, yes);
	case SEARCH_BODY:
	case SEARCH_TEXT: return match_text(m, key, yes);
	case SEARCH_AND:
	case SEARCH_OR: return match_children(m, key, yes);
	case SEARCH_NOT:
		err = match_key(m, key->first_child, yes);
		*yes = !*yes;
		break;
	}
	return err;
}

void matcher_init(struct matcher *matcher, const struct search_program *program)
{
	*matcher = (struct matcher){ .program = program };
	for (size_t i = 0; i < program->text_count; i++) {
		size_t len = program->texts[i]->text.needle.folded.len;
		if (len > 0 && len - 1 > matcher->overlap_octets)
			matcher->overlap_octets = len - 1;
	}
}

enum err matcher_match(struct matcher *matcher, const struct message_entry *entry,
		       struct content_source *source, bool *matches_out)
{
	matcher->entry = entry;
	matcher->source = source;
	matcher->spent += ENTRY_COST;
	if (matcher->record.ptr)
		arena_reset(&matcher->arena);
	matcher->record = SLICE_NONE;
	matcher->has_envelope = matcher->has_envelope_texts = matcher->has_structure = false;
	matcher->has_header = matcher->has_texts = false;
	return match_key(matcher, matcher->program->root, matches_out);
}

enum err matcher_envelope(struct matcher *matcher, const struct mime_envelope **envelope_out)
{
	*envelope_out = &matcher->envelope;
	return load_envelope(matcher);
}

enum err matcher_thread_fields(struct matcher *m, struct thread_fields *fields_out)
{
	enum err err = load_envelope_texts(m);
	if (err != ERR_OK || thread_fields_of_envelope(&m->envelope, fields_out))
		return err;
	err = load_header(m);
	if (err == ERR_OK)
		thread_fields_of_header(buffer_slice(&m->header), fields_out);
	return err;
}

void matcher_fini(struct matcher *matcher)
{
	arena_fini(&matcher->arena);
	buffer_free(&matcher->header);
	content_fini(&matcher->content);
	buffer_free(&matcher->raw);
	buffer_free(&matcher->utf8);
	buffer_free(&matcher->window);
}
