/* tests/fuzz/chunk.c - the records of chunks: any octets come back from theirs, whole and in part; and
 * a record that says what the input says, its checksums right, is read to its end or refused. */
#include <assert.h>

#include "base/checksum.h"
#include "storage/base64_runs_priv.h"
#include "storage/chunk_priv.h"
#include "storage/text_frame_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct read reading = { .store = &store };

static void check_beginning(struct slice record, struct slice raw, uint32_t need_octets)
{
	struct buffer out = { 0 };
	assert(chunk_decompress(&reading, record, need_octets, &out));
	assert(out.len >= need_octets || out.len == raw.len);
	assert(slice_eq(buffer_slice(&out), slice_sub(raw, 0, out.len)));
	buffer_free(&out);
}

static void there_and_back(struct slice raw)
{
	struct buffer record = { 0 };
	chunk_compress(&store, raw, &record);
	check_beginning(buffer_slice(&record), raw, CHUNK_WHOLE);
	check_beginning(buffer_slice(&record), raw, raw.ptr[0]);
	check_beginning(buffer_slice(&record), raw, (uint32_t)raw.len / 2);
	buffer_free(&record);
}

static void read_any(struct slice record)
{
	struct buffer out = { 0 };
	uint32_t octets;
	bool is_good = chunk_decompress(&reading, record, CHUNK_WHOLE, &out);
	assert(is_good ? chunk_raw_octets(record, &octets) && out.len == octets : out.len == 0);
	buffer_clear(&out);
	if (chunk_decompress(&reading, record, 1, &out))
		assert(out.len <= BLOB_CHUNK_OCTETS);
	buffer_free(&out);
}

/* The input is the record's header but for what no mutation would ever hit. */
static void read_with_checksums(struct slice header)
{
	struct buffer record = { 0 }, zeros = { 0 };
	struct base64_runs runs;
	struct cursor c = cursor_of(header);
	uint32_t octets;
	if (!take_be32(&c, &octets) || octets > BLOB_CHUNK_OCTETS ||
	    !take_base64_runs(&c, octets, &runs))
		return;
	struct compressor *compressor = compressor_take(&store);
	memset(buffer_reserve(&zeros, BLOB_CHUNK_OCTETS), 0, BLOB_CHUNK_OCTETS);
	add_record_header(&record, 4, NO_DICTIONARY, octets);
	base64_runs_encode(&runs, &record);
	size_t at = record.len;
	buffer_add_be64(&record, 0);
	text_frame_compress(compressor, NULL, slice_of(zeros.data, runs.text_octets), &record);
	put_be32(record.data + at, (uint32_t)(record.len - at - 8));
	put_be32(record.data + at + 4, (uint32_t)checksum_of(slice_of(record.data, at + 4)));
	frame_compress(compressor, slice_of(zeros.data, runs.octets), 1, &record);
	compressor_give(&store, compressor);
	struct buffer out = { 0 };
	/* What take_base64_runs() took adds up. */
	assert(chunk_decompress(&reading, buffer_slice(&record), CHUNK_WHOLE, &out));
	assert(out.len == octets);
	buffer_free(&out);
	buffer_free(&record);
	buffer_free(&zeros);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	if (!store.dictionaries)
		store.dictionaries = dictionaries_new();
	if (size > 0)
		there_and_back(slice_sub(input, 0, BLOB_CHUNK_OCTETS));
	read_any(input);
	read_with_checksums(input);
	return 0;
}
