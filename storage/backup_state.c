/* storage/backup_state.c - the state of a backup: the files that belong to the server, and every
 * row of the store but those of bodies, as one zstd stream (RFC 8878). In it:
 *
 *   file    u8 SECTION_FILE, be32 mode, block path, block content
 *   rows    u8 SECTION_ROWS, block name of the database; per row be32 length of the key (0: no
 *           more rows), key, block value
 *   end     u8 SECTION_END
 *
 * Bodies and digests are in segments. Messages that were still arriving are not copied: nobody
 * was told that they had arrived. In the admin's process. */
#include <assert.h>
#include <stdlib.h>

#include "storage/backup_priv.h"

enum { SECTION_END = 0, SECTION_FILE = 1, SECTION_ROWS = 2 };
enum { LEVEL = 1, VALUE_MAX_OCTETS = 64 << 20 };
#define STATE_MAGIC "bodesta1"

/* ---- which rows ---- */

/* The journal stays behind: it tells of this server's last weeks, no longer than it was asked to,
 * and is no part of the mail. */
static bool database_is_copied(enum database db)
{
	return db != DB_BLOB && db != DB_DIGEST && db != DB_PENDING && db != DB_JOURNAL &&
	       db != DB_JOURNAL_INDEX;
}

/* The unnamed database also holds LMDB's own records of the others, the head, which is written
 * with every commit, and what the store notes of its backups. */
static bool row_is_copied(enum database db, struct slice key)
{
	static const struct slice note = { (const uint8_t *)BACKUP_RECORD_KEY,
					   sizeof(BACKUP_RECORD_KEY) - 1 };
	return db != DB_MAIN ||
	       (key.len > 0 && key.ptr[0] == '!' && !slice_eq(key, SLICE("!head")) &&
		!slice_eq(slice_sub(key, 0, note.len), note));
}

static void survey_add(struct backup_survey *survey, enum database db, struct checksum *sum,
		       struct slice key, struct slice value)
{
	uint8_t lengths[8];
	struct account_row account;
	put_be32(lengths, (uint32_t)key.len);
	put_be32(lengths + 4, (uint32_t)value.len);
	checksum_add(sum, slice_of(lengths, sizeof(lengths)));
	checksum_add(sum, key);
	checksum_add(sum, value);
	survey->databases[db].rows++;
	if (db == DB_ACCOUNT) {
		survey->users++;
		if (account_decode(value, 0, &account))
			survey->messages += account.account.used_messages;
	}
}

/* ---- writing ---- */

struct stream_out {
	struct backup_out *out; /* NULL: only the survey is wanted */
	ZSTD_CCtx *zstd;
	struct buffer plain;
};

static void stream_press(struct stream_out *stream, bool last)
{
	uint8_t pressed[64 * 1024];
	ZSTD_inBuffer in = { stream->plain.data, stream->plain.len, 0 };
	size_t left;
	do {
		ZSTD_outBuffer out = { pressed, sizeof(pressed), 0 };
		left = ZSTD_compressStream2(stream->zstd, &out, &in,
					    last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			abort(); /* no memory */
		backup_out_add(stream->out, slice_of(pressed, out.pos));
	} while (in.pos < in.size || (last && left > 0));
	buffer_clear(&stream->plain);
}

/* What the caller put into `plain` goes on when it is much. */
static void stream_go_on(struct stream_out *stream)
{
	enum { MUCH_OCTETS = 256 * 1024 };
	if (stream->plain.len >= MUCH_OCTETS)
		stream_press(stream, false);
}

static bool database_write(struct stream_out *stream, struct read *read, enum database db,
			   struct backup_survey *survey)
{
	struct row row;
	struct checksum sum;
	MDB_stat stat;
	uint64_t walked = 0;
	static const struct slice first = { (const uint8_t *)"", 1 };
	checksum_begin(&sum);
	if (!read->txn || mdb_stat(read->txn, read->store->dbis[db], &stat) != 0)
		return false;
	if (stream->out) {
		buffer_add_byte(&stream->plain, SECTION_ROWS);
		buffer_add_block(&stream->plain, slice_cstr(database_name(db)));
	}
	row_open(&row, read, db);
	for (bool more = row_seek(&row, first); more; more = row_next(&row)) {
		walked++;
		if (!row_is_copied(db, row.key))
			continue;
		survey_add(survey, db, &sum, row.key, row.value);
		if (stream->out) {
			buffer_add_block(&stream->plain, row.key);
			buffer_add_block(&stream->plain, row.value);
			stream_go_on(stream);
		}
	}
	row_close(&row);
	survey->databases[db].sum = checksum_value(&sum);
	if (stream->out)
		buffer_add_be32(&stream->plain, 0);
	/* A walk that met an error looks as if it had come to the end. */
	return walked == stat.ms_entries;
}

static bool survey_main(struct read *read, struct backup_survey *survey)
{
	struct slice value;
	bool good = db_get(read, DB_MAIN, SLICE("!head"), &value) == ERR_OK &&
		    head_decode(value, &survey->head) &&
		    db_get(read, DB_MAIN, SLICE("!bode"), &value) == ERR_OK;
	struct cursor c = cursor_of(value);
	uint8_t version;
	/* These two are of the file, not of what it holds. */
	survey->head.stamp = survey->head.file_octets = 0;
	return good && take_u8(&c, &version) && take_be32(&c, &survey->format) &&
	       take_be64(&c, &survey->created_unix);
}

bool backup_state_write(struct backup_out *out, struct read *read, const struct backup_file *files,
			size_t file_count, struct backup_survey *survey_out)
{
	struct stream_out stream = { .out = out };
	*survey_out = (struct backup_survey){ .users = 0 };
	bool good = survey_main(read, survey_out);
	if (out) {
		stream.zstd = ZSTD_createCCtx();
		if (!stream.zstd)
			abort(); /* no memory */
		ZSTD_CCtx_setParameter(stream.zstd, ZSTD_c_compressionLevel, LEVEL);
	}
	for (size_t i = 0; out && i < file_count; i++) {
		buffer_add_byte(&stream.plain, SECTION_FILE);
		buffer_add_be32(&stream.plain, files[i].mode);
		buffer_add_block(&stream.plain, files[i].path);
		buffer_add_block(&stream.plain, files[i].content);
		stream_go_on(&stream);
	}
	if (out) {
		struct buffer head = { 0 };
		head_encode(&survey_out->head, &head);
		buffer_add_byte(&stream.plain, SECTION_ROWS);
		buffer_add_block(&stream.plain, SLICE("head"));
		buffer_add_block(&stream.plain, SLICE("!head"));
		buffer_add_block(&stream.plain, buffer_slice(&head));
		buffer_add_be32(&stream.plain, 0);
		buffer_free(&head);
	}
	for (int db = 0; db < DB_COUNT && good; db++)
		if (database_is_copied((enum database)db))
			good = database_write(&stream, read, (enum database)db, survey_out);
	if (out) {
		buffer_add_byte(&stream.plain, SECTION_END);
		stream_press(&stream, true);
		ZSTD_freeCCtx(stream.zstd);
	}
	buffer_wipe(&stream.plain);
	return good;
}

/* ---- reading ---- */

struct stream_in {
	struct backup_folder *folder;
	struct backup_in in;
	ZSTD_DCtx *zstd;
	struct buffer plain;
	size_t taken;
};

static enum err stream_damaged(struct stream_in *stream)
{
	return backup_fail(stream->folder, ERR_DAMAGED, "%s/%s is damaged (it cannot be read)",
			   stream->folder->path, stream->in.name);
}

static enum err stream_open(struct stream_in *stream, struct backup_folder *folder)
{
	char name[BACKUP_NAME_OCTETS];
	*stream = (struct stream_in){ .folder = folder };
	backup_name(BACKUP_STATE, folder->manifest.run, name);
	enum err err = backup_in_open(&stream->in, folder, name, STATE_MAGIC);
	if (err == ERR_NOT_FOUND)
		err = backup_fail(folder, ERR_DAMAGED, "%s/%s is missing", folder->path, name);
	stream->zstd = ZSTD_createDCtx();
	if (!stream->zstd)
		abort(); /* no memory */
	return err;
}

static void stream_close(struct stream_in *stream)
{
	ZSTD_freeDCtx(stream->zstd);
	buffer_wipe(&stream->plain);
	backup_in_close(&stream->in);
}

/* Exactly `len` octets; they live until the next call. False: damaged, said. */
static bool stream_fail(struct stream_in *stream)
{
	(void)stream_damaged(stream);
	return false;
}

static bool stream_take(struct stream_in *stream, size_t len, struct slice *octets_out)
{
	enum { PIECE_OCTETS = 64 * 1024 };
	if (stream->plain.len - stream->taken < len) {
		buffer_drop_front(&stream->plain, stream->taken);
		stream->taken = 0;
	}
	while (stream->plain.len - stream->taken < len) {
		struct slice piece = backup_in_take(&stream->in, PIECE_OCTETS);
		ZSTD_inBuffer in = { piece.ptr, piece.len, 0 };
		bool full = true;
		while (in.pos < in.size || full) {
			ZSTD_outBuffer out = { buffer_reserve(&stream->plain, PIECE_OCTETS),
					       PIECE_OCTETS, 0 };
			if (ZSTD_isError(ZSTD_decompressStream(stream->zstd, &out, &in)))
				return stream_fail(stream);
			stream->plain.len += out.pos;
			full = out.pos == out.size;
		}
		if (piece.len == 0 && stream->plain.len - stream->taken < len)
			return stream_fail(stream);
	}
	*octets_out = slice_sub(buffer_slice(&stream->plain), stream->taken, len);
	stream->taken += len;
	return true;
}

static bool stream_be32(struct stream_in *stream, uint32_t *number_out)
{
	struct slice octets = SLICE_NONE;
	if (!stream_take(stream, 4, &octets))
		return false;
	*number_out = get_be32(octets.ptr);
	return true;
}

static bool stream_section(struct stream_in *stream, uint8_t *section_out)
{
	struct slice octets = SLICE_NONE;
	if (!stream_take(stream, 1, &octets))
		return false;
	assert(octets.len == 1);
	*section_out = octets.ptr[0];
	return true;
}

/* A block, copied to `to`. */
static bool stream_block(struct stream_in *stream, uint32_t max, struct buffer *to)
{
	uint32_t len;
	struct slice octets = SLICE_NONE;
	buffer_clear(to);
	if (!stream_be32(stream, &len))
		return false;
	if (len > max)
		return stream_fail(stream);
	if (!stream_take(stream, len, &octets))
		return false;
	buffer_add(to, octets);
	return true;
}

struct file_in {
	uint32_t mode;
	struct buffer path, content;
};

static bool stream_file(struct stream_in *stream, struct file_in *file)
{
	return stream_be32(stream, &file->mode) && stream_block(stream, 4096, &file->path) &&
	       stream_block(stream, VALUE_MAX_OCTETS, &file->content);
}

static void file_free(struct file_in *file)
{
	buffer_free(&file->path);
	buffer_wipe(&file->content);
}

enum err backup_files(struct backup_folder *folder,
		      void (*take)(void *user, const struct backup_file *file), void *user,
		      const char **why_out)
{
	struct stream_in stream;
	struct file_in file = { .mode = 0 };
	uint8_t section = SECTION_FILE;
	enum err err = stream_open(&stream, folder);
	while (err == ERR_OK && stream_section(&stream, &section) && section == SECTION_FILE &&
	       stream_file(&stream, &file)) {
		struct backup_file found = { buffer_slice(&file.path), buffer_slice(&file.content),
					     file.mode };
		take(user, &found);
	}
	file_free(&file);
	stream_close(&stream);
	return backup_end(folder, why_out);
}

/* ---- into a store ---- */

/* One transaction's worth of rows. */
struct load {
	struct job job;
	struct stream_in *stream;
	bool in_rows; /* of the database `db` */
	bool is_head; /* its only row are the next numbers */
	bool ended;
	enum database db;
	struct buffer key, last_key, value;
};

static enum err load_begin_rows(struct load *load)
{
	struct buffer name = { 0 };
	bool found = false, good = stream_block(load->stream, KEY_MAX_OCTETS, &name);
	load->is_head = good && slice_eq(buffer_slice(&name), SLICE("head"));
	for (int db = 0; good && db < DB_COUNT; db++)
		if (database_is_copied((enum database)db) &&
		    slice_eq(buffer_slice(&name), slice_cstr(database_name((enum database)db)))) {
			load->db = (enum database)db;
			found = true;
		}
	if (good && !found && !load->is_head)
		backup_fail(
			load->stream->folder, ERR_VERSION,
			"the backup in %s has a part '%.*s' that this Bode does not know: it was "
			"made by a newer one; use that, or a still newer",
			load->stream->folder->path, SLICE_ARG(buffer_slice(&name)));
	buffer_free(&name);
	buffer_clear(&load->last_key);
	load->in_rows = true;
	return load->stream->folder->err;
}

static enum err load_head(struct write *write, struct load *load)
{
	struct head head;
	if (!head_decode(buffer_slice(&load->value), &head)) {
		(void)stream_damaged(load->stream);
		return ERR_DAMAGED;
	}
	write_touch(write);
	write->head.next_account_id = head.next_account_id;
	write->head.next_mailbox_id = head.next_mailbox_id;
	write->head.next_blob_id = head.next_blob_id;
	write->head.last_uidvalidity = head.last_uidvalidity;
	return ERR_OK;
}

static enum err load_row(struct write *write, struct load *load)
{
	struct buffer *key = &load->key;
	if (!stream_block(load->stream, KEY_MAX_OCTETS, key))
		return load->stream->folder->err;
	if (key->len == 0) {
		load->in_rows = false;
		return ERR_OK;
	}
	if (!stream_block(load->stream, VALUE_MAX_OCTETS, &load->value))
		return load->stream->folder->err;
	if (load->is_head)
		return load_head(write, load);
	/* Appended, so the pages are full; the order is checked, not believed. */
	if (slice_compare(buffer_slice(key), buffer_slice(&load->last_key)) <= 0 ||
	    !row_is_copied(load->db, buffer_slice(key)))
		return stream_damaged(load->stream);
	buffer_clear(&load->last_key);
	buffer_add(&load->last_key, buffer_slice(key));
	return db_put(write, load->db, buffer_slice(key), buffer_slice(&load->value),
		      load->db == DB_MAIN ? PUT_ANY : PUT_APPEND);
}

static enum err load_section(struct load *load)
{
	uint8_t section;
	struct file_in file = { .mode = 0 };
	if (!stream_section(load->stream, &section))
		return load->stream->folder->err;
	switch (section) {
	case SECTION_END: load->ended = true; return ERR_OK;
	case SECTION_ROWS: return load_begin_rows(load);
	case SECTION_FILE: {
		bool good = stream_file(load->stream, &file);
		file_free(&file);
		return good ? ERR_OK : load->stream->folder->err;
	}
	default: return stream_damaged(load->stream);
	}
}

static enum err load_run(struct write *write, struct job *job)
{
	struct load *load = CONTAINER_OF(job, struct load, job);
	enum err err = ERR_OK;
	size_t octets = 0;
	while (err == ERR_OK && !load->ended && octets < RESTORE_BATCH_OCTETS) {
		if (!load->in_rows) {
			err = load_section(load);
		} else {
			err = load_row(write, load);
			octets += load->key.len + load->value.len;
		}
	}
	return err;
}

enum err backup_state_restore(struct backup_folder *folder, struct store *store)
{
	struct stream_in stream;
	struct load load = { .job.run = load_run, .stream = &stream };
	enum err err = stream_open(&stream, folder);
	while (err == ERR_OK && !load.ended)
		err = store_write_now(store, &load.job);
	buffer_free(&load.key);
	buffer_free(&load.last_key);
	buffer_wipe(&load.value);
	stream_close(&stream);
	return err;
}
