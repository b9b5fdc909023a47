/* tests/unit/storage/restore.c - a backup that the first Bode made, with a store of the first format
 * in it, comes back as a store of today's: made here by taking out of today's what that one did
 * not have. */
#include "tests/unit/storage/bed.h"

#include <fcntl.h>

#include "storage/backup_priv.h"

#define STATE_MAGIC "bodesta1"
enum { FIRST_FORMAT = 1, SECTION_END = 0, SECTION_FILE = 1, SECTION_ROWS = 2, MESSAGES = 5 };

static const struct backup_file key_file = { { (const uint8_t *)"state:key.pem", 13 },
					     { (const uint8_t *)"secret", 6 },
					     0600 };

static bool had(struct slice database)
{
	static const char *const names[] = { "head",	"main",	     "domain",
					     "account", "address",   "mailbox-name",
					     "mailbox", "reference", "garbage" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_eq(database, slice_cstr(names[i])))
			return true;
	return false;
}

static struct slice take_some(struct cursor *c, size_t len)
{
	struct slice octets;
	assert_true(take_octets(c, len, &octets));
	return octets;
}

static struct slice take_sized(struct cursor *c)
{
	uint32_t len;
	assert_true(take_be32(c, &len));
	return take_some(c, len);
}

/* One section of rows. */
static void rows_copy(struct cursor *c, struct slice name, struct buffer *out)
{
	struct buffer unwanted = { 0 }, *to = had(name) ? out : &unwanted;
	buffer_add_byte(to, SECTION_ROWS);
	buffer_add_block(to, name);
	for (struct slice key = take_sized(c); key.len > 0; key = take_sized(c)) {
		struct slice value = take_sized(c);
		struct buffer copy = { 0 };
		buffer_add(&copy, value);
		if (slice_eq(key, SLICE("!bode")))
			put_be32(copy.data + 1, FIRST_FORMAT);
		buffer_add_block(to, key);
		buffer_add_block(to, buffer_slice(&copy));
		buffer_free(&copy);
	}
	buffer_add_be32(to, 0);
	buffer_free(&unwanted);
}

static void state_unpack(struct backup_folder *folder, const char *name, struct buffer *plain)
{
	struct backup_in in;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	assert_int_equal(backup_in_open(&in, folder, name, STATE_MAGIC), ERR_OK);
	struct slice pressed;
	while ((pressed = backup_in_take(&in, 1000)).len > 0) {
		ZSTD_inBuffer from = { pressed.ptr, pressed.len, 0 };
		bool full = true;
		while (from.pos < from.size || full) {
			ZSTD_outBuffer to = { buffer_reserve(plain, 65536), 65536, 0 };
			assert_false(ZSTD_isError(ZSTD_decompressStream(zstd, &to, &from)));
			plain->len += to.pos;
			full = to.pos == to.size;
		}
	}
	backup_in_close(&in);
	ZSTD_freeDCtx(zstd);
}

static void state_make_older(struct backup_folder *folder, const char *name)
{
	struct buffer plain = { 0 }, older = { 0 }, pressed = { 0 };
	struct backup_out out;
	uint32_t mode;
	uint8_t section;
	state_unpack(folder, name, &plain);
	struct cursor c = cursor_of(buffer_slice(&plain));
	do {
		assert_true(take_u8(&c, &section));
		if (section == SECTION_FILE) {
			assert_true(take_be32(&c, &mode));
			buffer_add_byte(&older, section);
			buffer_add_be32(&older, mode);
			buffer_add_block(&older, take_sized(&c));
			buffer_add_block(&older, take_sized(&c));
		} else if (section == SECTION_ROWS) {
			struct slice database = take_sized(&c);
			rows_copy(&c, database, &older);
		}
	} while (section != SECTION_END);
	buffer_add_byte(&older, SECTION_END);
	assert_true(at_end(&c));
	size_t bound = ZSTD_compressBound(older.len);
	pressed.len =
		ZSTD_compress(buffer_reserve(&pressed, bound), bound, older.data, older.len, 1);
	assert_false(ZSTD_isError(pressed.len));
	backup_out_open(&out, folder, name, STATE_MAGIC);
	backup_out_add(&out, buffer_slice(&pressed));
	backup_out_seal(&out, name);
	assert_int_equal(folder->err, ERR_OK);
	buffer_free(&plain);
	buffer_free(&older);
	buffer_free(&pressed);
}

static void manifest_make_older(struct backup_folder *folder)
{
	char text[4096], *line, format[32];
	int fd = openat(folder->fd, BACKUP_MANIFEST, O_RDWR);
	ssize_t len = read(fd, text, sizeof(text) - 1);
	assert_true(len > 0);
	text[len] = '\0';
	snprintf(format, sizeof(format), "\nstore-format %d\n", STORE_FORMAT);
	assert_non_null(line = strstr(text, format));
	static const char older[] = "\nstore-format 1\n";
	char *rest = line + strlen(format);
	memcpy(line, older, sizeof(older) - 1);
	memmove(line + sizeof(older) - 1, rest, strlen(rest) + 1);
	assert_non_null(line = strstr(text, "\nchecksum "));
	sprintf(line + 1, "checksum %llu\n",
		(unsigned long long)checksum_of(slice_of(text, (size_t)(line + 1 - text))));
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	assert_int_equal(ftruncate(fd, (off_t)strlen(text)), 0);
	close(fd);
}

static struct backup_folder *open_folder(int fd, const char *path)
{
	struct backup_folder *folder;
	const char *why;
	if (backup_folder_open(fd, path, true, &folder, &why) != ERR_OK)
		fail_msg("%s", why);
	return folder;
}

static void check_messages(struct bed *bed)
{
	struct buffer text = { 0 }, want = { 0 };
	struct message_entry entry;
	unsigned count = 0;
	struct read *read = read_begin(bed->store);
	struct message_cursor *cursor = message_cursor_open(read, bed->inbox_id, 1);
	for (; message_cursor_next(cursor, &entry); count++) {
		buffer_clear(&text);
		bed_text(&want, entry.uid, entry.uid * 30000);
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &text), ERR_OK);
		assert_true(slice_eq(buffer_slice(&text), buffer_slice(&want)));
	}
	message_cursor_close(&cursor);
	read_end(&read);
	assert_int_equal(count, MESSAGES);
	buffer_free(&text);
	buffer_free(&want);
}

static void of_the_first_format(void **state)
{
	struct bed bed;
	struct buffer text = { 0 };
	struct backup_counts counts;
	struct backup_facts facts;
	char path[64], scratch[64], name[BACKUP_NAME_OCTETS];
	const char *why;
	bed_begin(&bed, STORE_CREATE);
	for (unsigned i = 1; i <= MESSAGES; i++) {
		bed_text(&text, i, i * 30000);
		struct bed_append append = { .mailbox_id = bed.inbox_id,
					     .text = buffer_slice(&text) };
		assert_int_equal(bed_append(&bed, &append), ERR_OK);
	}
	folder_make(path, "backup");
	folder_make(scratch, "backup");
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	struct backup_folder *folder = open_folder(fd, path);
	struct backup_order order = { .files = &key_file, .file_count = 1, .scratch_dir = scratch };
	if (backup_run(folder, bed.store, &order, &counts, &why) != ERR_OK)
		fail_msg("%s", why);
	backup_name(BACKUP_STATE, folder->manifest.run, name);
	state_make_older(folder, name);
	manifest_make_older(folder);
	backup_folder_close(&folder);
	store_close(&bed.store);
	folder_remove(bed.dir);
	assert_int_equal(mkdir(bed.dir, 0700), 0);

	folder = open_folder(fd, path);
	if (backup_folder_choose(folder, false, &facts, &why) != ERR_OK ||
	    backup_restore(folder, bed.dir, false, NULL, &counts, &why) != ERR_OK)
		fail_msg("%s", why);
	assert_int_equal(counts.bodies, MESSAGES);
	backup_folder_close(&folder);
	/* By the admin's tools, too, which never bring a store up to date. */
	bed_open(&bed, STORE_ADMIN);
	check_messages(&bed);
	store_close(&bed.store);
	bed_open(&bed, STORE_SERVE);
	check_messages(&bed);
	bed_text(&text, 9, 100);
	struct bed_append append = { .mailbox_id = bed.inbox_id, .text = buffer_slice(&text) };
	assert_int_equal(bed_append(&bed, &append), ERR_OK);
	assert_true(append.uid > MESSAGES + 1); /* which others may have had since the backup */

	/* And it is backed up into the folder that it came from. */
	folder = open_folder(fd, path);
	if (backup_run(folder, bed.store, &order, &counts, &why) != ERR_OK)
		fail_msg("%s", why);
	assert_int_equal(counts.messages, MESSAGES + 1);
	assert_true(counts.octets_new < 10000);
	backup_folder_close(&folder);
	close(fd);
	buffer_free(&text);
	folder_remove(path);
	folder_remove(scratch);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_the_first_format),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
