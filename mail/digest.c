/* mail/digest.c - envelope and structure as octets, and back. Runs in both.
 *
 * Numbers are little-endian base 128, the high bit set on all octets but the last. A text is
 * its length + 1 and its octets; 0 stands for none.
 *
 *   record    = version (2), more bits, references, length of envelope, envelope, part
 *   of before = version (1), length of envelope, envelope, part
 *   envelope  = date, subject, in-reply-to, message-id, same-as-from bits, from,
 *               [sender], [reply-to], to, cc, bcc
 *   addresses = count, count * (name, route, mailbox, host)
 *   part      = has bits, header start (from the end of what stands before it in its parent),
 *               header length, body length, lines, type, subtype,
 *               those that its bits name: parameters, id, description, encoding, md5,
 *               language, location, disposition, its parameters, count of children,
 *               each child: [envelope, where the part is a message] part
 */
#include "mail/digest_priv.h"

#include "base/octets.h"

enum { DIGEST_WITHOUT_REFERENCES = 1, DIGEST_VERSION = 2 };

enum part_bit {
	HAS_PARAMETERS = 1 << 0,
	HAS_ID = 1 << 1,
	HAS_DESCRIPTION = 1 << 2,
	HAS_ENCODING = 1 << 3, /* other than 7bit */
	HAS_MD5 = 1 << 4,
	HAS_LANGUAGE = 1 << 5,
	HAS_LOCATION = 1 << 6,
	HAS_DISPOSITION = 1 << 7,
	HAS_DISPOSITION_PARAMETERS = 1 << 8,
	HAS_CHILDREN = 1 << 9,
	PART_BITS_END = 1 << 10,
};
enum { SENDER_IS_FROM = 1, REPLY_TO_IS_FROM = 2, SAME_BITS_END = 4 };

void add_base128(struct buffer *b, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		buffer_add_byte(b, (uint8_t)(number | 0x80));
	buffer_add_byte(b, (uint8_t)number);
}

static void add_text(struct buffer *b, struct slice text)
{
	add_base128(b, text.ptr ? (uint64_t)text.len + 1 : 0);
	buffer_add(b, text);
}

static void add_addresses(struct buffer *b, const struct header_address *list, size_t count)
{
	add_base128(b, count);
	for (size_t i = 0; i < count; i++) {
		add_text(b, list[i].name);
		add_text(b, list[i].route);
		add_text(b, list[i].mailbox);
		add_text(b, list[i].host);
	}
}

void add_envelope(struct buffer *b, const struct mime_envelope *e)
{
	bool same_sender = e->sender == e->from && e->sender_count == e->from_count;
	bool same_reply_to = e->reply_to == e->from && e->reply_to_count == e->from_count;
	add_text(b, e->date);
	add_text(b, e->subject);
	add_text(b, e->in_reply_to);
	add_text(b, e->message_id);
	buffer_add_byte(b, (uint8_t)((same_sender ? SENDER_IS_FROM : 0) |
				     (same_reply_to ? REPLY_TO_IS_FROM : 0)));
	add_addresses(b, e->from, e->from_count);
	if (!same_sender)
		add_addresses(b, e->sender, e->sender_count);
	if (!same_reply_to)
		add_addresses(b, e->reply_to, e->reply_to_count);
	add_addresses(b, e->to, e->to_count);
	add_addresses(b, e->cc, e->cc_count);
	add_addresses(b, e->bcc, e->bcc_count);
}

static void add_parameters(struct buffer *b, const struct mime_parameter *list, size_t count)
{
	add_base128(b, count);
	for (size_t i = 0; i < count; i++) {
		add_text(b, list[i].name);
		add_text(b, list[i].value);
	}
}

static unsigned bits_of(const struct mime_part *part)
{
	return (part->parameter_count ? HAS_PARAMETERS : 0u) | (part->id.ptr ? HAS_ID : 0u) |
	       (part->description.ptr ? HAS_DESCRIPTION : 0u) |
	       (slice_eq(part->encoding, SLICE("7bit")) ? 0u : HAS_ENCODING) |
	       (part->md5.ptr ? HAS_MD5 : 0u) | (part->language.ptr ? HAS_LANGUAGE : 0u) |
	       (part->location.ptr ? HAS_LOCATION : 0u) |
	       (part->disposition.ptr ? HAS_DISPOSITION : 0u) |
	       (part->disposition_parameter_count ? HAS_DISPOSITION_PARAMETERS : 0u) |
	       (part->first_child ? HAS_CHILDREN : 0u);
}

static size_t count_children(const struct mime_part *part)
{
	size_t count = 0;
	for (const struct mime_part *child = part->first_child; child; child = child->next_sibling)
		count++;
	return count;
}

/* The recursion goes as deep as the parts do: MIME_MAX_DEPTH. */
static void add_part(struct buffer *b, const struct mime_part *part, uint64_t before)
{
	unsigned bits = bits_of(part);
	add_base128(b, bits);
	add_base128(b, part->header_start - before);
	add_base128(b, part->body_start - part->header_start);
	add_base128(b, part->body_end - part->body_start);
	add_base128(b, part->lines);
	add_text(b, part->type);
	add_text(b, part->subtype);
	if (bits & HAS_PARAMETERS)
		add_parameters(b, part->parameters, part->parameter_count);
	if (bits & HAS_ID)
		add_text(b, part->id);
	if (bits & HAS_DESCRIPTION)
		add_text(b, part->description);
	if (bits & HAS_ENCODING)
		add_text(b, part->encoding);
	if (bits & HAS_MD5)
		add_text(b, part->md5);
	if (bits & HAS_LANGUAGE)
		add_text(b, part->language);
	if (bits & HAS_LOCATION)
		add_text(b, part->location);
	if (bits & HAS_DISPOSITION)
		add_text(b, part->disposition);
	if (bits & HAS_DISPOSITION_PARAMETERS)
		add_parameters(b, part->disposition_parameters, part->disposition_parameter_count);
	if (!(bits & HAS_CHILDREN))
		return;
	add_base128(b, count_children(part));
	before = part->body_start;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		if (mime_is_message(part))
			add_envelope(b, child->envelope);
		add_part(b, child, before);
		before = child->body_end;
	}
}

static void encode(const struct mime_part *root, uint8_t version, struct buffer *record)
{
	struct buffer envelope = { 0 };
	add_envelope(&envelope, root->envelope);
	buffer_add_byte(record, version);
	if (version > DIGEST_WITHOUT_REFERENCES) {
		buffer_add_byte(record, root->envelope->more);
		add_text(record, root->envelope->references);
	}
	add_base128(record, envelope.len);
	buffer_add(record, buffer_slice(&envelope));
	buffer_free(&envelope);
	add_part(record, root, 0);
}

void digest_encode(const struct mime_part *root, struct buffer *record)
{
	encode(root, DIGEST_VERSION, record);
}

bool digest_is_of(struct slice record, const struct mime_part *root)
{
	struct buffer same = { 0 };
	bool is_older = record.len > 0 && *record.ptr == DIGEST_WITHOUT_REFERENCES;
	encode(root, is_older ? DIGEST_WITHOUT_REFERENCES : DIGEST_VERSION, &same);
	bool is_same = slice_eq(record, buffer_slice(&same));
	buffer_free(&same);
	return is_same;
}

bool take_base128(struct cursor *c, uint64_t *number_out)
{
	uint64_t number = 0;
	const uint8_t *at = c->at;
	for (unsigned shift = 0; at != c->end && shift < 63; shift += 7) {
		number |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80)) {
			*number_out = number;
			c->at = at;
			return true;
		}
	}
	return false;
}

static bool take_text(struct cursor *c, struct slice *text_out)
{
	uint64_t len;
	/* Most lengths are one octet. */
	if (c->at != c->end && *c->at < 0x80)
		len = *c->at++;
	else if (!take_base128(c, &len))
		return false;
	if (len == 0) {
		*text_out = SLICE_NONE;
		return true;
	}
	if (len - 1 > cursor_left(c))
		return false;
	*text_out = slice_of(c->at, (size_t)len - 1);
	c->at += len - 1;
	return true;
}

bool digest_take_address(struct cursor *list, struct header_address *address_out)
{
	return take_text(list, &address_out->name) && take_text(list, &address_out->route) &&
	       take_text(list, &address_out->mailbox) && take_text(list, &address_out->host);
}

/* Each takes four octets at least: what is damaged asks for no more than its size. */
static bool take_address_count(struct cursor *c, uint64_t *count_out)
{
	return take_base128(c, count_out) && *count_out <= ADDRESS_LIST_MAX &&
	       *count_out <= cursor_left(c) / 4;
}

static bool take_addresses(struct cursor *c, struct arena *arena, struct header_address **list_out,
			   size_t *count_out)
{
	uint64_t count;
	if (!take_address_count(c, &count))
		return false;
	struct header_address *list =
		count ? arena_alloc_array(arena, (size_t)count, sizeof(*list)) : NULL;
	for (size_t i = 0; i < count; i++)
		if (!digest_take_address(c, &list[i]))
			return false;
	*list_out = list;
	*count_out = (size_t)count;
	return true;
}

static bool take_address_list(struct cursor *c, struct slice *list_out)
{
	uint64_t count;
	struct header_address address;
	if (!take_address_count(c, &count))
		return false;
	const uint8_t *from = c->at;
	for (; count > 0; count--)
		if (!digest_take_address(c, &address))
			return false;
	*list_out = slice_of(from, (size_t)(c->at - from));
	return true;
}

static bool take_envelope_texts(struct cursor *c, struct mime_envelope *e)
{
	return take_text(c, &e->date) && take_text(c, &e->subject) &&
	       take_text(c, &e->in_reply_to) && take_text(c, &e->message_id);
}

static bool take_envelope(struct cursor *c, struct arena *arena, struct mime_envelope *e)
{
	uint8_t same;
	if (!take_envelope_texts(c, e) || !take_u8(c, &same) || same >= SAME_BITS_END ||
	    !take_addresses(c, arena, &e->from, &e->from_count))
		return false;
	e->sender = e->reply_to = e->from;
	e->sender_count = e->reply_to_count = e->from_count;
	return ((same & SENDER_IS_FROM) ||
		take_addresses(c, arena, &e->sender, &e->sender_count)) &&
	       ((same & REPLY_TO_IS_FROM) ||
		take_addresses(c, arena, &e->reply_to, &e->reply_to_count)) &&
	       take_addresses(c, arena, &e->to, &e->to_count) &&
	       take_addresses(c, arena, &e->cc, &e->cc_count) &&
	       take_addresses(c, arena, &e->bcc, &e->bcc_count);
}

static bool take_parameters(struct cursor *c, struct arena *arena, struct mime_parameter **list_out,
			    size_t *count_out)
{
	uint64_t count;
	if (!take_base128(c, &count) || count == 0 || count > MIME_MAX_PARAMETERS ||
	    count > cursor_left(c) / 2)
		return false;
	struct mime_parameter *list = arena_alloc_array(arena, (size_t)count, sizeof(*list));
	for (size_t i = 0; i < count; i++)
		if (!take_text(c, &list[i].name) || !take_text(c, &list[i].value))
			return false;
	*list_out = list;
	*count_out = (size_t)count;
	return true;
}

struct decoding {
	struct cursor c;
	struct arena *arena;
	uint32_t parts_left;
};

/* The place of a part, which begins not before `before` and ends not after `after`. */
static bool take_offsets(struct decoding *d, struct mime_part *part, uint64_t before,
			 uint64_t after)
{
	uint64_t gap, header, body;
	if (!take_base128(&d->c, &gap) || !take_base128(&d->c, &header) ||
	    !take_base128(&d->c, &body) || !take_base128(&d->c, &part->lines))
		return false;
	if (before > after || gap > after - before)
		return false;
	part->header_start = before + gap;
	if (header > after - part->header_start)
		return false;
	part->body_start = part->header_start + header;
	if (body > after - part->body_start || part->lines > body / 2)
		return false;
	part->body_end = part->body_start + body;
	return true;
}

static bool take_texts(struct decoding *d, struct mime_part *part, uint64_t bits)
{
	struct cursor *c = &d->c;
	part->encoding = SLICE("7bit");
	return take_text(c, &part->type) && take_text(c, &part->subtype) && part->type.ptr &&
	       part->subtype.ptr &&
	       (!(bits & HAS_PARAMETERS) ||
		take_parameters(c, d->arena, &part->parameters, &part->parameter_count)) &&
	       (!(bits & HAS_ID) || take_text(c, &part->id)) &&
	       (!(bits & HAS_DESCRIPTION) || take_text(c, &part->description)) &&
	       (!(bits & HAS_ENCODING) || (take_text(c, &part->encoding) && part->encoding.ptr)) &&
	       (!(bits & HAS_MD5) || take_text(c, &part->md5)) &&
	       (!(bits & HAS_LANGUAGE) || take_text(c, &part->language)) &&
	       (!(bits & HAS_LOCATION) || take_text(c, &part->location)) &&
	       (!(bits & HAS_DISPOSITION) || take_text(c, &part->disposition)) &&
	       (!(bits & HAS_DISPOSITION_PARAMETERS) ||
		take_parameters(c, d->arena, &part->disposition_parameters,
				&part->disposition_parameter_count));
}

static bool take_part(struct decoding *d, uint64_t before, uint64_t after, int depth,
		      struct mime_part **part_out);

static bool take_children(struct decoding *d, struct mime_part *part, int depth)
{
	uint64_t count, before = part->body_start;
	bool is_message = slice_eq(part->type, SLICE("message"));
	struct mime_part **link = &part->first_child;
	if (!take_base128(&d->c, &count) || count == 0 || (is_message && count != 1) ||
	    (!is_message && !slice_eq(part->type, SLICE("multipart"))))
		return false;
	for (; count > 0; count--) {
		struct mime_envelope *envelope = NULL;
		if (is_message) {
			envelope = arena_alloc(d->arena, sizeof(*envelope));
			if (!take_envelope(&d->c, d->arena, envelope))
				return false;
		}
		if (!take_part(d, before, part->body_end, depth + 1, link))
			return false;
		(*link)->envelope = envelope;
		before = (*link)->body_end;
		link = &(*link)->next_sibling;
	}
	return true;
}

static bool take_part(struct decoding *d, uint64_t before, uint64_t after, int depth,
		      struct mime_part **part_out)
{
	uint64_t bits;
	if (depth > MIME_MAX_DEPTH || d->parts_left == 0 || !take_base128(&d->c, &bits) ||
	    bits >= PART_BITS_END)
		return false;
	d->parts_left--;
	struct mime_part *part = arena_alloc(d->arena, sizeof(*part));
	if (!take_offsets(d, part, before, after) || !take_texts(d, part, bits) ||
	    ((bits & HAS_CHILDREN) && !take_children(d, part, depth)))
		return false;
	*part_out = part;
	return true;
}

/* What stands before the envelope, and where that is; the structure is left in `c`. */
static bool take_envelope_record(struct cursor *c, struct mime_envelope *before_out,
				 struct cursor *envelope_out)
{
	uint8_t version;
	uint64_t len;
	struct slice envelope;
	before_out->more = MIME_MORE_ANY;
	before_out->references = SLICE_NONE;
	if (!take_u8(c, &version) || version == 0 || version > DIGEST_VERSION)
		return false;
	if (version > DIGEST_WITHOUT_REFERENCES &&
	    (!take_u8(c, &before_out->more) || before_out->more > MIME_MORE_ANY ||
	     !take_text(c, &before_out->references)))
		return false;
	if (!take_base128(c, &len) || len > cursor_left(c) ||
	    !take_octets(c, (size_t)len, &envelope))
		return false;
	*envelope_out = cursor_of(envelope);
	return true;
}

bool digest_decode_inner_envelope(struct slice octets, struct arena *arena,
				  struct mime_envelope *envelope_out)
{
	struct cursor c = cursor_of(octets);
	return take_envelope(&c, arena, envelope_out) && at_end(&c);
}

bool digest_decode_envelope(struct slice record, struct arena *arena,
			    struct mime_envelope *envelope_out)
{
	struct cursor c = cursor_of(record), envelope;
	return take_envelope_record(&c, envelope_out, &envelope) &&
	       take_envelope(&envelope, arena, envelope_out) && at_end(&envelope);
}

bool digest_decode_texts(struct slice record, struct mime_envelope *envelope_out)
{
	struct cursor c = cursor_of(record), at;
	return take_envelope_record(&c, envelope_out, &at) &&
	       take_envelope_texts(&at, envelope_out);
}

bool digest_find_addresses(struct slice record, enum digest_field field, struct slice *list_out)
{
	struct cursor c = cursor_of(record), at;
	struct mime_envelope texts;
	uint8_t same;
	if (!take_envelope_record(&c, &texts, &at) || !take_envelope_texts(&at, &texts) ||
	    !take_u8(&at, &same) || same >= SAME_BITS_END || !take_address_list(&at, list_out))
		return false;
	if (field == DIGEST_FROM)
		return true;
	bool found = ((same & SENDER_IS_FROM) || take_address_list(&at, list_out)) &&
		     ((same & REPLY_TO_IS_FROM) || take_address_list(&at, list_out));
	for (enum digest_field next = DIGEST_TO; found && next <= field; next++)
		found = take_address_list(&at, list_out);
	return found;
}

bool digest_decode_structure(struct slice record, struct arena *arena, struct mime_part **root_out)
{
	struct decoding d = { cursor_of(record), arena, MIME_MAX_PARTS };
	struct mime_envelope before;
	struct cursor envelope_at;
	return take_envelope_record(&d.c, &before, &envelope_at) &&
	       take_part(&d, 0, INT64_MAX, 1, root_out) && at_end(&d.c);
}

bool digest_decode(struct slice record, struct arena *arena, struct mime_part **root_out)
{
	struct mime_part *root;
	struct mime_envelope *envelope = arena_alloc(arena, sizeof(*envelope));
	if (!digest_decode_envelope(record, arena, envelope) ||
	    !digest_decode_structure(record, arena, &root))
		return false;
	root->envelope = envelope;
	*root_out = root;
	return true;
}
