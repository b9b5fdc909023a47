/* storage/layout_priv.h - how the store is laid out: databases, keys, records.
 *
 * Keys are big-endian, so that order means something; numbers in values are big-endian too.
 * Every value starts with RECORD_VERSION. be32 and be64 are numbers, be40 a signed one of five
 * octets (seconds) or an unsigned one (sizes); a block is be32 length and octets.
 *
 * database      key                              value behind the version octet
 * ------------  -------------------------------  -------------------------------------------------
 * (unnamed)     "!bode"                          be32 STORE_FORMAT, be64 created (Unix seconds)
 * (unnamed)     "!head"                          be64 stamp of the last commit, be64 octets of the
 *                                                file before it, be32 next account, be64 next
 *                                                mailbox, be64 next blob, be32 last UIDVALIDITY
 * domain        name                             be64 created; version 2, where it says more: u8 flags
 *                                                (1: hides clients), u8 enum domain_senders, block
 *                                                domain that it is another name of
 * account       account be32                     be64 MODSEQ, quota octets, quota messages, used
 *                                                octets, used messages; be32 mailboxes; block
 *                                                login, block password hash; version 2, where it
 *                                                says more: u8 enum account_flag
 * address       domain NUL local                 be32 account (0: alias), be32 count, blocks targets;
 *               (no local: the catch-all)        version 2, a list: u8 enum list_post, be32 count,
 *                                                blocks posters
 * mailbox-name  account be32, name               be64 mailbox (0: only subscribed), u8 subscribed,
 *                                                u8 special use
 * mailbox       mailbox be64, ROW_RECORD         be32 account, UIDVALIDITY, UIDNEXT, recent from;
 *                                                be64 highest and pruned MODSEQ; be32 messages,
 *                                                unseen, deleted; be64 size, created; u8 special
 *                                                use; be32 rows and be64 octets of the change log;
 *                                                block name; u8 count, blocks keywords
 * (same)        mailbox be64, ROW_CHANGE,        u8 enum change_kind; be32 first, be32 last UID of
 *               MODSEQ be64                      each run; CHANGE_FLAGS: u8 flags and be64 keywords that
 *                                                changed in any of them, then the runs
 * (same)        mailbox be64, ROW_ENTRY,         u8 flags, be64 blob, be64 MODSEQ, be40 internal
 *               UID be32                         date, be40 save date, be40 size, be64 keywords,
 *                                                be64 thread
 * (same)        mailbox be64, ROW_SOURCE,        be32 UID, u8 enum source_form: what an import
 *               name of the original (16)        has brought, under the name it had there
 * (same)        mailbox be64, ROW_GAPS,          u8 enum gaps_form; runs: be32 first, be32 last UID of
 *               be32 UID / 8192                  each; bitmap: 1,024 octets, bit i % 64 of be64
 *                                                i / 64. UIDs that hold no message any more (gaps.c)
 * blob          blob be64, be32 (chunk << 8 |    the chunk: u8 version, be16 dictionary (0: none),
 *               piece)                           be32 raw octets, the frame. In versions 2 and 4 there
 *                                                are runs of base64 (base64_runs.c): before the frame,
 *                                                be16 count, of each be16 text before it, be16 length
 *                                                of its lines, be16 number of them; be32 length of the
 *                                                text's frame, be32 checksum of all so far; behind it
 *                                                the frame of the runs' octets. Frames are zstd's with
 *                                                their checksum; that of the text is one of
 *                                                text_frame.c since version 3. Cut into pieces
 *                                                (chunk.c), so only piece 0 has a version
 * dictionary    number be16 (from 1)             be64 made (Unix seconds), bodies that there were then,
 *                                                checksum of the octets; the octets
 * dictionary-   as above                         the same again, since all texts hang on them: in a
 * copy                                           tree of its own, so no page leads to both
 * digest        blob be64                        be16 0, be32 raw octets, be40 size of the
 *                                                message; since version 2: be32 checksum, block text
 *                                                of the structure (mail/structure_text.c); one zstd
 *                                                frame with its checksum (mail/digest.c), in
 *                                                version 3, where that would save too little
 *                                                (digest_record.c), be32 checksum and the octets in
 *                                                the clear
 * reference     blob be64                        be64 count; only where it is above 1
 * garbage       u8 enum garbage_kind, be64 id    be64 not before (Unix seconds)
 * expunged      account be32, EXPUNGED_MAILBOX,  be64 last expunge (Unix seconds), u8 deleted as a
 *               mailbox be64                     whole; block name; u8 count, blocks keywords
 * (same)        account be32, EXPUNGED_MESSAGE,  as the mailbox's ROW_ENTRY was
 *               be64 expunged (Unix seconds),
 *               mailbox be64, UID be32
 * pending       blob be64                        u8 enum pending_owner, be64 started, be32 chunks
 * queue         QUEUE_ROW_NEXT                   be64 number of the next entry
 * (same)        QUEUE_ROW_ENTRY, entry be64      u8 flags; be64 blob, size; be32 account; be64 arrived
 *                                                (Unix seconds), next (ms); be32 attempts made; block
 *                                                destination; be16 count, attempts: be64 Unix
 *                                                seconds, blocks remote, words; block envelope
 *                                                (runtime/envelope.h); block forwarder, where a
 *                                                flag says so
 * (same)        QUEUE_ROW_DUE, destination,      nothing: when an entry is looked at
 *               NUL, u8 rank (9 - priority),
 *               be64 next (ms), entry be64
 * (same)        QUEUE_ROW_SECRET                 32 octets, random: the key of SRS addresses
 * journal       number be64, ascending           be64 time (Unix milliseconds); events, each its
 *                                                length (be16) and octets
 *                                                (runtime/journal_event.c)
 * journal-index first row's number be64,         header: be64 last row's number, be64 time of the
 *               PART_HEADER, be32 0              newest row (Unix milliseconds)
 * (same)        first row's number be64, u8      be32 mark and be16 offset of its row, each, in
 *               enum journal_part, be32 mark     order: see storage/journal_index_priv.h
 * submission    account be32, SUBMISSION_DAY     be32 day since 1970, messages, new recipients of it
 * (same)        account be32, SUBMISSION_LIMITS  be32 messages, be32 new recipients a day
 * (same)        account be32, SUBMISSION_SENDER, nothing: the account may send as that
 *               address, "@domain" or "*"
 * (same)        account be32,                    be32 day of the first message to that address
 *               SUBMISSION_RECIPIENT, address
 * (same)        account be32,                    be64 when (Unix seconds), block words: the account
 *               SUBMISSION_SUPPRESSED, address   had better not write to that address
 * annotation    account be32, mailbox be64       the value
 *               (0: the account's own), name
 * acl           ACL_ROW_ENTRY, mailbox be64, u8  be16 enum acl_right
 *               takes them away, account be32
 *               (0: anyone)
 * (same)        ACL_ROW_SHARED, account be32,    nothing: the mailbox's list has an entry for that
 *               owner be32, mailbox be64         account
 * remote        REMOTE_POLICY, domain            be64 fetched, be64 expires (Unix seconds), block id,
 *                                                block text: a policy of MTA-STS
 * (same)        REMOTE_LEVEL, domain             u8 level | proven by << 2 | lost to << 4,
 *                                                be64 reached, be64 lost (Unix seconds)
 * (same)        REMOTE_RESULT, be32 day,         be64 count, block what happened
 *               domain, NUL, fingerprint (8)
 * (same)        REMOTE_REPORTED                  be64 last day that was told of
 *
 * What was expunged still refers to its blob, until its time is over (expunged.c). So do the entries
 * of a mailbox that was deleted as a whole: they stay where they are, without a ROW_RECORD, as long
 * as the mailbox's row in `expunged` says so, and then as garbage.
 *
 * A mailbox's rows lie side by side, so that a commit that files one message in it dirties one
 * leaf. The head is in the unnamed database, whose leaf every commit writes anyhow. A new kind
 * of record gets a new version octet and is read beside the old one; STORE_FORMAT changes only
 * when an older Bode must not touch the store any more, and migration.c leads from each to the
 * next. */
#pragma once

#include "base/buffer.h"
#include "base/octets.h"
#include "storage/account.h"
#include "storage/message.h"
#include "storage/source.h"

enum { STORE_FORMAT = 15, RECORD_VERSION = 1 };

enum database {
	DB_MAIN, /* the unnamed one */
	DB_DOMAIN,
	DB_ACCOUNT,
	DB_ADDRESS,
	DB_MAILBOX_NAME,
	DB_MAILBOX,
	DB_BLOB,
	DB_DIGEST,
	DB_REFERENCE,
	DB_GARBAGE,
	DB_PENDING,
	DB_EXPUNGED, /* since format 2 */
	DB_QUEUE,    /* since format 3 */
	DB_JOURNAL,  /* since format 4 */
	DB_JOURNAL_INDEX,
	DB_SUBMISSION, /* since format 6 */
	DB_ANNOTATION, /* since format 7 */
	DB_ACL,	       /* since format 10 */
	DB_REMOTE,     /* since format 11 */
	DB_DICTIONARY, /* since format 14 */
	DB_DICTIONARY_COPY,
	DB_COUNT,
};

enum mailbox_row_kind {
	ROW_RECORD = 0,
	ROW_CHANGE = 1,
	ROW_ENTRY = 2,
	ROW_SOURCE = 3,
	ROW_GAPS = 4
};
/* CHANGE_TOUCHED: arrived, or (of a store older than format 9) the flags changed. */
enum change_kind { CHANGE_TOUCHED = 1, CHANGE_VANISHED = 2, CHANGE_FLAGS = 3 };
enum gaps_form { GAPS_RUNS = 1, GAPS_BITMAP = 2 };
/* GARBAGE_EXPUNGED: what is left of an account that is no more, all that was expunged and what it
 * submitted; the id is the account's. */
enum garbage_kind { GARBAGE_MAILBOX = 1, GARBAGE_BLOB = 2, GARBAGE_EXPUNGED = 3 };
enum expunged_kind { EXPUNGED_MAILBOX = 1, EXPUNGED_MESSAGE = 2 };
enum submission_kind {
	SUBMISSION_DAY = 1,
	SUBMISSION_LIMITS = 2,
	SUBMISSION_SENDER = 3,
	SUBMISSION_RECIPIENT = 4,
	SUBMISSION_SUPPRESSED = 5,
};
enum remote_kind { REMOTE_POLICY = 1, REMOTE_LEVEL = 2, REMOTE_RESULT = 3, REMOTE_REPORTED = 4 };
enum pending_owner { PENDING_SERVER = 1, PENDING_ADMIN = 2 };

enum {
	KEY_MAX_OCTETS = 511, /* what LMDB was built for */
	DOMAIN_MAX_OCTETS = 255,
	LOCAL_MAX_OCTETS = 192, /* 64 as written; folding the case may treble them */
	RUN_OCTETS = 8,		/* of a change record */
	ENTRY_OCTETS = 1 + 1 + 8 + 8 + 5 + 5 + 5 + 8 + 8,
	GARBAGE_OCTETS = 1 + 8,
};

/* A key being built; key_slice() hands it on. */
struct key {
	uint8_t octets[KEY_MAX_OCTETS + 1];
	size_t len;
};
static inline struct slice key_slice(const struct key *key)
{
	return slice_of(key->octets, key->len);
}
void key_add_be32(struct key *key, uint32_t number);
void key_add_be64(struct key *key, uint64_t number);
void key_be32(struct key *key, uint32_t number);
void key_be64(struct key *key, uint64_t number);
/* False: too long for a key; nothing is in it then. */
bool key_mailbox_name(struct key *key, uint32_t account_id, struct slice name);
bool key_address(struct key *key, struct slice local, struct slice domain);
void key_mailbox_row(struct key *key, uint64_t mailbox_id, enum mailbox_row_kind kind);
void key_change(struct key *key, uint64_t mailbox_id, uint64_t modseq);
void key_entry(struct key *key, uint64_t mailbox_id, uint32_t uid);
void key_source(struct key *key, uint64_t mailbox_id, const struct source_name *name);
void key_gaps(struct key *key, uint64_t mailbox_id, uint32_t block);
void key_piece(struct key *key, uint64_t blob_id, uint32_t chunk, uint32_t piece);
void key_expunged_mailbox(struct key *key, uint32_t account_id, uint64_t mailbox_id);
void key_expunged(struct key *key, uint32_t account_id, int64_t expunged_unix, uint64_t mailbox_id,
		  uint32_t uid);
/* What the keys of expunged messages and of their mailboxes say. False: it is no such key. */
struct expunged_key {
	uint32_t account_id;
	int64_t expunged_unix;
	uint64_t mailbox_id;
	uint32_t uid;
};
bool key_take_expunged(struct slice key, struct expunged_key *key_out);
bool key_take_expunged_mailbox(struct slice key, uint32_t *account_id_out,
			       uint64_t *mailbox_id_out);
void key_garbage(struct key *key, enum garbage_kind kind, uint64_t id);
/* True where `key` is a row of that kind; what is behind the kind's octet goes to `rest_out`. */
bool key_is_row(struct slice key, uint64_t mailbox_id, enum mailbox_row_kind kind,
		struct slice *rest_out);

/* What the next numbers are, and which commit wrote them. */
struct head {
	uint64_t stamp;	      /* random, of the batch that wrote it */
	uint64_t file_octets; /* the file had at least this size then */
	uint32_t next_account_id;
	uint64_t next_mailbox_id;
	uint64_t next_blob_id;
	uint32_t last_uidvalidity;
};

/* The contract's structures and what of the record only storage/ knows. */
struct account_row {
	struct account account;
	uint32_t mailboxes;
};
struct mailbox_record {
	struct mailbox mailbox;
	uint32_t log_rows; /* of the change log */
	uint64_t log_octets;
};
struct name_row {
	uint64_t mailbox_id;
	bool subscribed;
	enum special_use special_use;
};
struct change {
	enum change_kind kind;
	uint8_t flags; /* CHANGE_FLAGS: which changed */
	uint64_t keywords;
	struct slice runs; /* RUN_OCTETS each: be32 first, be32 last UID */
};
struct garbage_row {
	int64_t not_before_unix;
};
struct expunged_mailbox {
	int64_t last_unix; /* when the last of its messages went, or the whole mailbox */
	bool is_deleted;   /* as a whole: its entries are still in `mailbox` */
	struct slice name;
	struct slice keywords[MAILBOX_KEYWORDS_MAX]; /* as in struct mailbox */
	size_t keyword_count;
};
struct pending_row {
	enum pending_owner owner;
	int64_t started_unix;
	uint32_t chunks;
};

/* Encoders write into an empty buffer. Decoders trust nothing: false where the record is
 * damaged. Decoded slices point into the record. */
void head_encode(const struct head *head, struct buffer *out);
bool head_decode(struct slice record, struct head *head_out);
void account_encode(const struct account_row *row, struct buffer *out);
bool account_decode(struct slice record, uint32_t account_id, struct account_row *row_out);
void mailbox_encode(const struct mailbox_record *row, struct buffer *out);
bool mailbox_decode(struct slice record, uint64_t mailbox_id, struct mailbox_record *row_out);
void change_encode(const struct change *change, const struct ranges *uids, struct buffer *out);
bool change_decode(struct slice record, struct change *change_out);
void name_encode(const struct name_row *row, struct buffer *out);
bool name_decode(struct slice record, struct name_row *row_out);
void entry_encode(const struct message_entry *entry, uint8_t out[ENTRY_OCTETS]);
bool entry_decode(struct slice record, uint32_t uid, struct message_entry *entry_out);
void garbage_encode(const struct garbage_row *row, uint8_t out[GARBAGE_OCTETS]);
bool garbage_decode(struct slice record, struct garbage_row *row_out);
void expunged_mailbox_encode(const struct expunged_mailbox *row, struct buffer *out);
bool expunged_mailbox_decode(struct slice record, struct expunged_mailbox *row_out);
void pending_encode(const struct pending_row *row, struct buffer *out);
bool pending_decode(struct slice record, struct pending_row *row_out);
/* A record that is a version octet and one number. */
void number_encode(uint64_t number, struct buffer *out);
bool number_decode(struct slice record, uint64_t *number_out);

/* Unsigned and signed numbers of five octets. What does not fit becomes the nearest that does. */
void put_be40(uint8_t *at, uint64_t number);
uint64_t get_be40(const uint8_t *at);
void put_signed_be40(uint8_t *at, int64_t number);
int64_t get_signed_be40(const uint8_t *at);
