/* mail/mime.h - the structure of a message, found in one pass while it arrives.
 *
 * RFC 2045, 2046, 2183, 2231 and 5322; broken mail as RFC 7103 advises: never an error, at
 * worst a part is taken as plain text or as octets. Works on pieces of any size, in memory
 * that does not grow with the message, only with its number of parts and the length of its
 * headers, both bounded (MIME_MAX_...): what lies beyond a bound is kept inside its parent as
 * octets. Any thread.
 *
 * Lines end with LF; a CR before it belongs to the line end. So the structure is the one that
 * a reader sees, whatever line ends an APPEND brought in; only `lines` is stricter. */
#pragma once

#include "base/arena.h"
#include "mail/address.h"

enum {
	MIME_MAX_PARTS = 10000,
	MIME_MAX_DEPTH = 100, /* of parts in parts; the root is at depth 1 */
	/* of one header that is looked at; what follows is only skipped */
	MIME_MAX_HEADER_OCTETS = 256 * 1024,
	/* of all fields of all headers that a result may hold; a field beyond counts as absent */
	MIME_MAX_KEPT_OCTETS = 4 * 1024 * 1024,
	MIME_MAX_PARAMETERS = 256, /* of one field; what follows is left out */
	/* of References, which is kept only where it is no longer */
	MIME_MAX_REFERENCES_OCTETS = 1000,
};

struct mime_parameter {
	struct slice name; /* lower case; RFC 2231 continuations joined, without "*" and number */
	/* Unquoted. RFC 2231's percent encoding is kept: the name is "name*" then. */
	struct slice value;
};
/* Parses what follows the first word of a structured field: *( ";" attribute "=" value ).
 * Never fails; what is no parameter is left out. `text` is unfolded (header_unfold); the result
 * may point into it. */
struct mime_parameter *mime_parameters_parse(struct slice text, struct arena *arena,
					     size_t *count_out);

/* Fields of which the header has more than the envelope tells: a second one of that name, or what
 * lies beyond a bound. Bits. */
enum mime_more {
	MIME_MORE_SUBJECT = 1,
	MIME_MORE_MESSAGE_ID = 2,
	MIME_MORE_IN_REPLY_TO = 4,
	MIME_MORE_REFERENCES = 8,
	MIME_MORE_ANY = 15,
};

/* Where a slice's ptr is NULL the field was absent: IMAP says NIL then, and "" otherwise. A
 * field that comes twice counts once, the first. Nothing in it holds NUL, CR or LF. */
struct mime_envelope {
	struct slice date, subject; /* unfolded, else as stored (RFC 9051 section 7.5.2) */
	struct header_address *from, *sender, *reply_to, *to, *cc, *bcc;
	size_t from_count, sender_count, reply_to_count, to_count, cc_count, bcc_count;
	struct slice in_reply_to, message_id;
	/* For searching; a message inside has them only as the parser made it, not from a record. */
	struct slice references;
	uint8_t more; /* enum mime_more */
	/* sender and reply_to already hold from's addresses where the field is absent or empty. */
};

struct mime_part {
	/* Offsets from the start of the whole message, in octets. */
	uint64_t header_start; /* of the part's MIME header; of the message header for the root */
	uint64_t body_start;   /* behind the empty line */
	uint64_t body_end;     /* before the CRLF that belongs to the next boundary */
	uint64_t lines;	       /* of the body: how many CRLF are in it */
	/* Lower case. "text" "plain" with charset=us-ascii where none or nonsense is given (RFC 2045
	 * section 5.2), in a multipart/digest "message" "rfc822" where none is given. A multipart
	 * without a boundary is "text" "plain". Where a multipart or message is not looked into, since
	 * a bound is reached or the message is encoded (which RFC 2046 section 5.2.1 forbids), it is
	 * "application" "octet-stream". */
	struct slice type, subtype;
	struct mime_parameter *parameters;
	size_t parameter_count;
	struct slice id, description, md5, language, location;
	struct slice encoding;	  /* lower case, "7bit" where none */
	struct slice disposition; /* lower case; ptr NULL: none */
	struct mime_parameter *disposition_parameters;
	size_t disposition_parameter_count;
	/* multipart/...: children, at least one (an empty multipart counts as one empty text/plain).
	 * message/rfc822 and message/global: one child, the message in it, with its envelope. */
	struct mime_part *first_child, *next_sibling;
	/* Of a message: the root, and the child of a message/rfc822. Else NULL. */
	struct mime_envelope *envelope;
};
bool mime_is_multipart(const struct mime_part *part);
bool mime_is_message(const struct mime_part *part); /* message/rfc822 or message/global, parsed */
/* The value of the first parameter of Content-Type with that name; false where there is none. */
bool mime_parameter_find(const struct mime_part *part, struct slice name, struct slice *value_out);
/* The part of a section number "1.2.3" (RFC 9051 section 6.4.5.1), digits only, from the root;
 * NULL where there is none. No numbers: the root. */
const struct mime_part *mime_find_part(const struct mime_part *root, const uint32_t *numbers,
				       size_t count);

struct mime_parser;
/* The result and everything in it lives in `arena`. */
struct mime_parser *mime_parser_new(struct arena *arena);
void mime_parser_feed(struct mime_parser *parser, struct slice octets);
/* The end of the message. Frees the parser and gives the root. */
struct mime_part *mime_parser_finish(struct mime_parser **parser);
/* Gives up. Accepts NULL, leaves NULL. */
void mime_parser_free(struct mime_parser **parser);
