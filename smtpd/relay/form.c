/* smtpd/relay/form.c - an entry's content for a server that takes less than there is in it: 7 bits
 * (RFC 6152 section 3), or 8 bits but nothing binary (RFC 3030 section 3). Runs in the back.
 *
 * Here and not in the front, which is the one to find out what the server takes, for three reasons. The
 * structure of the message lies beside its body, so nobody parses it again; the body can be read twice,
 * which the length needs that the server is told first; and the process that talks to strangers stays
 * without a parser for what other strangers have written. What is stored stays as it is, for the next
 * server may take it.
 *
 * Looking through a message takes milliseconds for each megabyte, on the worker pool; what comes of it is
 * kept for the next attempt (looks.c). Converting it goes with sending it, a window at a time, on the loop. */
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "mail/digest.h"
#include "runtime/pool.h"
#include "smtpd/relay/runner_priv.h"
#include "storage/blob.h"

/* More than a front has reason to ask for: a message has two lesser forms, and where the lesser of them
 * cannot be had it begins with the stored one again. */
enum { FORMS_WANTED_MAX = 4 };
/* A server that lets strangers wait (greylisting) may have another speak for it until then, which takes
 * less. So often nothing is concluded from what is not offered. */
enum { GREYLIST_ATTEMPTS = 3 };
#define UNCONVERTED "and the message cannot be converted: "
_Static_assert((int)DOWNGRADE_CHUNK_OCTETS == (int)BLOB_CHUNK_OCTETS,
	       "each chunk is decompressed once");

struct blob_source {
	struct store *store;
	uint64_t blob_id;
};

struct conversion {
	struct work work;
	struct task known; /* instead of the work */
	struct relay_runner *runner;
	struct transfer *transfer; /* NULL: nobody waits for it any more */
	struct blob_source blob;
	uint64_t end; /* of the content in the blob */
	enum envelope_body form;
	enum err err;
	struct look look;
};

static const struct {
	const char *status, *words; /* the status without its class */
} refusals[DOWNGRADE_VERDICTS] = {
	/* RFC 3463 section 3.7, RFC 6531 section 3.4 */
	[DOWNGRADE_HEADER] = { "6.9", "a header has octets that are no ASCII text" },
	[DOWNGRADE_SIGNED] = { "6.2", "a part that would have to be changed is signed" },
	[DOWNGRADE_FORBIDDEN] = { "6.2",
				  "a part that would have to be encoded is of a type that may not "
				  "be (message/partial or message/external-body)" },
	[DOWNGRADE_ENCODING] = { "6.3", "a part is in an encoding that is not known here" },
	[DOWNGRADE_LIMIT] = { "6.3", "it has too many parts, or too long headers" },
};

/* ---- on the worker pool ---- */

static enum err read_blob(void *user, uint64_t offset, size_t len, struct buffer *out)
{
	const struct blob_source *blob = user;
	struct read *read = read_begin(blob->store);
	enum err err = blob_read(read, blob->blob_id, offset, len, out);
	read_end(&read);
	return err;
}

static enum err read_structure(struct conversion *conversion, struct arena *arena,
			       struct mime_part **root_out)
{
	struct slice record;
	struct read *read = read_begin(conversion->blob.store);
	enum err err = blob_digest(read, conversion->blob.blob_id, arena, &record);
	read_end(&read);
	if (err == ERR_OK && (!digest_decode_structure(record, arena, root_out) ||
			      (*root_out)->body_end != conversion->end))
		err = ERR_DAMAGED;
	return err;
}

static void run(struct work *work)
{
	struct conversion *conversion = CONTAINER_OF(work, struct conversion, work);
	const struct downgrade_source source = { read_blob, &conversion->blob };
	struct arena arena = { 0 };
	struct mime_part *root = NULL;
	conversion->err = read_structure(conversion, &arena, &root);
	if (conversion->err == ERR_OK)
		conversion->err = downgrade_plan(&source, root, conversion->look.start,
						 conversion->look.form, &conversion->look.outcome);
	arena_fini(&arena);
}

/* ---- on the loop ---- */

enum envelope_body transfer_stored_form(const struct transfer *transfer)
{
	/* Octets above 127 may have come without a word about them (smtpd/content.c). */
	return transfer->entry.envelope.body == ENVELOPE_BINARYMIME ? ENVELOPE_BINARYMIME
								    : ENVELOPE_8BITMIME;
}

static void answer(struct transfer *transfer, const struct delivery_form_message *message)
{
	struct buffer payload = { 0 };
	delivery_form_encode(message, &payload);
	channel_send(transfer->channel, MESSAGE_DELIVERY_FORM, transfer->number,
		     buffer_slice(&payload), -1);
	buffer_free(&payload);
	transfer_send_anew(transfer);
}

/* How often it was seen that it would have to be converted. That a server could not be reached, or did not
 * want to, says nothing of what it takes. */
static unsigned times_unconverted(const struct queue_entry *entry)
{
	unsigned times = 0;
	for (size_t i = 0; i < entry->attempt_count; i++) {
		struct slice words = entry->attempts[i].words;
		times += slice_find(words, 0, SLICE(UNCONVERTED)) < words.len;
	}
	return times;
}

static void refuse(struct transfer *transfer, enum envelope_body form,
		   enum downgrade_verdict verdict)
{
	struct buffer words = { 0 };
	char status[16];
	snprintf(status, sizeof(status), "%d.%s",
		 times_unconverted(&transfer->entry) < GREYLIST_ATTEMPTS ? 4 : 5,
		 refusals[verdict].status);
	buffer_add_format(&words, "the other server does not take %s, " UNCONVERTED "%s",
			  form == ENVELOPE_7BIT ? "8-bit content (8BITMIME)"
						: "binary content (BINARYMIME)",
			  refusals[verdict].words);
	answer(transfer, &(struct delivery_form_message){ .form = transfer->form,
							  .size_octets = transfer->blob_end -
									 transfer->blob_start,
							  .status = slice_cstr(status),
							  .words = buffer_slice(&words) });
	buffer_free(&words);
}

static void note_converted(const struct transfer *transfer, const struct downgrade_outcome *outcome)
{
	log_info(NULL, HEX("msg", transfer->entry.blob_id), EVENT("content-converted"),
		 NUM("entry", transfer->entry.queue_id),
		 WORD("to", transfer->form == ENVELOPE_7BIT ? "7bit" : "8bit"),
		 NUM("parts", outcome->encoded), NUM("octets", outcome->size_octets),
		 NUM("breaks-dkim", outcome->breaks_dkim));
}

/* For the next who asks. */
static void keep_look(struct relay_runner *runner, struct look *look)
{
	if (look->blob_id != 0)
		looks_keep(&runner->looks, look, loop_now_ms(runner->back->loop));
	*look = (struct look){ .blob_id = 0 };
}

static void come_home(struct transfer *transfer, struct conversion *conversion)
{
	const struct downgrade_outcome *outcome = &transfer->look.outcome;
	struct delivery_form_message message = {
		.form = conversion->form,
		.size_octets = transfer->blob_end - transfer->blob_start,
	};
	if (!transfer->channel) /* it has an end already */
		return;
	if (conversion->err != ERR_OK) {
		transfer_unreadable(transfer, conversion->err);
		return;
	}
	transfer->look = conversion->look;
	conversion->look = (struct look){ .blob_id = 0 };
	buffer_clear(&transfer->converted);
	if (outcome->verdict > DOWNGRADE_PLANNED) {
		transfer->form = transfer_stored_form(transfer);
		refuse(transfer, conversion->form, outcome->verdict);
		return;
	}
	transfer->form = conversion->form;
	if (outcome->leaves_header)
		log_info(NULL, HEX("msg", transfer->entry.blob_id), EVENT("header-not-converted"),
			 NUM("entry", transfer->entry.queue_id));
	if (outcome->verdict == DOWNGRADE_PLANNED) {
		message.size_octets = outcome->size_octets;
		note_converted(transfer, outcome);
	}
	answer(transfer, &message);
}

static void end(struct conversion *conversion)
{
	struct transfer *transfer = conversion->transfer;
	conversion->runner->conversion_count--;
	if (transfer) {
		transfer->conversion = NULL;
		come_home(transfer, conversion);
	}
	if (conversion->err == ERR_OK)
		keep_look(conversion->runner, &conversion->look);
	free(conversion);
}

static void done(struct work *work)
{
	end(CONTAINER_OF(work, struct conversion, work));
}

static void was_known(struct task *task)
{
	end(CONTAINER_OF(task, struct conversion, known));
}

/* Of old programs comes mail that has 8 bits and says nothing of it. The bodies can be converted; what may
 * be in the header goes as it is, as it does from other servers, since one such octet that a stranger
 * puts there is not to be a reason for mail to whoever he says has sent it. In that we depart from RFC
 * 6152 section 3 and RFC 5321 section 2.4, which want it sent back. */
static enum downgrade_form form_to_have(const struct envelope *envelope, enum envelope_body form)
{
	if (form == ENVELOPE_8BITMIME)
		return DOWNGRADE_TO_8BIT;
	return envelope->body == ENVELOPE_7BIT && !envelope->is_utf8 ? DOWNGRADE_BODIES_TO_7BIT
								     : DOWNGRADE_TO_7BIT;
}

bool transfer_want_form(struct transfer *transfer, struct slice payload)
{
	enum envelope_body form;
	/* Each question costs a look through the message. */
	if (!form_wanted_decode(payload, &form) || form >= transfer->form || transfer->conversion ||
	    transfer->forms_wanted == FORMS_WANTED_MAX)
		return false;
	struct relay_runner *runner = transfer->runner;
	struct loop *loop = runner->back->loop;
	transfer->forms_wanted++;
	keep_look(runner, &transfer->look);
	struct conversion *conversion = heap_alloc(sizeof(*conversion));
	conversion->work = (struct work){ .run = run, .done = done };
	conversion->known.run = was_known;
	conversion->runner = runner;
	conversion->transfer = transfer;
	conversion->blob = (struct blob_source){ .store = runner->back->store,
						 .blob_id = transfer->entry.blob_id };
	conversion->end = transfer->blob_end;
	conversion->form = form;
	conversion->look = (struct look){
		.blob_id = transfer->entry.blob_id,
		.start = transfer->blob_start,
		.form = form_to_have(&transfer->entry.envelope, form),
	};
	transfer->conversion = conversion;
	runner->conversion_count++;
	if (looks_take(&runner->looks, &conversion->look, loop_now_ms(loop)))
		loop_post(loop, &conversion->known);
	else
		pool_submit(loop, &conversion->work);
	return true;
}

void transfer_leave_form(struct transfer *transfer)
{
	if (transfer->conversion)
		transfer->conversion->transfer = NULL;
	transfer->conversion = NULL;
	keep_look(transfer->runner, &transfer->look);
}

enum err transfer_convert(struct transfer *transfer)
{
	struct blob_source blob = { transfer->runner->back->store, transfer->entry.blob_id };
	const struct downgrade_source source = { read_blob, &blob };
	return downgrade_read(transfer->look.outcome.plan, &source, DELIVERY_FRAME_OCTETS,
			      &transfer->converted);
}

struct slice transfer_conversion_words(const struct transfer *transfer)
{
	if (!transfer->look.outcome.plan)
		return SLICE_NONE;
	return transfer->form == ENVELOPE_7BIT
		       ? SLICE("converted, since that server takes 7-bit content only")
		       : SLICE("converted, since that server takes no binary content");
}
