/* storage/layout.c - keys and records, encoded and decoded. The table of them all stands in
 * storage/layout_priv.h. Runs in the back, and in the admin's process. */
#include "storage/layout_priv.h"

#include <assert.h>

static void key_add(struct key *key, const void *octets, size_t len)
{
	assert(key->len + len <= sizeof(key->octets));
	if (len)
		memcpy(key->octets + key->len, octets, len);
	key->len += len;
}

void key_add_be32(struct key *key, uint32_t number)
{
	put_be32(key->octets + key->len, number);
	key->len += 4;
}

void key_add_be64(struct key *key, uint64_t number)
{
	put_be64(key->octets + key->len, number);
	key->len += 8;
}

void key_be32(struct key *key, uint32_t number)
{
	key->len = 0;
	key_add_be32(key, number);
}

void key_be64(struct key *key, uint64_t number)
{
	key->len = 0;
	key_add_be64(key, number);
}

bool key_mailbox_name(struct key *key, uint32_t account_id, struct slice name)
{
	key->len = 0;
	if (name.len > MAILBOX_NAME_MAX_OCTETS)
		return false;
	key_add_be32(key, account_id);
	key_add(key, name.ptr, name.len);
	return true;
}

bool key_address(struct key *key, struct slice local, struct slice domain)
{
	key->len = 0;
	if (domain.len > DOMAIN_MAX_OCTETS || local.len > LOCAL_MAX_OCTETS)
		return false;
	key_add(key, domain.ptr, domain.len);
	key_add(key, "", 1);
	key_add(key, local.ptr, local.len);
	return true;
}

void key_mailbox_row(struct key *key, uint64_t mailbox_id, enum mailbox_row_kind kind)
{
	key_be64(key, mailbox_id);
	key->octets[key->len++] = (uint8_t)kind;
}

void key_change(struct key *key, uint64_t mailbox_id, uint64_t modseq)
{
	key_mailbox_row(key, mailbox_id, ROW_CHANGE);
	key_add_be64(key, modseq);
}

void key_entry(struct key *key, uint64_t mailbox_id, uint32_t uid)
{
	key_mailbox_row(key, mailbox_id, ROW_ENTRY);
	key_add_be32(key, uid);
}

void key_gaps(struct key *key, uint64_t mailbox_id, uint32_t block)
{
	key_mailbox_row(key, mailbox_id, ROW_GAPS);
	put_be32(key->octets + key->len, block);
	key->len += 4;
}

void key_source(struct key *key, uint64_t mailbox_id, const struct source_name *name)
{
	key_mailbox_row(key, mailbox_id, ROW_SOURCE);
	key_add(key, name->octets, sizeof(name->octets));
}

void key_piece(struct key *key, uint64_t blob_id, uint32_t chunk, uint32_t piece)
{
	key_be64(key, blob_id);
	key_add_be32(key, chunk << 8 | piece);
}

void key_expunged_mailbox(struct key *key, uint32_t account_id, uint64_t mailbox_id)
{
	key_be32(key, account_id);
	key->octets[key->len++] = EXPUNGED_MAILBOX;
	key_add_be64(key, mailbox_id);
}

void key_expunged(struct key *key, uint32_t account_id, int64_t expunged_unix, uint64_t mailbox_id,
		  uint32_t uid)
{
	key_be32(key, account_id);
	key->octets[key->len++] = EXPUNGED_MESSAGE;
	key_add_be64(key, (uint64_t)expunged_unix);
	key_add_be64(key, mailbox_id);
	key_add_be32(key, uid);
}

bool key_take_expunged(struct slice key, struct expunged_key *key_out)
{
	struct cursor c = cursor_of(key);
	uint64_t expunged_unix;
	if (!take_be32(&c, &key_out->account_id) || !take_byte(&c, EXPUNGED_MESSAGE) ||
	    !take_be64(&c, &expunged_unix) || !take_be64(&c, &key_out->mailbox_id) ||
	    !take_be32(&c, &key_out->uid) || !at_end(&c))
		return false;
	key_out->expunged_unix = (int64_t)expunged_unix;
	return true;
}

bool key_take_expunged_mailbox(struct slice key, uint32_t *account_id_out, uint64_t *mailbox_id_out)
{
	struct cursor c = cursor_of(key);
	return take_be32(&c, account_id_out) && take_byte(&c, EXPUNGED_MAILBOX) &&
	       take_be64(&c, mailbox_id_out) && at_end(&c);
}

void key_garbage(struct key *key, enum garbage_kind kind, uint64_t id)
{
	key->len = 0;
	key->octets[key->len++] = (uint8_t)kind;
	key_add_be64(key, id);
}

bool key_is_row(struct slice key, uint64_t mailbox_id, enum mailbox_row_kind kind,
		struct slice *rest_out)
{
	if (key.len < 9 || get_be64(key.ptr) != mailbox_id || key.ptr[8] != kind)
		return false;
	*rest_out = slice_sub(key, 9, key.len - 9);
	static const uint8_t rest_octets[] = {
		[ROW_RECORD] = 0, [ROW_CHANGE] = 8,
		[ROW_ENTRY] = 4,  [ROW_SOURCE] = SOURCE_NAME_OCTETS,
		[ROW_GAPS] = 4,
	};
	return rest_out->len == rest_octets[kind];
}

void put_be40(uint8_t *at, uint64_t number)
{
	if (number > 0xffffffffffu)
		number = 0xffffffffffu;
	at[0] = (uint8_t)(number >> 32);
	put_be32(at + 1, (uint32_t)number);
}

uint64_t get_be40(const uint8_t *at)
{
	return (uint64_t)at[0] << 32 | get_be32(at + 1);
}

enum { SIGN_40 = 39 };

void put_signed_be40(uint8_t *at, int64_t number)
{
	int64_t most = ((int64_t)1 << SIGN_40) - 1;
	if (number > most)
		number = most;
	if (number < -most)
		number = -most;
	put_be40(at, (uint64_t)number & 0xffffffffffu);
}

int64_t get_signed_be40(const uint8_t *at)
{
	int64_t number = (int64_t)get_be40(at);
	return number >> SIGN_40 ? number - ((int64_t)1 << (SIGN_40 + 1)) : number;
}

static bool take_version(struct cursor *c)
{
	return take_byte(c, RECORD_VERSION);
}

void head_encode(const struct head *head, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, head->stamp);
	buffer_add_be64(out, head->file_octets);
	buffer_add_be32(out, head->next_account_id);
	buffer_add_be64(out, head->next_mailbox_id);
	buffer_add_be64(out, head->next_blob_id);
	buffer_add_be32(out, head->last_uidvalidity);
}

bool head_decode(struct slice record, struct head *head_out)
{
	struct cursor c = cursor_of(record);
	return take_version(&c) && take_be64(&c, &head_out->stamp) &&
	       take_be64(&c, &head_out->file_octets) && take_be32(&c, &head_out->next_account_id) &&
	       take_be64(&c, &head_out->next_mailbox_id) &&
	       take_be64(&c, &head_out->next_blob_id) && take_be32(&c, &head_out->last_uidvalidity);
}

/* Most records say nothing of flags, and read as they always did. */
enum { ACCOUNT_VERSION = 2 };

void account_encode(const struct account_row *row, struct buffer *out)
{
	const struct account *account = &row->account;
	buffer_add_byte(out, account->flags ? ACCOUNT_VERSION : RECORD_VERSION);
	buffer_add_be64(out, account->modseq);
	buffer_add_be64(out, account->quota_octets);
	buffer_add_be64(out, account->quota_messages);
	buffer_add_be64(out, account->used_octets);
	buffer_add_be64(out, account->used_messages);
	buffer_add_be32(out, row->mailboxes);
	buffer_add_block(out, account->login);
	buffer_add_block(out, account->password_hash);
	if (account->flags)
		buffer_add_byte(out, account->flags);
}

bool account_decode(struct slice record, uint32_t account_id, struct account_row *row_out)
{
	struct cursor c = cursor_of(record);
	struct account *account = &row_out->account;
	uint8_t version;
	account->account_id = account_id;
	account->flags = 0;
	return take_u8(&c, &version) && (version == RECORD_VERSION || version == ACCOUNT_VERSION) &&
	       take_be64(&c, &account->modseq) && take_be64(&c, &account->quota_octets) &&
	       take_be64(&c, &account->quota_messages) && take_be64(&c, &account->used_octets) &&
	       take_be64(&c, &account->used_messages) && take_be32(&c, &row_out->mailboxes) &&
	       take_block(&c, &account->login) && take_block(&c, &account->password_hash) &&
	       (version == RECORD_VERSION || take_u8(&c, &account->flags));
}

static void keywords_encode(const struct slice *keywords, size_t count, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)count);
	for (size_t i = 0; i < count; i++)
		buffer_add_block(out, keywords[i]);
}

static bool take_keywords(struct cursor *c, struct slice keywords_out[MAILBOX_KEYWORDS_MAX],
			  size_t *count_out)
{
	uint8_t count;
	if (!take_u8(c, &count) || count > MAILBOX_KEYWORDS_MAX)
		return false;
	for (size_t i = 0; i < MAILBOX_KEYWORDS_MAX; i++) {
		keywords_out[i] = SLICE_NONE;
		if (i < count && !take_block(c, &keywords_out[i]))
			return false;
		if (keywords_out[i].len == 0)
			keywords_out[i] = SLICE_NONE;
	}
	*count_out = count;
	return true;
}

void mailbox_encode(const struct mailbox_record *row, struct buffer *out)
{
	const struct mailbox *mailbox = &row->mailbox;
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be32(out, mailbox->account_id);
	buffer_add_be32(out, mailbox->uidvalidity);
	buffer_add_be32(out, mailbox->uidnext);
	buffer_add_be32(out, mailbox->recent_from_uid);
	buffer_add_be64(out, mailbox->highest_modseq);
	buffer_add_be64(out, mailbox->pruned_modseq);
	buffer_add_be32(out, mailbox->messages);
	buffer_add_be32(out, mailbox->unseen);
	buffer_add_be32(out, mailbox->deleted);
	buffer_add_be64(out, mailbox->size_octets);
	buffer_add_be64(out, mailbox->created_unix);
	buffer_add_byte(out, (uint8_t)mailbox->special_use);
	buffer_add_be32(out, row->log_rows);
	buffer_add_be64(out, row->log_octets);
	buffer_add_block(out, mailbox->name);
	keywords_encode(mailbox->keywords, mailbox->keyword_count, out);
}

bool mailbox_decode(struct slice record, uint64_t mailbox_id, struct mailbox_record *row_out)
{
	struct cursor c = cursor_of(record);
	struct mailbox *mailbox = &row_out->mailbox;
	uint8_t special_use;
	mailbox->mailbox_id = mailbox_id;
	if (!take_version(&c) || !take_be32(&c, &mailbox->account_id) ||
	    !take_be32(&c, &mailbox->uidvalidity) || !take_be32(&c, &mailbox->uidnext) ||
	    !take_be32(&c, &mailbox->recent_from_uid) || !take_be64(&c, &mailbox->highest_modseq) ||
	    !take_be64(&c, &mailbox->pruned_modseq) || !take_be32(&c, &mailbox->messages) ||
	    !take_be32(&c, &mailbox->unseen) || !take_be32(&c, &mailbox->deleted) ||
	    !take_be64(&c, &mailbox->size_octets) || !take_be64(&c, &mailbox->created_unix) ||
	    !take_u8(&c, &special_use) || !take_be32(&c, &row_out->log_rows) ||
	    !take_be64(&c, &row_out->log_octets) || !take_block(&c, &mailbox->name) ||
	    !take_keywords(&c, mailbox->keywords, &mailbox->keyword_count) ||
	    special_use > USE_IMPORTANT)
		return false;
	mailbox->special_use = (enum special_use)special_use;
	return true;
}

void name_encode(const struct name_row *row, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, row->mailbox_id);
	buffer_add_byte(out, row->subscribed);
	buffer_add_byte(out, (uint8_t)row->special_use);
}

bool name_decode(struct slice record, struct name_row *row_out)
{
	struct cursor c = cursor_of(record);
	uint8_t subscribed, special_use;
	if (!take_version(&c) || !take_be64(&c, &row_out->mailbox_id) ||
	    !take_u8(&c, &subscribed) || !take_u8(&c, &special_use) || special_use > USE_IMPORTANT)
		return false;
	row_out->subscribed = subscribed;
	row_out->special_use = (enum special_use)special_use;
	return true;
}

void entry_encode(const struct message_entry *entry, uint8_t out[ENTRY_OCTETS])
{
	out[0] = RECORD_VERSION;
	out[1] = entry->flags;
	put_be64(out + 2, entry->blob_id);
	put_be64(out + 10, entry->modseq);
	put_signed_be40(out + 18, entry->internal_unix);
	put_signed_be40(out + 23, entry->saved_unix);
	put_be40(out + 28, entry->size_octets);
	put_be64(out + 33, entry->keywords);
	put_be64(out + 41, 0);
}

bool entry_decode(struct slice record, uint32_t uid, struct message_entry *entry_out)
{
	const uint8_t *at = record.ptr;
	if (record.len != ENTRY_OCTETS || at[0] != RECORD_VERSION)
		return false;
	*entry_out = (struct message_entry){
		.uid = uid,
		.flags = at[1],
		.blob_id = get_be64(at + 2),
		.modseq = get_be64(at + 10),
		.internal_unix = get_signed_be40(at + 18),
		.saved_unix = get_signed_be40(at + 23),
		.size_octets = get_be40(at + 28),
		.keywords = get_be64(at + 33),
	};
	return true;
}

void garbage_encode(const struct garbage_row *row, uint8_t out[GARBAGE_OCTETS])
{
	out[0] = RECORD_VERSION;
	put_be64(out + 1, (uint64_t)row->not_before_unix);
}

bool garbage_decode(struct slice record, struct garbage_row *row_out)
{
	uint64_t not_before;
	if (!number_decode(record, &not_before))
		return false;
	row_out->not_before_unix = (int64_t)not_before;
	return true;
}

void expunged_mailbox_encode(const struct expunged_mailbox *row, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, (uint64_t)row->last_unix);
	buffer_add_byte(out, row->is_deleted);
	buffer_add_block(out, row->name);
	keywords_encode(row->keywords, row->keyword_count, out);
}

bool expunged_mailbox_decode(struct slice record, struct expunged_mailbox *row_out)
{
	struct cursor c = cursor_of(record);
	uint64_t last;
	uint8_t is_deleted;
	if (!take_version(&c) || !take_be64(&c, &last) || !take_u8(&c, &is_deleted) ||
	    !take_block(&c, &row_out->name) ||
	    !take_keywords(&c, row_out->keywords, &row_out->keyword_count))
		return false;
	row_out->last_unix = (int64_t)last;
	row_out->is_deleted = is_deleted != 0;
	return true;
}

void pending_encode(const struct pending_row *row, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_byte(out, (uint8_t)row->owner);
	buffer_add_be64(out, (uint64_t)row->started_unix);
	buffer_add_be32(out, row->chunks);
}

bool pending_decode(struct slice record, struct pending_row *row_out)
{
	struct cursor c = cursor_of(record);
	uint8_t owner;
	uint64_t started;
	if (!take_version(&c) || !take_u8(&c, &owner) || !take_be64(&c, &started) ||
	    !take_be32(&c, &row_out->chunks))
		return false;
	row_out->owner = (enum pending_owner)owner;
	row_out->started_unix = (int64_t)started;
	return true;
}

void change_encode(const struct change *change, const struct ranges *uids, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_byte(out, (uint8_t)change->kind);
	if (change->kind == CHANGE_FLAGS) {
		buffer_add_byte(out, change->flags);
		buffer_add_be64(out, change->keywords);
	}
	uint8_t *at = buffer_reserve(out, (size_t)uids->count * RUN_OCTETS);
	for (uint32_t i = 0; i < uids->count; i++) {
		put_be32(at + (size_t)i * RUN_OCTETS, uids->runs[i].first);
		put_be32(at + (size_t)i * RUN_OCTETS + 4, uids->runs[i].last);
	}
	out->len += (size_t)uids->count * RUN_OCTETS;
}

bool change_decode(struct slice record, struct change *change_out)
{
	struct cursor c = cursor_of(record);
	struct change change = { 0 };
	uint8_t kind;
	if (!take_version(&c) || !take_u8(&c, &kind) || kind < CHANGE_TOUCHED ||
	    kind > CHANGE_FLAGS)
		return false;
	change.kind = (enum change_kind)kind;
	if (change.kind == CHANGE_FLAGS &&
	    (!take_u8(&c, &change.flags) || !take_be64(&c, &change.keywords)))
		return false;
	change.runs = cursor_rest(&c);
	if (change.runs.len % RUN_OCTETS != 0)
		return false;
	*change_out = change;
	return true;
}

void number_encode(uint64_t number, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, number);
}

bool number_decode(struct slice record, uint64_t *number_out)
{
	struct cursor c = cursor_of(record);
	return take_version(&c) && take_be64(&c, number_out);
}
