/* tests/unit/storage/chunk.c - the records of chunks: what went in comes out, with runs of base64 in
 * any place and shape; its beginning alone; damage; and the size of records. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/checksum.h"
#include "storage/base64_runs_priv.h"
#include "storage/chunk_priv.h"
#include "storage/text_frame_priv.h"

static struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct read reading = { .store = &store };

static void add_random(struct buffer *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buffer_add_byte(octets, (uint8_t)(random() >> 8));
}

static void add_base64(struct buffer *text, size_t line_octets, size_t lines)
{
	struct buffer octets = { 0 };
	add_random(&octets, line_octets / 4 * 3 * lines);
	base64_encode_lines(buffer_slice(&octets), line_octets, text);
	buffer_free(&octets);
}

static void add_text(struct buffer *text, size_t lines)
{
	static const char *const words[] = { "the ",  "of\t",	"chapter ", "mail ",
					     "QUJD ", "shall ", "=20 ",	    "received " };
	for (size_t i = 0; i < lines; i++) {
		for (unsigned n = (unsigned)random() % 12; n > 0; n--)
			buffer_add_cstr(text, words[random() % (long)ARRAY_LEN(words)]);
		buffer_add_cstr(text, "\r\n");
	}
}

/* The first version's record, as an older Bode made it of anything. */
static void compress_plainly(struct slice raw, struct buffer *record)
{
	struct compressor *compressor = compressor_take(&store);
	add_record_header(record, RECORD_VERSION, NO_DICTIONARY, raw.len);
	frame_compress(compressor, raw, 1, record);
	compressor_give(&store, compressor);
}

static void check_beginning(struct slice raw, struct slice record, size_t need)
{
	struct buffer out = { 0 };
	buffer_add_cstr(&out, "before");
	assert_true(chunk_decompress(&reading, record, (uint32_t)need, &out));
	struct slice got = slice_sub(buffer_slice(&out), 6, out.len);
	assert_true(got.len >= need || got.len == raw.len);
	assert_true(slice_eq(got, slice_sub(raw, 0, got.len)));
	buffer_free(&out);
}

/* Returns the number of runs that were found. */
static size_t check(struct slice raw)
{
	struct buffer record = { 0 };
	uint32_t octets;
	size_t count = 0;
	chunk_compress(&store, raw, &record);
	assert_true(chunk_raw_octets(buffer_slice(&record), &octets));
	assert_int_equal(octets, raw.len);
	check_beginning(raw, buffer_slice(&record), CHUNK_WHOLE);
	if (record.data[0] % 2 == 0) {
		struct base64_runs runs;
		struct cursor c = cursor_of(slice_sub(buffer_slice(&record), 7, record.len));
		assert_true(take_base64_runs(&c, octets, &runs));
		count = runs.count;
		size_t border = 0;
		for (size_t i = 0; i < runs.count; i++) {
			border += runs.list[i].text_octets;
			check_beginning(raw, buffer_slice(&record), border);
			check_beginning(raw, buffer_slice(&record), border + 1);
			border += (size_t)runs.list[i].lines * (runs.list[i].line_octets + 2u);
			check_beginning(raw, buffer_slice(&record), border - 1);
			check_beginning(raw, buffer_slice(&record), border);
		}
	} else {
		assert_in_range(record.data[0], 1, 3);
	}
	for (size_t i = 0; i < 4; i++)
		check_beginning(raw, buffer_slice(&record), (size_t)random() % (raw.len + 2));
	buffer_free(&record);
	return count;
}

static void finds_runs(void **state)
{
	struct buffer raw = { 0 };
	srandom(1);
	/* All of it. */
	add_base64(&raw, 76, 840);
	assert_int_equal(check(buffer_slice(&raw)), 1);
	/* At the end, and cut off there. */
	buffer_clear(&raw);
	add_text(&raw, 20);
	add_base64(&raw, 72, 30);
	assert_int_equal(check(buffer_slice(&raw)), 1);
	assert_int_equal(check(slice_sub(buffer_slice(&raw), 0, raw.len - 1)), 1);
	assert_int_equal(check(slice_sub(buffer_slice(&raw), 0, raw.len - 40)), 1);
	/* At the beginning, cut off there, and between texts. */
	buffer_clear(&raw);
	add_base64(&raw, 76, 30);
	add_text(&raw, 20);
	assert_int_equal(check(buffer_slice(&raw)), 1);
	for (size_t cut = 1; cut < 80; cut++)
		assert_int_equal(check(slice_sub(buffer_slice(&raw), cut, raw.len)), 1);
	/* Several of different lengths, one behind the other, and the padded lines between them. */
	buffer_clear(&raw);
	add_text(&raw, 3);
	add_base64(&raw, 76, 8);
	buffer_add_cstr(&raw, "QUJDQUJDQUJDQUJDQQ==\r\n");
	add_base64(&raw, 64, 9);
	add_base64(&raw, 16, 40);
	add_base64(&raw, 996, 8);
	buffer_add_cstr(&raw, "\r\n");
	add_base64(&raw, 996, 10);
	assert_int_equal(check(buffer_slice(&raw)), 5);
	/* As many as there may be: any two differ in length. */
	buffer_clear(&raw);
	for (size_t i = 0; raw.len < BLOB_CHUNK_OCTETS - 20 * 8; i++)
		add_base64(&raw, i % 2 ? 16 : 20, 8);
	assert_true(check(buffer_slice(&raw)) > 300);
	buffer_free(&raw);
}

static void leaves_what_is_no_run(void **state)
{
	struct buffer raw = { 0 };
	srandom(2);
	/* Too few lines, too short, too long, no whole quartets. */
	for (unsigned i = 0; i < 50; i++) {
		add_base64(&raw, 76, 7);
		buffer_add_cstr(&raw, "-\r\n");
	}
	assert_int_equal(check(buffer_slice(&raw)), 0);
	buffer_clear(&raw);
	add_base64(&raw, 12, 100);
	add_base64(&raw, 1000, 10);
	assert_int_equal(check(buffer_slice(&raw)), 0);
	/* Little in all. */
	buffer_clear(&raw);
	add_base64(&raw, 20, 8);
	assert_int_equal(check(buffer_slice(&raw)), 0);
	/* Line ends that are none, or others. */
	for (unsigned kind = 0; kind < 5; kind++) {
		static const char *const ends[] = { "\n", "\r\r\n", " \r\n", "\r", "\n\r" };
		buffer_clear(&raw);
		for (unsigned i = 0; i < 50; i++) {
			add_base64(&raw, 76, 1);
			raw.len -= 2;
			buffer_add_cstr(&raw, ends[kind]);
		}
		assert_int_equal(check(buffer_slice(&raw)), 0);
	}
	/* In hexadecimal it is smaller as it is. */
	buffer_clear(&raw);
	for (unsigned i = 0; i < 800; i++) {
		for (unsigned n = 0; n < 16; n++)
			buffer_add_format(&raw, "%04x", (unsigned)random() & 0xffff);
		buffer_add_cstr(&raw, "\r\n");
	}
	assert_int_equal(check(buffer_slice(&raw)), 0);
	/* One octet. */
	assert_int_equal(check(SLICE("\n")), 0);
	assert_int_equal(check(SLICE("\r\n")), 0);
	assert_int_equal(check(SLICE("A")), 0);
	buffer_free(&raw);
}

/* One octet of a run is another: what is on both sides of that line still is one. */
static void a_line_that_is_broken_divides(void **state)
{
	static const char others[] = "=\r\n -_\x80";
	struct buffer raw = { 0 };
	srandom(3);
	for (size_t i = 0; i < sizeof(others); i++) /* NUL too */
		for (size_t at = 0; at < 78; at += at == 0 || at > 72 ? 1 : 24) {
			buffer_clear(&raw);
			add_base64(&raw, 76, 40);
			if (raw.data[20 * 78 + at] == (uint8_t)others[i])
				continue;
			raw.data[20 * 78 + at] = (uint8_t)others[i];
			assert_int_equal(check(buffer_slice(&raw)), 2);
		}
	buffer_free(&raw);
}

static void of_any_mixture(void **state)
{
	struct buffer raw = { 0 };
	srandom(4);
	for (unsigned i = 0; i < 400; i++) {
		buffer_clear(&raw);
		for (unsigned n = 1 + (unsigned)random() % 6; n > 0; n--)
			switch (random() % 5) {
			case 0: add_text(&raw, (size_t)random() % 60); break;
			case 1: add_random(&raw, (size_t)random() % 300); break;
			case 2: add_base64(&raw, 76, (size_t)random() % 100); break;
			case 3:
				add_base64(&raw, 4 + 4 * ((size_t)random() % 255),
					   (size_t)random() % 20);
				break;
			default:
				add_base64(&raw, 76, 1 + (size_t)random() % 20);
				raw.len -= (size_t)random() % 70;
				break;
			}
		buffer_add_byte(&raw, 'x');
		check(slice_sub(buffer_slice(&raw), (size_t)random() % raw.len, BLOB_CHUNK_OCTETS));
	}
	buffer_free(&raw);
}

static void of_real_messages(void **state)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/mime", getenv("BODE_SOURCE_ROOT"));
	DIR *folder = opendir(path);
	struct dirent *entry;
	struct buffer raw = { 0 };
	unsigned count = 0;
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/mime/%s",
			 getenv("BODE_SOURCE_ROOT"), entry->d_name);
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		buffer_clear(&raw);
		for (int c; (c = fgetc(file)) != EOF;) {
			if (c == '\n' && (raw.len == 0 || raw.data[raw.len - 1] != '\r'))
				buffer_add_byte(&raw, '\r');
			buffer_add_byte(&raw, (uint8_t)c);
		}
		fclose(file);
		for (size_t at = 0; at < raw.len; at += BLOB_CHUNK_OCTETS)
			check(slice_sub(buffer_slice(&raw), at, BLOB_CHUNK_OCTETS));
		count++;
	}
	closedir(folder);
	assert_true(count > 5);
	buffer_free(&raw);
}

/* As an older Bode wrote them. */
static void reads_the_first_version(void **state)
{
	struct buffer raw = { 0 }, record = { 0 };
	srandom(5);
	add_text(&raw, 20);
	add_base64(&raw, 76, 400);
	compress_plainly(buffer_slice(&raw), &record);
	check_beginning(buffer_slice(&raw), buffer_slice(&record), CHUNK_WHOLE);
	check_beginning(buffer_slice(&raw), buffer_slice(&record), 10);
	buffer_free(&raw);
	buffer_free(&record);
}

/* Who wants the text alone is not held up by what is behind it, damaged or not. */
static void the_beginning_needs_no_attachment(void **state)
{
	struct buffer raw = { 0 }, record = { 0 }, out = { 0 };
	srandom(6);
	add_text(&raw, 20);
	size_t text_octets = raw.len;
	add_base64(&raw, 76, 600);
	add_text(&raw, 5);
	chunk_compress(&store, buffer_slice(&raw), &record);
	record.data[record.len - 1] ^= 1;
	assert_true(chunk_decompress(&reading, buffer_slice(&record), (uint32_t)text_octets, &out));
	assert_int_equal(out.len, text_octets);
	assert_memory_equal(out.data, raw.data, out.len);
	assert_false(
		chunk_decompress(&reading, buffer_slice(&record), (uint32_t)text_octets + 1, &out));
	assert_int_equal(out.len, text_octets);
	buffer_free(&raw);
	buffer_free(&record);
	buffer_free(&out);
}

/* The same octets, or none. */
static bool is_same_or_nothing(struct slice raw, struct slice record)
{
	/* Memory of just that size, so that one octet too far is noticed. */
	uint8_t *copy = malloc(record.len ? record.len : 1);
	struct buffer out = { 0 };
	memcpy(copy, record.ptr, record.len);
	struct slice exact = slice_of(copy, record.len);
	bool is_same = chunk_decompress(&reading, exact, CHUNK_WHOLE, &out)
			       ? slice_eq(buffer_slice(&out), raw)
			       : out.len == 0;
	buffer_clear(&out);
	if (is_same && chunk_decompress(&reading, exact, 1, &out))
		is_same = slice_eq(buffer_slice(&out), slice_sub(raw, 0, out.len));
	buffer_free(&out);
	free(copy);
	return is_same;
}

/* Texts, and two runs of base64 of another length of line each. */
static void make_two_runs(struct buffer *raw, struct buffer *record)
{
	add_text(raw, 20);
	add_base64(raw, 76, 10);
	add_text(raw, 3);
	add_base64(raw, 64, 16);
	chunk_compress(&store, buffer_slice(raw), record);
}

static void notices_damage(void **state)
{
	struct buffer raw = { 0 }, record = { 0 };
	srandom(7);
	make_two_runs(&raw, &record);
	assert_int_equal(record.data[0], 4);
	for (size_t len = 0; len < record.len; len++)
		assert_true(is_same_or_nothing(buffer_slice(&raw),
					       slice_sub(buffer_slice(&record), 0, len)));
	for (size_t bit = 0; bit < record.len * 8; bit++) {
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(is_same_or_nothing(buffer_slice(&raw), buffer_slice(&record)));
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct buffer other = { 0 };
		buffer_add(&other, buffer_slice(&record));
		for (unsigned n = 1 + (unsigned)random() % 4; n > 0; n--)
			other.data[(size_t)random() % (i % 2 ? 40 : other.len)] = (uint8_t)random();
		assert_true(is_same_or_nothing(buffer_slice(&raw), buffer_slice(&other)));
		buffer_free(&other);
	}
	buffer_free(&raw);
	buffer_free(&record);
}

/* A list that lies, with the right checksum. */
static void believes_no_list(void **state)
{
	struct buffer raw = { 0 }, record = { 0 };
	srandom(8);
	make_two_runs(&raw, &record);
	assert_int_equal(get_be16(record.data + 7), 2);
	enum { LIST = 9, SUM = LIST + 2 * 6 + 4 };
	for (unsigned i = 0; i < 20000; i++) {
		struct buffer other = { 0 }, out = { 0 };
		buffer_add(&other, buffer_slice(&record));
		for (unsigned n = 1 + (unsigned)random() % 3; n > 0; n--)
			other.data[3 + random() % (SUM - 3)] = (uint8_t)(random() >> random() % 8);
		put_be32(other.data + SUM, (uint32_t)checksum_of(slice_of(other.data, SUM)));
		uint32_t octets = 0;
		if (chunk_decompress(&reading, buffer_slice(&other), CHUNK_WHOLE, &out)) {
			assert_true(chunk_raw_octets(buffer_slice(&other), &octets));
			assert_int_equal(out.len, octets);
		} else {
			assert_int_equal(out.len, 0);
		}
		buffer_free(&other);
		buffer_free(&out);
	}
	buffer_free(&raw);
	buffer_free(&record);
}

static size_t stored_octets(struct slice raw, size_t *plainly_out)
{
	struct buffer record = { 0 }, plain = { 0 };
	chunk_compress(&store, raw, &record);
	compress_plainly(raw, &plain);
	size_t octets = record.len;
	*plainly_out = plain.len;
	buffer_free(&record);
	buffer_free(&plain);
	return octets;
}

static uint8_t version_of(struct slice raw)
{
	struct buffer record = { 0 };
	chunk_compress(&store, raw, &record);
	uint8_t version = record.data[0];
	buffer_free(&record);
	check(raw);
	return version;
}

/* By what there is of it, not by the length of the chunk. */
static void long_text_is_zstds(void **state)
{
	enum { LONG = 26 * 1024 };
	struct buffer raw = { 0 };
	srandom(11);
	add_text(&raw, 2000);
	assert_true(raw.len > LONG);
	assert_int_equal(version_of(slice_sub(buffer_slice(&raw), 0, LONG)), 3);
	assert_int_equal(version_of(slice_sub(buffer_slice(&raw), 0, LONG + 1)), 1);
	raw.len = LONG - 2; /* and a line end */
	buffer_add_cstr(&raw, "\r\n");
	add_base64(&raw, 76, 300);
	assert_int_equal(version_of(buffer_slice(&raw)), 4);
	buffer_add_cstr(&raw, "x");
	assert_int_equal(version_of(buffer_slice(&raw)), 2);
	buffer_free(&raw);
}

/* What it is for: an attachment takes less than zstd alone makes of its base64, and one that was not
 * compressed before takes far less. */
static void attachments_take_less(void **state)
{
	struct buffer raw = { 0 }, octets = { 0 };
	size_t plainly;
	srandom(9);
	add_base64(&raw, 76, 800);
	assert_true(stored_octets(buffer_slice(&raw), &plainly) < plainly * 97 / 100);
	buffer_clear(&raw);
	add_text(&octets, 800);
	octets.len -= octets.len % 57;
	base64_encode_lines(buffer_slice(&octets), 76, &raw);
	assert_true(stored_octets(slice_sub(buffer_slice(&raw), 0, BLOB_CHUNK_OCTETS), &plainly) <
		    plainly * 3 / 4);
	buffer_free(&raw);
	buffer_free(&octets);
}

static int setup(void **state)
{
	store.dictionaries = dictionaries_new();
	return 0;
}

static int teardown(void **state)
{
	read_scratch_free(&reading);
	compressors_free(&store);
	dictionaries_free(&store.dictionaries);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_runs),
		cmocka_unit_test(leaves_what_is_no_run),
		cmocka_unit_test(a_line_that_is_broken_divides),
		cmocka_unit_test(of_any_mixture),
		cmocka_unit_test(of_real_messages),
		cmocka_unit_test(reads_the_first_version),
		cmocka_unit_test(the_beginning_needs_no_attachment),
		cmocka_unit_test(notices_damage),
		cmocka_unit_test(believes_no_list),
		cmocka_unit_test(long_text_is_zstds),
		cmocka_unit_test(attachments_take_less),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
