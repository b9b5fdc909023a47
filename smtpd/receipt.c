/* smtpd/receipt.c - "delivered" and "expanded" reports for recipients of this host (RFC 3461 sections
 * 4.1, 5.2.2 and 5.2.7).
 * Runs in the back.
 *
 * The report is written before the message is acknowledged, so that who is told "250" need not
 * wonder. Where it cannot be written, the message has been filed all the same. What leaves by the
 * queue for one recipient, by way of an alias too, is the queue's to report on. */
#include "smtpd/receipt_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "mda/notice.h"

struct receipt {
	struct back *back;
	uint64_t blob_id;
	void (*done)(void *user);
	void *user;
	struct filing *filing;
};

/* Those who have it in their mailboxes, and those that stand for several who have it or will. */
static size_t collect(const struct envelope *envelope, const struct filing *filed,
		      struct arena *arena, struct report_recipient **told_out)
{
	enum err why;
	struct slice rest = envelope->recipients;
	struct envelope_recipient recipient;
	size_t count = 0;

	*told_out = arena_alloc_array(arena, envelope->recipient_count, sizeof(**told_out));
	for (size_t i = 0; envelope_next_recipient(&rest, &recipient); i++) {
		enum filing_fate fate = filing_fate(filed, i, &why);
		enum report_action action =
			fate == FILING_EXPANDED ? REPORT_EXPANDED : REPORT_DELIVERED;
		if (report_is_wanted(recipient.notify, action) &&
		    (fate == FILING_FILED || fate == FILING_EXPANDED))
			(*told_out)[count++] = (struct report_recipient){
				.forward_path = recipient.forward_path,
				.orcpt = recipient.orcpt,
				.action = action,
				.status = SLICE("2.1.5"),
			};
	}
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

/* False: it has nobody to go to. */
static bool file(struct receipt *receipt, const struct envelope *original, uint64_t size_octets,
		 const struct report_recipient *told, size_t count)
{
	struct back *back = receipt->back;
	const struct notice notice = {
		.store = back->store,
		.loop = back->loop,
		.config = back->config,
		.envelope = original,
		.blob_id = receipt->blob_id,
		.size_octets = size_octets,
		.arrived_unix = clock_unix(),
		.recipients = told,
		.recipient_count = count,
		.filed = on_filed,
		.user = receipt,
	};
	enum err err = notice_file(&notice, &receipt->filing);

	if (err != ERR_OK)
		log_warning(NULL, HEX("msg", receipt->blob_id), EVENT("sender-not-told"),
			    WORD("why", err_word(err)), TEXT("to", original->reverse_path));
	return err == ERR_OK;
}

struct receipt *receipt_begin(struct back *back, const struct envelope *envelope,
			      const struct filing *filed, uint64_t blob_id,
			      void (*done)(void *user), void *user)
{
	struct arena arena = { 0 };
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
		if (!file(receipt, envelope, filing_size_octets(filed), told, count))
			receipt_free(&receipt);
	}
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
