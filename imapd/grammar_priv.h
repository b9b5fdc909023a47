/* imapd/grammar_priv.h - the formal syntax of RFC 9051 section 9 and RFC 3501 section 9, one
 * take_ function a rule. Each succeeds and moves the cursor or takes nothing. In both.
 *
 * What is returned points into the command, or into `arena` where quoting had to be undone;
 * both live as long as the command. Everything is bounded by the command's length. */
#pragma once

#include "base/arena.h"
#include "base/ranges.h"
#include "imapd/framing_priv.h"

/* Characters of an atom; of an astring "]" too; of a list-mailbox also the wildcards. */
bool is_atom_char(uint8_t c);
bool is_astring_char(uint8_t c);

bool take_space(struct cursor *c); /* exactly one */
bool take_tag(struct cursor *c, struct slice *tag_out);
bool take_atom(struct cursor *c, struct slice *atom_out);
/* A word of ours, followed by a delimiter: "BODY" is not taken from "BODYSTRUCTURE", nor
 * "BODY" from "BODY.PEEK"; but it is from "BODY[". */
bool take_keyword(struct cursor *c, const char *word);
bool take_quoted(struct cursor *c, struct arena *arena, struct slice *text_out);
bool take_literal(struct cursor *c, struct slice *octets_out);
bool take_string(struct cursor *c, struct arena *arena, struct slice *text_out);
/* NIL gives SLICE_NONE; an empty string a slice whose ptr is not NULL. */
bool take_nstring(struct cursor *c, struct arena *arena, struct slice *text_out);
bool take_astring(struct cursor *c, struct arena *arena, struct slice *text_out);
/* list-mailbox = 1*list-char / string: the pattern of LIST, still in the wire's encoding. */
bool take_list_mailbox(struct cursor *c, struct arena *arena, struct slice *pattern_out);
/* The mailbox name in the store's form: UTF-8, INBOX in capitals. `utf8` says whether the wire
 * has UTF-8 (after ENABLE IMAP4rev2) or modified UTF-7. */
bool take_mailbox(struct cursor *c, struct arena *arena, bool utf8, struct slice *name_out);
bool mailbox_name_from_wire(struct slice wire, struct arena *arena, bool utf8,
			    struct slice *name_out);

bool take_number32(struct cursor *c, uint32_t *number_out);  /* number */
bool take_nz_number(struct cursor *c, uint32_t *number_out); /* nz-number */
bool take_number64(struct cursor *c, uint64_t *number_out);  /* number64: up to 2^63 - 1 */

/* sequence-set, not resolved yet: 0 stands for "*". In the order of the command. */
struct sequence_set {
	bool has_saved_result; /* "$", alone or last (RFC 9051 sections 6.4.4.1 and 9) */
	struct range *items;   /* first may be larger than last */
	size_t count;
};
bool take_sequence_set(struct cursor *c, struct arena *arena, struct sequence_set *set_out);
/* The numbers of the set, without "$"; `star` is what "*" stands for. */
void sequence_set_numbers(const struct sequence_set *set, uint32_t star,
			  struct ranges *numbers_out);

/* Flags as the store takes them. \Recent is no flag that a client may name. */
struct flag_list {
	uint8_t flags; /* enum message_flag */
	struct slice *keywords;
	size_t keyword_count;
};
bool take_flag_list(struct cursor *c, struct arena *arena, struct flag_list *list_out);
/* STORE: flag-list / (flag *(SP flag)) */
bool take_flags(struct cursor *c, struct arena *arena, struct flag_list *list_out);

/* section = "[" [section-spec] "]" */
struct section {
	uint32_t *part; /* section-part */
	size_t part_count;
	enum section_text {
		SECTION_WHOLE, /* [] or [1.2] */
		SECTION_HEADER,
		SECTION_HEADER_FIELDS,
		SECTION_HEADER_FIELDS_NOT,
		SECTION_TEXT,
		SECTION_MIME, /* only behind a section-part */
	} text;
	struct slice *fields; /* header-list, as written */
	size_t field_count;
};
bool take_section(struct cursor *c, struct arena *arena, struct section *section_out);
/* section-binary = "[" [section-part] "]": text is SECTION_WHOLE */
bool take_section_binary(struct cursor *c, struct arena *arena, struct section *section_out);
/* partial = "<" number64 "." nz-number64 ">" */
struct partial {
	uint64_t offset;
	uint64_t count; /* at least 1 */
};
bool take_partial(struct cursor *c, struct partial *partial_out);

/* date-time in its quotes, for APPEND; date, quoted or not, for SEARCH (days since 1970). */
bool take_date_time(struct cursor *c, int64_t *unix_out);
bool take_date(struct cursor *c, int32_t *day_out);
