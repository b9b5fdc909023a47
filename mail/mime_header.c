/* mail/mime_header.c - what a part's header says about it, and a message's envelope.
 *
 * RFC 2045 sections 5 to 8, RFC 2183, RFC 1864, RFC 3282, RFC 2557 (Content-Location), and
 * RFC 9051 section 7.5.2 for the envelope. MIME-Version is not asked for (RFC 7103 section
 * 8.1). Runs in both. */
#include <assert.h>

#include "mail/header.h"
#include "mail/mime_priv.h"

struct reading {
	struct mime_part *part;
	struct arena *arena;
	struct mime_budget *budget;
	uint32_t seen; /* bits: rows of the table below that came */
};

/* A token of RFC 2045 section 5.1, with what broken mail puts there. */
static bool is_type_octet(uint8_t c)
{
	return c > ' ' && c != '/' && c != ';' && c != '(' && c != ',' && c != '"' && c != 0x7f;
}

static void set_default_type(struct reading *r)
{
	struct mime_part *part = r->part;
	part->type = SLICE("text");
	part->subtype = SLICE("plain");
	part->parameters = arena_alloc(r->arena, sizeof(*part->parameters));
	*part->parameters = (struct mime_parameter){ SLICE("charset"), SLICE("us-ascii") };
	part->parameter_count = 1;
}

/* content := "Content-Type" ":" type "/" subtype *(";" parameter) */
static void read_type(struct reading *r, struct slice text)
{
	struct mime_part *part = r->part;
	struct cursor c = cursor_of(text);
	struct slice type, subtype;
	skip_cfws(&c);
	if (!take_while(&c, is_type_octet, &type))
		return;
	skip_cfws(&c);
	if (!take_byte(&c, '/'))
		return;
	skip_cfws(&c);
	if (!take_while(&c, is_type_octet, &subtype))
		return;
	part->type = arena_lower(r->arena, type);
	part->subtype = arena_lower(r->arena, subtype);
	while (!at_end(&c) && *c.at != ';')
		c.at++;
	part->parameters = mime_parameters_parse(cursor_rest(&c), r->arena, &part->parameter_count);
}

/* disposition := "Content-Disposition" ":" disposition-type *(";" parameter) */
static void read_disposition(struct reading *r, struct slice text)
{
	struct mime_part *part = r->part;
	struct cursor c = cursor_of(text);
	struct slice type;
	skip_cfws(&c);
	if (!take_while(&c, is_type_octet, &type))
		return;
	part->disposition = arena_lower(r->arena, type);
	part->disposition_parameters = mime_parameters_parse(cursor_rest(&c), r->arena,
							     &part->disposition_parameter_count);
}

/* encoding := "Content-Transfer-Encoding" ":" mechanism */
static void read_encoding(struct reading *r, struct slice text)
{
	struct cursor c = cursor_of(text);
	struct slice mechanism;
	skip_cfws(&c);
	if (take_while(&c, is_type_octet, &mechanism))
		r->part->encoding = arena_lower(r->arena, mechanism);
}

/* The rows of fields that are looked at. `read` where the text needs a grammar, else `at` is
 * where in the part or envelope the text or the address list goes. */
enum field_kind { FIELD_STRUCTURED, FIELD_TEXT, FIELD_ENVELOPE_TEXT, FIELD_ADDRESSES };
struct field_row {
	struct slice name;
	enum field_kind kind;
	size_t at, count_at;
	void (*read)(struct reading *r, struct slice text);
	uint8_t more; /* enum mime_more */
};
#define STRUCTURED(name, read)                        \
	{                                             \
		name, FIELD_STRUCTURED, 0, 0, read, 0 \
	}
#define TEXT_FIELD(name, member)                                                 \
	{                                                                        \
		name, FIELD_TEXT, offsetof(struct mime_part, member), 0, NULL, 0 \
	}
#define ENVELOPE_TEXT(name, member, more)                                                        \
	{                                                                                        \
		name, FIELD_ENVELOPE_TEXT, offsetof(struct mime_envelope, member), 0, NULL, more \
	}
#define ADDRESSES(name, member)                                                 \
	{                                                                       \
		name, FIELD_ADDRESSES, offsetof(struct mime_envelope, member),  \
			offsetof(struct mime_envelope, member##_count), NULL, 0 \
	}
static const struct field_row rows[] = {
	STRUCTURED(SLICE("Content-Type"), read_type),
	STRUCTURED(SLICE("Content-Transfer-Encoding"), read_encoding),
	STRUCTURED(SLICE("Content-Disposition"), read_disposition),
	TEXT_FIELD(SLICE("Content-ID"), id),
	TEXT_FIELD(SLICE("Content-Description"), description),
	TEXT_FIELD(SLICE("Content-MD5"), md5),
	TEXT_FIELD(SLICE("Content-Language"), language),
	TEXT_FIELD(SLICE("Content-Location"), location),
	ENVELOPE_TEXT(SLICE("Date"), date, 0),
	ENVELOPE_TEXT(SLICE("Subject"), subject, MIME_MORE_SUBJECT),
	ENVELOPE_TEXT(SLICE("In-Reply-To"), in_reply_to, MIME_MORE_IN_REPLY_TO),
	ENVELOPE_TEXT(SLICE("Message-ID"), message_id, MIME_MORE_MESSAGE_ID),
	ENVELOPE_TEXT(SLICE("References"), references, MIME_MORE_REFERENCES),
	ADDRESSES(SLICE("From"), from),
	ADDRESSES(SLICE("Sender"), sender),
	ADDRESSES(SLICE("Reply-To"), reply_to),
	ADDRESSES(SLICE("To"), to),
	ADDRESSES(SLICE("Cc"), cc),
	ADDRESSES(SLICE("Bcc"), bcc),
};

/* The value unfolded, in the arena. */
static struct slice keep_text(struct reading *r, struct slice value)
{
	struct slice text = header_unfold(value, r->arena);
	bool borrowed = text.ptr >= value.ptr && text.ptr < value.ptr + value.len;
	return borrowed ? arena_copy(r->arena, text) : text;
}

static void read_addresses(struct reading *r, const struct field_row *row, struct slice value)
{
	char *envelope = (char *)r->part->envelope;
	assert(envelope); /* find_row() gives these rows for a message only */
	size_t count;
	struct header_address *list = address_list_parse(value, r->arena, &count);
	memcpy(envelope + row->at, &list, sizeof(list));
	memcpy(envelope + row->count_at, &count, sizeof(count));
	/* Unfolding may have kept a second copy. */
	r->budget->kept_octets += value.len + count * sizeof(*list);
}

static void note_more(struct reading *r, const struct field_row *row)
{
	if (!row->more)
		return;
	assert(r->part->envelope);
	r->part->envelope->more |= row->more;
}

static void read_field(struct reading *r, const struct field_row *row, struct slice value)
{
	bool is_too_long =
		row->more == MIME_MORE_REFERENCES && value.len > MIME_MAX_REFERENCES_OCTETS;
	if (is_too_long || r->budget->kept_octets + value.len > MIME_MAX_KEPT_OCTETS) {
		note_more(r, row);
		return;
	}
	r->budget->kept_octets += value.len;
	if (row->kind == FIELD_ADDRESSES) {
		read_addresses(r, row, value);
		return;
	}
	struct slice text = keep_text(r, value);
	if (row->kind == FIELD_STRUCTURED) {
		row->read(r, text);
		return;
	}
	char *into = row->kind == FIELD_TEXT ? (char *)r->part : (char *)r->part->envelope;
	assert(into);
	memcpy(into + row->at, &text, sizeof(text));
}

static const struct field_row *find_row(struct slice name, bool with_envelope)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool of_envelope =
			rows[i].kind == FIELD_ENVELOPE_TEXT || rows[i].kind == FIELD_ADDRESSES;
		if (name.len == rows[i].name.len && (with_envelope || !of_envelope) &&
		    slice_eq_nocase(name, rows[i].name))
			return &rows[i];
	}
	return NULL;
}

/* RFC 9051 section 7.5.2: absent or empty, Sender and Reply-To are what From is. */
static void complete_envelope(struct mime_envelope *envelope)
{
	if (envelope->sender_count == 0) {
		envelope->sender = envelope->from;
		envelope->sender_count = envelope->from_count;
	}
	if (envelope->reply_to_count == 0) {
		envelope->reply_to = envelope->from;
		envelope->reply_to_count = envelope->from_count;
	}
}

void mime_header_read(struct slice header, bool in_digest, struct mime_part *part,
		      struct arena *arena, struct mime_budget *budget)
{
	struct reading r = { .part = part, .arena = arena, .budget = budget };
	struct cursor c = cursor_of(header);
	struct header_field field;
	while (take_header_field(&c, &field)) {
		const struct field_row *row = find_row(field.name, part->envelope != NULL);
		if (!row)
			continue;
		uint32_t bit = (uint32_t)1 << (row - rows);
		if (r.seen & bit)
			note_more(&r, row);
		else
			read_field(&r, row, field.value);
		r.seen |= bit;
	}
	bool type_given = r.seen & 1;
	if (part->type.len == 0 && in_digest && !type_given) {
		part->type = SLICE("message");
		part->subtype = SLICE("rfc822");
	} else if (part->type.len == 0) {
		set_default_type(&r);
	}
	if (part->encoding.len == 0)
		part->encoding = SLICE("7bit");
	if (part->envelope)
		complete_envelope(part->envelope);
}
