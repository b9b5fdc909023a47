/* storage/submission.c - what an account may submit, and what it has submitted. Runs in the back,
 * and in the admin's process.
 *
 * Whom an account has written to is kept for good: a row of some forty octets for each, of which
 * the limit on new recipients lets no account make many. */
#include "storage/submission_priv.h"

#include "base/clock.h"

#include "storage/store_priv.h"

enum { DAY_SECONDS = 24 * 3600, SENDER_MAX_OCTETS = KEY_MAX_OCTETS - 5 };

bool key_submission(struct key *key, uint32_t account_id, enum submission_kind kind,
		    struct slice rest)
{
	key_be32(key, account_id);
	key->octets[key->len++] = (uint8_t)kind;
	if (rest.len > SENDER_MAX_OCTETS)
		return false;
	if (rest.len > 0)
		memcpy(key->octets + key->len, rest.ptr, rest.len);
	key->len += rest.len;
	return true;
}

struct day {
	uint32_t number; /* since 1970 */
	uint32_t messages, new_recipients;
};

/* Both records of numbers: a version octet and be32 ones. */
static bool numbers_decode(struct slice value, uint32_t *numbers, size_t count)
{
	struct cursor c = cursor_of(value);
	uint8_t version;
	if (!take_u8(&c, &version) || version != RECORD_VERSION)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!take_be32(&c, &numbers[i]))
			return false;
	return at_end(&c);
}

static enum err numbers_put(struct write *write, const struct key *key, const uint32_t *numbers,
			    size_t count)
{
	uint8_t value[1 + 3 * 4] = { RECORD_VERSION };
	for (size_t i = 0; i < count; i++)
		put_be32(value + 1 + 4 * i, numbers[i]);
	return db_put(write, DB_SUBMISSION, key_slice(key), slice_of(value, 1 + 4 * count),
		      PUT_ANY);
}

/* `count` numbers; as they are where there is no row. */
static enum err numbers_get(struct read *read, uint32_t account_id, enum submission_kind kind,
			    uint32_t *numbers, size_t count)
{
	struct key key;
	struct slice value;
	if (!key_submission(&key, account_id, kind, SLICE_NONE))
		return ERR_BAD_INPUT;
	enum err err = db_get(read, DB_SUBMISSION, key_slice(&key), &value);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK && !numbers_decode(value, numbers, count)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "submission"));
		return ERR_DAMAGED;
	}
	return err;
}

static enum err day_get(struct read *read, uint32_t account_id, uint32_t today, struct day *day_out)
{
	uint32_t numbers[3] = { today, 0, 0 };
	enum err err = numbers_get(read, account_id, SUBMISSION_DAY, numbers, 3);
	*day_out = (struct day){ .number = today };
	if (err == ERR_OK && numbers[0] == today) {
		day_out->messages = numbers[1];
		day_out->new_recipients = numbers[2];
	}
	return err;
}

static uint32_t day_of(int64_t unix_seconds)
{
	return (uint32_t)(unix_seconds / DAY_SECONDS);
}

enum err submission_usage(struct read *read, uint32_t account_id,
			  struct submission_usage *usage_out)
{
	uint32_t limits[2] = { SUBMISSION_AS_CONFIGURED, SUBMISSION_AS_CONFIGURED };
	struct day day;
	enum err err = numbers_get(read, account_id, SUBMISSION_LIMITS, limits, 2);
	if (err == ERR_OK)
		err = day_get(read, account_id, day_of(clock_unix()), &day);
	if (err == ERR_OK)
		*usage_out = (struct submission_usage){
			.limits = { limits[0], limits[1] },
			.messages = day.messages,
			.new_recipients = day.new_recipients,
		};
	return err;
}

enum err submission_set_limits(struct write *write, uint32_t account_id,
			       const struct submission_limits *limits)
{
	const uint32_t numbers[2] = { limits->messages, limits->new_recipients };
	struct key key;
	enum err err = write_may_grow(write);
	if (err != ERR_OK || !key_submission(&key, account_id, SUBMISSION_LIMITS, SLICE_NONE))
		return err;
	return numbers_put(write, &key, numbers, 2);
}

bool submission_knows(struct read *read, uint32_t account_id, struct slice recipient)
{
	struct key key;
	return key_submission(&key, account_id, SUBMISSION_RECIPIENT, recipient) &&
	       db_has(read, DB_SUBMISSION, key_slice(&key));
}

enum err submission_note(struct write *write, uint32_t account_id, const struct slice *recipients,
			 size_t count)
{
	struct day day;
	struct key key;
	uint32_t today = day_of(write->now_unix);
	enum err err = day_get(write_read(write), account_id, today, &day);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		/* One that was in the way is over, or a job meets it: it had its time. */
		err = suppression_remove(write, account_id, recipients[i]);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
		if (err != ERR_OK ||
		    submission_knows(write_read(write), account_id, recipients[i]) ||
		    !key_submission(&key, account_id, SUBMISSION_RECIPIENT, recipients[i]))
			continue;
		day.new_recipients++;
		err = numbers_put(write, &key, &today, 1);
	}
	if (err != ERR_OK || !key_submission(&key, account_id, SUBMISSION_DAY, SLICE_NONE))
		return err;
	const uint32_t numbers[3] = { today, day.messages + 1, day.new_recipients };
	return numbers_put(write, &key, numbers, 3);
}

bool submission_may_use(struct read *read, uint32_t account_id, struct slice sender)
{
	struct key key;
	return key_submission(&key, account_id, SUBMISSION_SENDER, sender) &&
	       db_has(read, DB_SUBMISSION, key_slice(&key));
}

enum err submission_allow(struct write *write, uint32_t account_id, struct slice sender)
{
	const uint8_t value[1] = { RECORD_VERSION };
	struct key key;
	if (sender.len == 0 || !key_submission(&key, account_id, SUBMISSION_SENDER, sender))
		return ERR_BAD_INPUT;
	enum err err = write_may_grow(write);
	return err == ERR_OK
		       ? db_put(write, DB_SUBMISSION, key_slice(&key), slice_of(value, 1), PUT_ANY)
		       : err;
}

enum err submission_disallow(struct write *write, uint32_t account_id, struct slice sender)
{
	struct key key;
	if (!key_submission(&key, account_id, SUBMISSION_SENDER, sender))
		return ERR_NOT_FOUND;
	return db_del(write, DB_SUBMISSION, key_slice(&key));
}

bool submission_next_sender(struct read *read, uint32_t account_id, struct slice after,
			    struct arena *arena, struct slice *sender_out)
{
	struct row row;
	struct key key;
	bool found = false;
	if (!key_submission(&key, account_id, SUBMISSION_SENDER, after))
		return false;
	row_open(&row, read, DB_SUBMISSION);
	bool more = row_seek_behind(&row, key_slice(&key));
	if (more && row.key.len > 5 && get_be32(row.key.ptr) == account_id &&
	    row.key.ptr[4] == SUBMISSION_SENDER) {
		*sender_out = arena_copy(arena, slice_sub(row.key, 5, row.key.len));
		found = true;
	}
	row_close(&row);
	return found;
}

enum err submission_erase(struct write *write, uint32_t account_id, size_t *rows)
{
	enum err err = ERR_OK;
	struct row row;
	struct key key;
	key_be32(&key, account_id);
	row_open(&row, write_read(write), DB_SUBMISSION);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && *rows > 0 && more && row.key.len > 4 &&
	       get_be32(row.key.ptr) == account_id) {
		err = row_delete(&row);
		more = row_next(&row);
		(*rows)--;
	}
	row_close(&row);
	return err;
}

bool submission_row_is_good(struct slice key, struct slice value)
{
	uint32_t numbers[3];
	struct suppression suppression;
	if (key.len < 5)
		return false;
	switch ((enum submission_kind)key.ptr[4]) {
	case SUBMISSION_DAY: return key.len == 5 && numbers_decode(value, numbers, 3);
	case SUBMISSION_LIMITS: return key.len == 5 && numbers_decode(value, numbers, 2);
	case SUBMISSION_SENDER: return key.len > 5 && numbers_decode(value, numbers, 0);
	case SUBMISSION_RECIPIENT: return key.len > 5 && numbers_decode(value, numbers, 1);
	case SUBMISSION_SUPPRESSED: return key.len > 5 && suppression_decode(value, &suppression);
	}
	return false;
}
