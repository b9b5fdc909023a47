/* mda/notice.c - a report to the sender of a message, into his mailbox or into the queue. Runs in the
 * back and in the admin's process.
 *
 * What it quotes must not keep it from arriving: nobody hears of a report that comes back. */
#include "mda/notice.h"

#include "base/clock.h"
#include "mail/downgrade.h"
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

static void format(const struct notice *notice, bool whole, struct buffer *text)
{
	struct buffer content = { 0 };
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

static enum err read_text(void *user, uint64_t offset, size_t len, struct buffer *out)
{
	const struct slice *text = user;
	buffer_add(out, slice_sub(*text, (size_t)offset, len));
	return ERR_OK;
}

/* Whether it can be converted for a server that takes 7 bits only. */
static bool fits_everywhere(struct slice text)
{
	const struct downgrade_source source = { read_text, &text };
	struct downgrade_outcome outcome;
	struct arena arena = { 0 };
	struct mime_parser *parser = mime_parser_new(&arena);
	mime_parser_feed(parser, text);
	bool fits = downgrade_plan(&source, mime_parser_finish(&parser), 0, DOWNGRADE_TO_7BIT,
				   &outcome) == ERR_OK &&
		    outcome.verdict <= DOWNGRADE_PLANNED;
	downgrade_free(&outcome.plan);
	arena_fini(&arena);
	return fits;
}

/* With the message, or with its header alone: that is text, which can be encoded, where a message has
 * fields or signatures that cannot (RFC 6522 section 3). Where the sender's address needs SMTPUTF8, a
 * server that takes it takes 8 bits. */
static void format_fitting(const struct notice *notice, bool leaves, struct buffer *text)
{
	bool whole = report_wants_whole(notice->envelope, notice->recipients,
					notice->recipient_count, notice->size_octets);
	format(notice, whole, text);
	if (whole && leaves && text_is_ascii(notice->envelope->reverse_path) &&
	    !fits_everywhere(buffer_slice(text))) {
		buffer_clear(text);
		format(notice, false, text);
	}
}

enum err notice_file(const struct notice *notice, struct filing **filing_out)
{
	const struct envelope *original = notice->envelope;
	const struct sender sender = { .config = notice->config, .may_relay = true };
	const struct envelope_recipient recipient = { .forward_path = original->reverse_path,
						      .notify = DSN_NEVER };
	struct buffer text = { 0 };
	const struct envelope envelope = {
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
		format_fitting(notice, filing_destinations(filing)->remote_count > 0, &text);
		filing_set_form(filing,
				text_is_ascii(buffer_slice(&text)) ? ENVELOPE_7BIT
								   : ENVELOPE_8BITMIME,
				!text_is_ascii(original->reverse_path));
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
