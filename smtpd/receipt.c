/* smtpd/receipt.c - "delivered" and "expanded" reports for recipients of this host (RFC 3461 sections
 * 4.1, 5.2.2 and 5.2.7).
 * Runs in the back.
 *
 * The report is written before the message is acknowledged, so that who is told "250" need not
 * wonder. Where the store fails it is tried again for as long as a client can be let wait who has ten
 * minutes (RFC 5321 section 4.5.3.2.6); then, the message has been filed all the same. What leaves by
 * the queue for one recipient, by way of an alias too, is the queue's to report on. */
#include "smtpd/receipt_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "mda/notice.h"

enum { AGAIN_MS = 5000, PATIENCE_MS = 2 * 60 * 1000 };

struct receipt {
	struct back *back;
	const struct envelope *original;
	uint64_t blob_id, size_octets;
	struct arena arena;
	struct report_recipient *told;
	size_t told_count;
	struct timer *again; /* after the store has failed, */
	uint64_t ends_ms;    /* until then */
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

static bool file(struct receipt *receipt);

static void on_again(void *user)
{
	struct receipt *receipt = user;

	if (!file(receipt))
		receipt->done(receipt->user);
}

/* False: there is no report, and will be none. */
static bool fail(struct receipt *receipt, enum err why)
{
	if (!err_is_store_failure(why) || loop_now_ms(receipt->back->loop) >= receipt->ends_ms) {
		log_warning(NULL, HEX("msg", receipt->blob_id), EVENT("sender-not-told"),
			    WORD("why", err_word(why)),
			    TEXT("to", receipt->original->reverse_path));
		return false;
	}
	if (!receipt->again)
		receipt->again = timer_new(receipt->back->loop, on_again, receipt);
	timer_start(receipt->again, AGAIN_MS);
	return true;
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct receipt *receipt = user;

	filing_free(&receipt->filing);
	if (outcome != ERR_OK && fail(receipt, outcome))
		return;
	if (outcome == ERR_OK)
		log_info(NULL, HEX("msg", receipt->blob_id), EVENT("sender-told"),
			 HEX("report", blob_id));
	receipt->done(receipt->user);
}

/* False as in fail(). */
static bool file(struct receipt *receipt)
{
	struct back *back = receipt->back;
	const struct notice notice = {
		.store = back->store,
		.loop = back->loop,
		.config = back->config,
		.envelope = receipt->original,
		.blob_id = receipt->blob_id,
		.size_octets = receipt->size_octets,
		.arrived_unix = clock_unix(),
		.recipients = receipt->told,
		.recipient_count = receipt->told_count,
		.filed = on_filed,
		.user = receipt,
	};
	enum err err = notice_file(&notice, &receipt->filing);
	return err == ERR_OK || fail(receipt, err);
}

struct receipt *receipt_begin(struct back *back, const struct envelope *envelope,
			      const struct filing *filed, uint64_t blob_id,
			      void (*done)(void *user), void *user)
{
	/* Never a report about a report (RFC 5321 section 4.5.5). */
	if (envelope->reverse_path.len == 0)
		return NULL;
	struct receipt *receipt = heap_alloc(sizeof(*receipt));
	receipt->back = back;
	receipt->original = envelope;
	receipt->blob_id = blob_id;
	receipt->size_octets = filing_size_octets(filed);
	receipt->ends_ms = loop_now_ms(back->loop) + PATIENCE_MS;
	receipt->done = done;
	receipt->user = user;
	receipt->told_count = collect(envelope, filed, &receipt->arena, &receipt->told);
	if (receipt->told_count == 0 || !file(receipt))
		receipt_free(&receipt);
	return receipt;
}

void receipt_free(struct receipt **receipt)
{
	if (!*receipt)
		return;
	filing_free(&(*receipt)->filing);
	timer_free(&(*receipt)->again);
	arena_fini(&(*receipt)->arena);
	free(*receipt);
	*receipt = NULL;
}
