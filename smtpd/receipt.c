/* smtpd/receipt.c - "delivered" reports for recipients of this host (RFC 3461 sections 4.1 and 5.2.2).
 * Runs in the back.
 *
 * The report is written before the message is acknowledged, so that who is told "250" need not
 * wonder. Where it cannot be written, the message has been filed all the same. What leaves by the
 * queue, by way of an alias too, is the queue's to report on. */
#include "smtpd/receipt_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "mda/report.h"
#include "storage/blob.h"

enum { HEADER_MAX_OCTETS = 64 * 1024 };

struct receipt {
	struct back *back;
	uint64_t blob_id;
	void (*done)(void *user);
	void *user;
	struct filing *filing;
};

/* Those who have it in their mailboxes, and nowhere else. */
static size_t collect(const struct envelope *envelope, const struct filing *filed,
		      struct arena *arena, struct report_recipient **told_out)
{
	enum err why;
	struct slice rest = envelope->recipients;
	struct envelope_recipient recipient;
	size_t count = 0;

	*told_out = arena_alloc_array(arena, envelope->recipient_count, sizeof(**told_out));
	for (size_t i = 0; envelope_next_recipient(&rest, &recipient); i++)
		if (report_is_wanted(recipient.notify, REPORT_DELIVERED) &&
		    filing_fate(filed, i, &why) == FILING_FILED)
			(*told_out)[count++] = (struct report_recipient){
				.forward_path = recipient.forward_path,
				.orcpt = recipient.orcpt,
				.action = REPORT_DELIVERED,
				.status = SLICE("2.1.5"),
			};
	return count;
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct receipt *receipt = user;

	if (outcome == ERR_OK)
		log_info(NULL, HEX("msg", receipt->blob_id), EVENT("sender-told"),
			 HEX("report", blob_id));
	else
		log_warning(NULL, HEX("msg", receipt->blob_id), EVENT("sender-not-told"),
			    WORD("why", err_word(outcome)));
	receipt->done(receipt->user);
}

static void format(const struct receipt *receipt, const struct envelope *envelope,
		   const struct report_recipient *told, size_t count, struct buffer *out)
{
	struct buffer content = { 0 };
	struct read *read = read_begin(receipt->back->store);

	/* One that cannot be read is reported without it. */
	if (blob_read(read, receipt->blob_id, 0, HEADER_MAX_OCTETS, &content) != ERR_OK)
		buffer_clear(&content);
	read_end(&read);
	if (slice_starts_nocase(buffer_slice(&content), SLICE("return-path:")))
		buffer_drop_front(&content, slice_find_byte(buffer_slice(&content), 0, '\n') + 1);
	const int64_t now_unix = clock_unix();
	const struct report report = {
		.hostname = slice_cstr(receipt->back->config->hostname),
		.envelope = envelope,
		.arrived_unix = now_unix,
		.now_unix = now_unix,
		.recipients = told,
		.recipient_count = count,
		.content = buffer_slice(&content),
	};
	report_format(&report, out);
	buffer_free(&content);
}

/* False: it has nobody to go to. */
static bool file(struct receipt *receipt, const struct envelope *original, struct slice text)
{
	struct back *back = receipt->back;
	const struct sender sender = { .config = back->config, .may_relay = true };
	const struct envelope envelope = { .body = ENVELOPE_8BITMIME,
					   .is_utf8 = original->is_utf8,
					   .priority = original->priority,
					   .recipient_count = 1 };
	const struct envelope_recipient recipient = { .forward_path = original->reverse_path,
						      .notify = DSN_NEVER };

	receipt->filing = filing_new(back->store, back->loop, &envelope, on_filed, NULL, receipt);
	struct read *read = read_begin(back->store);
	enum err err = filing_add_recipient(receipt->filing, read, &sender, &recipient);
	read_end(&read);
	if (err != ERR_OK) {
		log_warning(NULL, HEX("msg", receipt->blob_id), EVENT("sender-not-told"),
			    WORD("why", err_word(err)), TEXT("to", original->reverse_path));
		return false;
	}
	(void)filing_feed(receipt->filing, text);
	filing_commit(receipt->filing);
	return true;
}

struct receipt *receipt_begin(struct back *back, const struct envelope *envelope,
			      const struct filing *filed, uint64_t blob_id,
			      void (*done)(void *user), void *user)
{
	struct arena arena = { 0 };
	struct buffer text = { 0 };
	struct report_recipient *told;
	struct receipt *receipt = NULL;

	/* Never a report about a report (RFC 5321 section 4.5.5). */
	size_t count = envelope->reverse_path.len ? collect(envelope, filed, &arena, &told) : 0;
	if (count > 0) {
		receipt = heap_alloc(sizeof(*receipt));
		receipt->back = back;
		receipt->blob_id = blob_id;
		receipt->done = done;
		receipt->user = user;
		format(receipt, envelope, told, count, &text);
		if (!file(receipt, envelope, buffer_slice(&text)))
			receipt_free(&receipt);
	}
	buffer_free(&text);
	arena_fini(&arena);
	return receipt;
}

void receipt_free(struct receipt **receipt)
{
	if (!*receipt)
		return;
	filing_free(&(*receipt)->filing);
	free(*receipt);
	*receipt = NULL;
}
