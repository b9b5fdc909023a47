/* mda/notice.c - a report to the sender of a message, into his mailbox or into the queue. Runs in the
 * back and in the admin's process. */
#include "mda/notice.h"

#include "base/clock.h"
#include "mail/text.h"

/* The stored message behind its Return-Path, as much of it as goes into the report. One that cannot be
 * read is reported without it. */
static void read_content(const struct notice *notice, bool whole, struct buffer *content)
{
	struct read *read = read_begin(notice->store);
	if (blob_read(read, notice->blob_id, 0, whole ? UINT64_MAX : REPORT_CONTENT_MAX_OCTETS,
		      content) != ERR_OK)
		buffer_clear(content);
	read_end(&read);
	if (slice_starts_nocase(buffer_slice(content), SLICE("return-path:")))
		buffer_drop_front(content, slice_find_byte(buffer_slice(content), 0, '\n') + 1);
}

static void format(const struct notice *notice, struct buffer *text)
{
	struct buffer content = { 0 };
	bool whole = report_wants_whole(notice->envelope, notice->recipients,
					notice->recipient_count, notice->size_octets);
	read_content(notice, whole, &content);
	const struct report report = {
		.hostname = slice_cstr(notice->config->hostname),
		.envelope = notice->envelope,
		.arrived_unix = notice->arrived_unix,
		.now_unix = clock_unix(),
		.retry_until_unix = notice->retry_until_unix,
		.recipients = notice->recipients,
		.recipient_count = notice->recipient_count,
		.content = buffer_slice(&content),
		.is_whole = whole,
	};
	report_format(&report, text);
	buffer_free(&content);
}

enum err notice_file(const struct notice *notice, struct filing **filing_out)
{
	const struct envelope *original = notice->envelope;
	const struct sender sender = { .config = notice->config, .may_relay = true };
	const struct envelope_recipient recipient = { .forward_path = original->reverse_path,
						      .notify = DSN_NEVER };
	struct buffer text = { 0 };

	format(notice, &text);
	const struct envelope envelope = {
		.body = text_is_ascii(buffer_slice(&text)) ? ENVELOPE_7BIT : ENVELOPE_8BITMIME,
		.is_utf8 = !text_is_ascii(original->reverse_path),
		.priority = original->priority,		/* RFC 6710 section 4.6 */
		.requires_tls = original->requires_tls, /* RFC 8689 section 5 */
		.recipient_count = 1,
	};
	struct filing *filing = filing_new(notice->store, notice->loop, &envelope, notice->filed,
					   NULL, notice->user);
	struct read *read = read_begin(notice->store);
	enum err err = filing_add_recipient(filing, read, &sender, &recipient);
	read_end(&read);
	if (err == ERR_OK) {
		filing_set_notice_of(filing, notice->blob_id, notice->queue_id);
		if (notice->also)
			filing_set_also(filing, notice->also);
		(void)filing_feed(filing, buffer_slice(&text));
		filing_commit(filing);
	} else {
		filing_free(&filing);
	}
	buffer_free(&text);
	*filing_out = filing;
	return err;
}
