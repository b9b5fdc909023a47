/* imapd/section_priv.h - which octets of a message a client means: BODY[1.HEADER]<0.1000>.
 *
 * RFC 9051 section 6.4.5.1. Sections are parsed into the command's arena, resolved against
 * the structure (mail/mime.h) to a range of the stored message, and echoed in the answer. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "mail/mime.h"

enum section_kind {
	SECTION_PART, /* the part's body, or with no number the whole message */
	SECTION_HEADER,
	SECTION_FIELDS,	    /* HEADER.FIELDS (...) */
	SECTION_FIELDS_NOT, /* HEADER.FIELDS.NOT (...) */
	SECTION_TEXT,
	SECTION_MIME,
};

struct section {
	enum section_kind kind;
	uint32_t *numbers; /* "1.2": 1, 2 */
	size_t number_count;
	struct slice *names; /* of the fields, as the client wrote them */
	size_t name_count;
	bool is_partial;
	uint64_t partial_offset, partial_octets;
};

/* "[" [section-spec] "]" and "[" [section-part] "]". Take nothing on failure. */
bool take_section(struct cursor *c, struct arena *arena, struct section *section_out);
bool take_section_binary(struct cursor *c, struct arena *arena, struct section *section_out);
/* [partial]: true also where there is none; false, taking nothing, where it is malformed. */
bool take_partial(struct cursor *c, struct section *section);

/* "[1.HEADER.FIELDS (DATE)]<0>": as an answer names it, the origin octet only if one was
 * asked for. `utf8` as in wire_priv.h. */
void section_render(struct buffer *out, const struct section *section, bool utf8);

struct octet_range {
	uint64_t start, end; /* offsets in the stored message; start <= end */
};
/* Where the section lies, before its fields are filtered and its partial taken. False where
 * the message has no such section: an answer says NIL. `part_out` (may be NULL) gets the part
 * whose content SECTION_PART means; NULL for the whole message. `root` may be NULL only for
 * the whole message, of `size_octets`. */
bool section_resolve(const struct section *section, const struct mime_part *root,
		     uint64_t size_octets, struct octet_range *range_out,
		     const struct mime_part **part_out);
/* The octets of `range` that the partial asks for. */
struct octet_range section_clip(const struct section *section, struct octet_range range);
/* Appends those fields of `header` that the section selects, then an empty line if the header
 * has one or `has_body` says that something follows it. */
void section_filter_fields(const struct section *section, struct slice header, bool has_body,
			   struct buffer *out);
