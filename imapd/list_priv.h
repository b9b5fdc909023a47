/* imapd/list_priv.h - what LIST, STATUS and SELECT share: patterns, LIST and STATUS lines. */
#pragma once

#include "imapd/session_priv.h"
#include "storage/mailbox.h"

enum { PATTERN_MAX_OCTETS = 1024 };

/* A canonical LIST pattern: "*" matches anything, "%" anything but the separator; INBOX in any
 * case. Patterns longer than PATTERN_MAX_OCTETS match nothing. Time is bounded by the product
 * of both lengths. */
bool list_pattern_matches(struct slice pattern, struct slice name);
/* Runs of wildcards become one: the same matches for less work. In place. */
size_t list_pattern_simplify(uint8_t *pattern, size_t len);

/* The LIST line of the mailbox just selected (RFC 9051 section 6.3.2); with OLDNAME where it was asked for
 * by another form of its name. */
void list_respond_selected(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
			   struct slice asked_for);

/* One more in the parentheses that `out` ends in. */
void list_add_attribute(struct buffer *out, const char *attribute);
/* Behind the name: SP "(" OLDNAME ")" (RFC 9051 section 6.3.9.7). */
void list_add_old_name(struct buffer *out, struct slice name, bool utf8);

/* A mailbox has got another name: LIST with OLDNAME (RFC 9051 section 6.3.9.7). */
void list_respond_renamed(struct imap_session *s, struct slice from, struct slice to);

/* list_news.c: one name, as it is now, whether it is a mailbox or not; with OLDNAME where
 * `old_name` is not empty. Says nothing where the store fails (read_failure()). `others` NULL: one's own;
 * else those of others that may be looked up. */
struct access_list;
void list_respond_news(struct imap_session *s, struct read *read, struct slice name,
		       struct slice old_name, const struct access_list *others);

/* Whether any of the account's own rows below that name counts. */
bool list_has_below(struct read *read, uint32_t account_id, struct slice name,
		    bool (*counts)(const struct mailbox_row *row));
/* Whether the account has subscribed to that name or to any below it. */
bool list_has_subscribed(struct read *read, uint32_t account_id, struct slice top);

/* special_use.c: use-attr of RFC 6154 section 6, "\\Sent"; NULL for USE_NONE. */
const char *special_use_name(enum special_use use);
/* USE_NONE: no mailbox here can have that use. */
enum special_use special_use_of(struct slice attribute);

/* status-att, as bits */
enum status_item {
	STATUS_MESSAGES = 1,
	STATUS_UIDNEXT = 2,
	STATUS_UIDVALIDITY = 4,
	STATUS_UNSEEN = 8,
	STATUS_DELETED = 16,
	STATUS_SIZE = 32,
	STATUS_RECENT = 64,	    /* RFC 3501 */
	STATUS_HIGHESTMODSEQ = 128, /* RFC 7162: enables CONDSTORE */
	STATUS_APPENDLIMIT = 256,
	STATUS_DELETED_STORAGE = 512,
	STATUS_MAILBOXID = 1024, /* RFC 8474 */
};
/* "(" status-att *(SP status-att) ")" */
bool take_status_items(struct cursor *c, unsigned *items_out);
/* The octets of a mailbox's messages with \Deleted (RFC 9208 section 4.1.4), which only its entries
 * tell: counted a part at a time. Zero-initialised: of none. */
struct deleted_count {
	uint64_t mailbox_id;
	uint32_t next_uid;
	uint32_t left; /* messages that are still to be met */
	uint64_t octets;
};
/* False: about a millisecond has passed, and there are more; to be called again. Begins anew where
 * the mailbox is another than before. */
bool count_deleted(struct deleted_count *count, struct read *read,
		   const struct mailbox *mailbox) MUST_USE;
/* The whole STATUS line, on s->session.out. `deleted` may be NULL where STATUS_DELETED_STORAGE is not
 * among the items. */
void respond_status(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
		    unsigned items, const struct deleted_count *deleted);
