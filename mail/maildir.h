/* mail/maildir.h - what a Maildir says in names and in Dovecot's small files: flags of a message,
 * names of folders (Maildir++), dovecot-uidlist, dovecot-keywords, subscriptions.
 *
 * Only text; the files are read and written in admin/maildir.h. All of it may come from a
 * stranger's disk: nothing is believed. Any thread. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"

/* The flags of a message; the values are those of storage/message.h, which a test compares. */
enum maildir_flag {
	MAILDIR_SEEN = 1,
	MAILDIR_ANSWERED = 2,
	MAILDIR_FLAGGED = 4,
	MAILDIR_DELETED = 8,
	MAILDIR_DRAFT = 16,
};
enum { MAILDIR_KEYWORDS = 26 }; /* that a name has letters for */

struct maildir_name {
	struct slice base; /* what never changes: up to the info */
	uint8_t flags;
	bool passed;	   /* P: resent, forwarded; $Forwarded in IMAP */
	uint32_t keywords; /* bit i: letter 'a' + i */
};
/* "1700000000.M1P2.host,S=12:2,FSab". Letters that mean nothing are left out. False: no message's
 * name (empty, or it begins with a dot). */
bool maildir_name_parse(struct slice file_name, struct maildir_name *name_out);
/* Appends ":2," and the letters in ASCII order. */
void maildir_info_format(const struct maildir_name *name, struct buffer *out);
/* The seconds that a name begins with by custom; 0 where it does not. */
uint32_t maildir_name_time(struct slice base);

/* A folder of a Maildir++ tree: ".Work.R&AOk-sum&AOk-" is the mailbox "Work/Résumé". Names that are
 * no modified UTF-7 but UTF-8 are taken as such (Dovecot's UTF-8 option). A '/' inside of a level
 * becomes '_'. False: no folder's name. Appends to `mailbox`. */
bool maildir_folder_decode(struct slice folder, struct buffer *mailbox);
/* And back, with the leading dot. False: the mailbox has a '.' in its name, which no Maildir++
 * folder can hold, or its name is too long for a file. */
bool maildir_folder_encode(struct slice mailbox, struct buffer *folder);

/* The first line of dovecot-uidlist, version 1 or 3. */
struct uidlist_header {
	uint32_t version, uidvalidity, uidnext;
};
struct uidlist_entry {
	uint32_t uid;
	struct slice base; /* of the file's name, without info */
};
bool uidlist_header_parse(struct slice line, struct uidlist_header *header_out);
bool uidlist_entry_parse(const struct uidlist_header *header, struct slice line,
			 struct uidlist_entry *entry_out);

/* A line of dovecot-keywords: "0 $Label1". */
bool maildir_keyword_parse(struct slice line, unsigned *index_out, struct slice *keyword_out);
/* May it be a keyword here: an atom (RFC 9051: flag-keyword) of at most 64 octets? */
bool maildir_keyword_is_usable(struct slice keyword);

/* A line of `subscriptions`, whose levels are names as folders have them: parted by tabs in
 * version 2, which starts with a line "V\t2" and an empty one, by dots in version 1. False: no
 * name. Appends the mailbox. */
bool subscription_decode(bool is_version_2, struct slice line, struct buffer *mailbox);
/* Appends a line of version 2; false, and nothing, where the mailbox's name is none. */
bool subscription_encode(struct slice mailbox, struct buffer *line);
