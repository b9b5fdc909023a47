/* imapd/search_keys_priv.h - what a SEARCH asks for, as a tree of keys.
 *
 * Parsed into the command's arena, bound to the selected mailbox (sequence numbers become
 * UIDs, keywords become bits), then only read, so that a worker thread may use it. */
#pragma once

#include "imapd/comparator_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/search_needle_priv.h"

struct imap_view;
struct mailbox;

enum search_kind {
	SEARCH_ALL,
	SEARCH_UIDS, /* sequence-set, UID sequence-set, RECENT */
	SEARCH_FLAG, /* ANSWERED and its like */
	SEARCH_KEYWORD,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_MODSEQ,	 /* that or higher (RFC 7162 section 3.1.5) */
	SEARCH_SAVED,	 /* SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514) */
	SEARCH_AGE,	 /* OLDER, YOUNGER (RFC 5032) */
	SEARCH_OBJECT,	 /* EMAILID, THREADID (RFC 8474) */
	SEARCH_DATE,	 /* BEFORE, ON, SINCE: the internal date */
	SEARCH_SENT,	 /* SENTBEFORE, SENTON, SENTSINCE: the Date field */
	SEARCH_ENVELOPE, /* SUBJECT, FROM, ...: a field that the digest holds */
	SEARCH_HEADER,
	SEARCH_BODY,
	SEARCH_TEXT,
	SEARCH_AND, /* of its children; the parenthesized list and the whole program */
	SEARCH_OR,
	SEARCH_NOT, /* of its one child */
};

/* What a key needs to know of a message, the cheapest first. */
enum search_cost {
	COST_ENTRY,  /* flags, dates, sizes: 20 ns */
	COST_DIGEST, /* the envelope: 2 us */
	COST_BODY,   /* the message itself: from 50 us on */
};

enum search_when { WHEN_BEFORE, WHEN_ON, WHEN_SINCE };

enum search_field {
	FIELD_SUBJECT,
	FIELD_FROM,
	FIELD_TO,
	FIELD_CC,
	FIELD_BCC,
	FIELD_MESSAGE_ID,
	FIELD_IN_REPLY_TO,
	FIELD_REFERENCES,
};
static inline bool search_field_is_address(enum search_field field)
{
	return field == FIELD_FROM || field == FIELD_TO || field == FIELD_CC || field == FIELD_BCC;
}

struct search_key {
	enum search_kind kind;
	enum search_cost cost; /* the greatest of its own and its children's */
	bool is_required;      /* no message is found that does not match it */
	union {
		struct {
			struct sequence_set set;
			bool uid, is_recent;
			struct ranges uids; /* once bound; in no arena: search_program_fini() */
		} numbers;
		uint8_t flag; /* enum message_flag */
		struct {
			struct slice name;
			uint64_t bit; /* once bound; 0: no message has it */
		} keyword;
		uint64_t size_octets;
		uint64_t modseq;
		struct {
			bool is_younger;
			int64_t unix_seconds; /* the moment that the interval begins at */
		} age;
		struct {
			bool is_thread;
			uint64_t number; /* 0: no message has it */
		} object;
		struct {
			enum search_when when;
			int32_t day; /* since 1970-01-01 */
		} date;
		struct {
			enum search_field field;
			struct slice header_name; /* SEARCH_HEADER */
			/* The first such field is `field` of the envelope, which says where there is more. */
			bool is_in_digest;
			/* word: needle_word(), or needle_address_word() where the field is one of
			 * addresses; in which case too. */
			struct needle needle, word;
			size_t text_index; /* SEARCH_BODY, SEARCH_TEXT: of program->texts */
		} text;
	};
	struct search_key *first_child, *next;
	struct search_key *next_numbers; /* all SEARCH_UIDS of the program */
};

enum {
	SEARCH_DEPTH_MAX = 50,	  /* of NOT, OR and parentheses */
	SEARCH_KEYS_MAX = 1000,	  /* all kinds */
	SEARCH_STRINGS_MAX = 100, /* those with a string */
	/* Of all sets of messages that a bound program holds, before its last: 8 MiB. */
	SEARCH_RUNS_MAX = 1024 * 1024,
	/* Of the view that are looked at while sets are bound, at a time: about a millisecond. */
	SEARCH_BIND_RUNS = 256 * 1024,
	/* How many of these are not too much to bind all at once. */
	SEARCH_BIND_SLICES_MAX = 8,
};

struct search_program {
	enum comparator comparator; /* of its strings: set before it is parsed */
	struct search_key *root;    /* SEARCH_AND */
	/* BODY and TEXT keys, for one look at each message. */
	struct search_key *texts[SEARCH_STRINGS_MAX];
	size_t text_count;
	struct search_key *numbers;
	struct search_key *unbound;    /* of those: the first that is still to be bound */
	bool has_modseq;	       /* the result is to bear MODSEQ */
	bool has_age;		       /* what matches changes with the time */
	bool is_kept;		       /* UIDs and RECENT are about messages to come, too */
	struct slice undefined_filter; /* after SEARCH_NO_FILTER */
};

enum search_parsed {
	SEARCH_PARSED,
	SEARCH_MALFORMED,      /* BAD */
	SEARCH_NO_CHARSET,     /* NO [BADCHARSET] */
	SEARCH_TOO_COMPLEX,    /* NO [LIMIT] */
	SEARCH_NO_FILTER,      /* NO [UNDEFINED-FILTER name] */
	SEARCH_NO_CHARSETS,    /* BAD: CHARSET_NONE, and one is named */
	SEARCH_FILTER_CHARSET, /* BAD [BADCHARSET]: a filter is in UTF-8 */
};
enum charset_form {
	CHARSET_NAMED, /* SEARCH: ["CHARSET" SP charset SP] */
	CHARSET_FIRST, /* SORT, THREAD: charset SP */
	CHARSET_NONE,  /* SEARCH after ENABLE UTF8=ACCEPT: all is UTF-8 (RFC 6855 section 3) */
};
/* Where the named filters of the client are looked up (RFC 5466). */
struct search_filters {
	/* The filter's search keys, in `arena`; `name` in small letters. */
	bool (*get)(struct search_filters *filters, struct slice name, struct arena *arena,
		    struct slice *keys_out);
};
/* search-program: the charset, search-key *(SP search-key), to the end of the command. Reads
 * program_out->comparator. */
enum search_parsed take_search_program(struct cursor *c, enum charset_form form,
				       struct search_filters *filters, struct arena *arena,
				       struct search_program *program_out);

/* ---- the program (search_program.c) ---- */

/* Whether it names messages by sequence numbers. */
bool search_program_has_seqnums(const struct search_program *program);
/* The highest n of its sets of UIDs "n:*"; UINT32_MAX for "*" alone, 0 where there is none. While
 * all messages are below n, such a set is the last of them, whichever that is. */
uint32_t search_program_open_from(const struct search_program *program);
/* Binds the tree to the mailbox, a part at a time, since a thousand sets of a mailbox with many gaps
 * take a while; `mailbox` gives its keywords. The view stays as it is meanwhile. Sequence numbers
 * beyond its end match nothing. */
void search_program_bind_begin(struct search_program *program, const struct mailbox *mailbox);
enum search_binding {
	BINDING_DONE,
	BINDING_MORE,	   /* about a millisecond has passed: to be called again */
	BINDING_TOO_LARGE, /* its sets would have more than `runs_max` runs, beside the last */
};
enum search_binding search_program_bind_more(struct search_program *program,
					     const struct imap_view *view,
					     uint64_t runs_max) MUST_USE;
/* All at once, where that is not too much: false otherwise, and where the sets are too large. */
bool search_program_bind(struct search_program *program, const struct imap_view *view,
			 const struct mailbox *mailbox, uint64_t runs_max) MUST_USE;
/* How many runs its sets have. */
uint64_t search_program_runs(const struct search_program *program);
/* Of that only the keywords. */
void search_program_bind_keywords(struct search_program *program, const struct mailbox *mailbox);
/* Accepts a program that is all zero. */
void search_program_fini(struct search_program *program);
