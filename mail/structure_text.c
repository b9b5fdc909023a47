/* mail/structure_text.c - the structure of a message in the words of BODYSTRUCTURE. Runs in the back,
 * and in the admin's process.
 *
 * RFC 9051 section 7.5.2 and the rule body with its parts in section 9. What the grammar cannot say
 * is said in its words: a part that calls itself multipart or message/rfc822 and was not taken apart
 * (nested beyond mail/mime.h's bounds, or encoded) is application/octet-stream, since a strict
 * parser expects the inner structure behind those names.
 *
 *   text      = *(plain / phrase / string / envelope / extension)
 *   plain     = an octet from 0x20 to 0x7e, as the client reads it
 *   phrase    = an octet from 0x80 on: of the table below, which only grows at its end
 *   string    = 1, length, octets: not to be quoted as it stands
 *   envelope  = 2, length, envelope as in digest.c
 *   extension = 3, length, text: what BODY leaves out
 *
 * Lengths are numbers of base 128. */
#include "mail/structure_text.h"

#include "mail/digest_priv.h"

enum { MARK_STRING = 1, MARK_ENVELOPE = 2, MARK_EXTENSION = 3, FIRST_PHRASE = 0x80 };
enum {
	PHRASE_ROOM = 40,
	QUOTED_MAX_OCTETS = 250, /* how longer strings go out is imapd's business */
};

#define PHRASE(words)                     \
	{                                 \
		sizeof(words) - 1, words, \
	}
static const struct phrase {
	uint8_t len;
	char words[PHRASE_ROOM - 1];
} phrases[] = {
	PHRASE("(\"text\" \"plain\" "),
	PHRASE("(\"text\" \"html\" "),
	PHRASE("(\"text\" \"calendar\" "),
	PHRASE("(\"image\" \"png\" "),
	PHRASE("(\"image\" \"jpeg\" "),
	PHRASE("(\"image\" \"gif\" "),
	PHRASE("(\"application\" \"pdf\" "),
	PHRASE("(\"application\" \"octet-stream\" "),
	PHRASE("(\"application\" \"pgp-signature\" "),
	PHRASE("(\"message\" \"rfc822\" "),
	PHRASE("(\"message\" \"delivery-status\" "),
	PHRASE("(\"charset\" \"utf-8\")"),
	PHRASE("(\"charset\" \"UTF-8\")"),
	PHRASE("(\"charset\" \"us-ascii\")"),
	PHRASE("(\"charset\" \"US-ASCII\")"),
	PHRASE("(\"charset\" \"iso-8859-1\")"),
	PHRASE("(\"charset\" \"ISO-8859-1\")"),
	PHRASE("(\"charset\" \"windows-1252\")"),
	PHRASE("(\"charset\" "),
	PHRASE(" \"charset\" "),
	PHRASE(" \"format\" "),
	PHRASE("(\"name\" "),
	PHRASE(" \"name\" "),
	PHRASE("(\"filename\" "),
	PHRASE(" \"filename\" "),
	PHRASE("(\"boundary\" "),
	PHRASE(" \"boundary\" "),
	PHRASE("(\"type\" "),
	PHRASE(" NIL NIL \"7bit\" "),
	PHRASE(" NIL NIL \"8bit\" "),
	PHRASE(" NIL NIL \"base64\" "),
	PHRASE(" NIL NIL \"quoted-printable\" "),
	PHRASE(" \"mixed\""),
	PHRASE(" \"alternative\""),
	PHRASE(" \"related\""),
	PHRASE(" \"report\""),
	PHRASE(" \"signed\""),
	PHRASE(" NIL NIL NIL NIL"),
	PHRASE(" NIL NIL NIL"),
	PHRASE("(\"attachment\" "),
	PHRASE("(\"inline\" "),
	PHRASE("(\"inline\" NIL)"),
	PHRASE("(\"attachment\" NIL)"),
};

/* What was appended from `from` on becomes one octet, where it is a phrase. */
static void shorten(struct buffer *text, size_t from)
{
	size_t len = text->len - from;
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (len != phrases[i].len || memcmp(text->data + from, phrases[i].words, len) != 0)
			continue;
		text->len = from;
		buffer_add_byte(text, (uint8_t)(FIRST_PHRASE + i));
		return;
	}
}

static void put_marked(struct buffer *text, uint8_t mark, struct slice octets)
{
	buffer_add_byte(text, mark);
	add_base128(text, octets.len);
	buffer_add(text, octets);
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e)
			return false;
	return s.len <= QUOTED_MAX_OCTETS;
}

static void put_string(struct buffer *text, struct slice s)
{
	if (!is_plain(s)) {
		put_marked(text, MARK_STRING, s);
		return;
	}
	buffer_add_byte(text, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			buffer_add_byte(text, '\\');
		buffer_add_byte(text, s.ptr[i]);
	}
	buffer_add_byte(text, '"');
}

static void put_nstring(struct buffer *text, struct slice s)
{
	if (s.ptr)
		put_string(text, s);
	else
		buffer_add(text, SLICE("NIL"));
}

/* body-fld-param */
static void put_parameters(struct buffer *text, const struct mime_parameter *parameters,
			   size_t count)
{
	size_t begin = text->len;
	bool is_charset = count == 1 && slice_eq(parameters->name, SLICE("charset"));
	if (count == 0) {
		buffer_add(text, SLICE("NIL"));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		size_t from = text->len;
		buffer_add_byte(text, i == 0 ? '(' : ' ');
		put_string(text, parameters[i].name);
		buffer_add_byte(text, ' ');
		if (!is_charset)
			shorten(text, from);
		put_string(text, parameters[i].value);
	}
	buffer_add_byte(text, ')');
	if (is_charset)
		shorten(text, begin);
}

/* body-fld-dsp */
static void put_disposition(struct buffer *text, const struct mime_part *part)
{
	size_t from = text->len;
	if (!part->disposition.ptr) {
		buffer_add(text, SLICE("NIL"));
		return;
	}
	buffer_add_byte(text, '(');
	put_string(text, part->disposition);
	buffer_add_byte(text, ' ');
	if (part->disposition_parameter_count > 0) {
		shorten(text, from);
		put_parameters(text, part->disposition_parameters,
			       part->disposition_parameter_count);
		buffer_add_byte(text, ')');
	} else {
		buffer_add(text, SLICE("NIL)"));
		shorten(text, from);
	}
}

/* body-fld-lang: the field is a list with commas (RFC 3282); one language goes as a string. */
static void put_language(struct buffer *text, struct slice language)
{
	if (slice_find_byte(language, 0, ',') == language.len) {
		put_nstring(text, language);
		return;
	}
	size_t from = 0, count = 0;
	while (from < language.len) {
		size_t comma = slice_find_byte(language, from, ',');
		struct slice tag = slice_trim(slice_sub(language, from, comma - from));
		if (tag.len) {
			buffer_add_byte(text, count++ == 0 ? '(' : ' ');
			put_string(text, tag);
		}
		from = comma + 1;
	}
	buffer_add(text, count ? SLICE(")") : SLICE("NIL"));
}

/* What body-ext-1part and body-ext-mpart have in common. */
static void put_common_extension(struct buffer *text, const struct mime_part *part)
{
	buffer_add_byte(text, ' ');
	put_disposition(text, part);
	buffer_add_byte(text, ' ');
	put_language(text, part->language);
	buffer_add_byte(text, ' ');
	put_nstring(text, part->location);
}

static void put_extension(struct buffer *text, const struct mime_part *part, bool is_multipart)
{
	struct buffer extension = { 0 };
	size_t from = 0;
	buffer_add_byte(&extension, ' ');
	if (is_multipart) {
		put_parameters(&extension, part->parameters, part->parameter_count);
		from = extension.len;
	} else {
		put_nstring(&extension, part->md5);
	}
	put_common_extension(&extension, part);
	shorten(&extension, from);
	put_marked(text, MARK_EXTENSION, buffer_slice(&extension));
	buffer_free(&extension);
}

static void put_body(struct buffer *text, const struct mime_part *part);

/* body-type-mpart: the parts follow one another without a space. */
static void put_multipart(struct buffer *text, const struct mime_part *part)
{
	buffer_add_byte(text, '(');
	for (const struct mime_part *child = part->first_child; child; child = child->next_sibling)
		put_body(text, child);
	size_t from = text->len;
	buffer_add_byte(text, ' ');
	put_string(text, part->subtype);
	shorten(text, from);
	put_extension(text, part, true);
	buffer_add_byte(text, ')');
}

/* Names that promise a structure which this part does not have. */
static bool is_opaque(const struct mime_part *part)
{
	return slice_eq_nocase(part->type, SLICE("multipart")) ||
	       (slice_eq_nocase(part->type, SLICE("message")) &&
		(slice_eq_nocase(part->subtype, SLICE("rfc822")) ||
		 slice_eq_nocase(part->subtype, SLICE("global"))));
}

static void put_type_and_fields(struct buffer *text, const struct mime_part *part, bool opaque)
{
	size_t from = text->len;
	buffer_add_byte(text, '(');
	put_string(text, opaque ? SLICE("application") : part->type);
	buffer_add_byte(text, ' ');
	put_string(text, opaque ? SLICE("octet-stream") : part->subtype);
	buffer_add_byte(text, ' ');
	shorten(text, from);
	put_parameters(text, part->parameters, part->parameter_count);
	from = text->len;
	buffer_add_byte(text, ' ');
	put_nstring(text, part->id);
	buffer_add_byte(text, ' ');
	put_nstring(text, part->description);
	buffer_add_byte(text, ' ');
	put_string(text, part->encoding);
	buffer_add_byte(text, ' ');
	shorten(text, from);
	buffer_add_u64(text, part->body_end - part->body_start);
}

static void put_envelope(struct buffer *text, const struct mime_envelope *envelope)
{
	struct buffer octets = { 0 };
	add_envelope(&octets, envelope);
	put_marked(text, MARK_ENVELOPE, buffer_slice(&octets));
	buffer_free(&octets);
}

/* body-type-1part */
static void put_single(struct buffer *text, const struct mime_part *part)
{
	bool message = mime_is_message(part) && part->first_child->envelope;

	put_type_and_fields(text, part, !message && is_opaque(part));
	if (message) {
		buffer_add_byte(text, ' ');
		put_envelope(text, part->first_child->envelope);
		buffer_add_byte(text, ' ');
		put_body(text, part->first_child);
	}
	if (message || slice_eq_nocase(part->type, SLICE("text"))) {
		buffer_add_byte(text, ' ');
		buffer_add_u64(text, part->lines);
	}
	put_extension(text, part, false);
	buffer_add_byte(text, ')');
}

/* The recursion goes as deep as the parts do: MIME_MAX_DEPTH. */
static void put_body(struct buffer *text, const struct mime_part *part)
{
	if (mime_is_multipart(part))
		put_multipart(text, part);
	else
		put_single(text, part);
}

void structure_text_encode(const struct mime_part *root, struct buffer *text)
{
	put_body(text, root);
}

/* ---- what a client reads ---- */

static bool tell(struct slice text, struct structure_telling *telling, bool in_extension,
		 struct buffer *out);

/* Plain octets and phrases, up to whatever is neither, or `end`. */
static const uint8_t *tell_words(const uint8_t *from, const uint8_t *end, struct buffer *out)
{
	uint8_t *at = buffer_reserve(out, (size_t)(end - from) * PHRASE_ROOM);
	for (; from != end; from++) {
		if (*from >= FIRST_PHRASE + ARRAY_LEN(phrases))
			break;
		if (*from >= FIRST_PHRASE) {
			const struct phrase *phrase = &phrases[*from - FIRST_PHRASE];
			/* All of its room: one of a fixed size is a few instructions. */
			memcpy(at, phrase->words, sizeof(phrase->words));
			at += phrase->len;
		} else if (*from >= 0x20 && *from <= 0x7e) {
			*at++ = *from;
		} else {
			break;
		}
	}
	out->len = (size_t)(at - out->data);
	return from;
}

static bool tell_marked(struct cursor *c, struct structure_telling *telling, bool in_extension,
			struct buffer *out)
{
	uint64_t len;
	uint8_t mark = *c->at++;
	struct slice octets;
	if (mark > MARK_EXTENSION || !take_base128(c, &len) || len > cursor_left(c) ||
	    !take_octets(c, (size_t)len, &octets))
		return false;
	switch (mark) {
	case MARK_STRING: telling->put_string(telling, octets, out); return true;
	case MARK_ENVELOPE: return telling->put_envelope(telling, octets, out);
	case MARK_EXTENSION:
		return !in_extension &&
		       (!telling->with_extension || tell(octets, telling, true, out));
	default: return false;
	}
}

static bool tell(struct slice text, struct structure_telling *telling, bool in_extension,
		 struct buffer *out)
{
	enum { STRETCH_OCTETS = 64 };
	struct cursor c = cursor_of(text);
	while (!at_end(&c)) {
		size_t len = cursor_left(&c) < STRETCH_OCTETS ? cursor_left(&c) : STRETCH_OCTETS;
		const uint8_t *end = c.at + len;
		c.at = tell_words(c.at, end, out);
		if (c.at != end && !tell_marked(&c, telling, in_extension, out))
			return false;
	}
	return true;
}

bool structure_text_tell(struct slice text, struct structure_telling *telling, struct buffer *out)
{
	size_t mark = out->len;
	if (tell(text, telling, false, out))
		return true;
	out->len = mark;
	return false;
}
