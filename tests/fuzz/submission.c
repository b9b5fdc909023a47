/* tests/fuzz/submission.c - the header of a submitted message, gathered from pieces and completed
 * (mda/submission.h). The first octet says how it is cut.
 *
 * However it is cut, the same comes out; nothing is lost but Bcc; Date and Message-ID are there. */
#include <stdlib.h>

#include "base/config.h"
#include "mail/header.h"
#include "mda/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static enum err run(struct slice message, size_t piece, struct buffer *out)
{
	static char hostname[] = "mx.example.org";
	static struct config config = { .hostname = hostname };
	const struct sender sender = { .config = &config };
	struct submission *submission = submission_new(NULL, &sender, SLICE("a@example.org"));
	enum err err = ERR_OK;

	for (size_t at = 0; err == ERR_OK && at < message.len; at += piece)
		err = submission_feed(submission, slice_sub(message, at, piece), out);
	if (err == ERR_OK)
		err = submission_finish(submission, out);
	submission_free(&submission);
	return err;
}

/* What is in `header` besides Bcc is in `done`, in its order. */
static void check_kept(struct slice header, struct slice done)
{
	struct cursor c = cursor_of(header);
	struct header_field field;
	size_t at = 0;

	while (take_header_field(&c, &field)) {
		if (slice_eq_nocase(field.name, SLICE("Bcc")) ||
		    slice_eq_nocase(field.name, SLICE("Resent-Bcc")))
			continue;
		size_t found = slice_find(done, at, field.whole);
		check(found < done.len || field.whole.len == 0);
		at = found + field.whole.len;
	}
}

/* Where the fields end and where the body begins: behind the empty line, or where lines stand that
 * are no fields and no field comes behind them. */
static size_t fields_end(struct slice message, size_t *body_out)
{
	size_t empty = slice_find(message, 0, SLICE("\r\n\r\n"));

	if (empty == message.len)
		return *body_out = header_end(message);
	size_t end = header_end(slice_sub(message, 0, empty + 2));
	*body_out = end < empty + 2 ? end : empty + 4;
	return end;
}

static void check_complete(struct slice done)
{
	struct slice header = slice_sub(done, 0, header_end(done));
	struct header_field field;

	check(!header_find(header, SLICE("Bcc"), &field));
	check(!header_find(header, SLICE("Resent-Bcc"), &field));
	check(header_find(header, SLICE("From"), &field));
	check(header_find(header, SLICE("Date"), &field));
	check(header_find(header, SLICE("Message-ID"), &field));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole = { 0 }, cut = { 0 };

	if (size == 0)
		return 0;
	const struct slice message = slice_of(data + 1, size - 1);
	enum err err = run(message, message.len + 1, &whole);
	check(run(message, 1 + data[0], &cut) == err);
	if (err == ERR_OK) {
		struct slice done = buffer_slice(&whole);
		/* The Message-ID that was added is another one each time. */
		check(cut.len == whole.len);
		check_complete(done);
		size_t body_at, end = fields_end(message, &body_at);
		check_kept(slice_sub(message, 0, end), done);
		/* The body is the end of both, octet for octet. */
		struct slice body = slice_sub(message, body_at, message.len);
		check(body.len <= done.len);
		check(slice_eq(slice_sub(done, done.len - body.len, body.len), body));
	}
	buffer_free(&whole);
	buffer_free(&cut);
	return 0;
}
