/* tests/unit/smtpd/relay_bed.h - the queue's runner on a store of one's own, with mail of alice's that is
 * due. Its front is the test, which has a channel_send() of its own. */
#pragma once

#include "tests/unit/smtpd/back_bed.h"

#include "base/clock.h"
#include "smtpd/relay/runner_priv.h"

static struct relay_runner *runner;
static struct channel *const front = (struct channel *)&back;

struct relay_mail {
	struct queue_entry entry;
	struct intake *intake;
};

static inline enum err relay_mail_add(struct write *write, void *arg)
{
	struct relay_mail *mail = arg;
	mail->entry.size_octets = intake_size_octets(mail->intake);
	enum err err = intake_commit(write, mail->intake, &mail->entry.blob_id);
	return err == ERR_OK ? queue_add(write, &mail->entry) : err;
}

/* To one recipient, from alice, due since so long; the caller may have set more of `entry`. */
static inline void queue_mail(struct queue_entry entry, const char *to, int64_t due_ms,
			      struct slice message)
{
	struct envelope_recipient recipient = { .forward_path = slice_cstr(to) };
	struct relay_mail mail = { .entry = entry,
				   .intake = intake_new(bed.store, NULL, NULL, NULL) };
	mail.entry.account_id = bed.account_id;
	mail.entry.arrived_unix = clock_unix() - 10;
	mail.entry.next_unix_ms = clock_unix_ms() - due_ms;
	mail.entry.envelope.reverse_path = SLICE("alice@example.org");
	mail.entry.recipients = &recipient;
	mail.entry.recipient_count = 1;
	intake_feed(mail.intake, SLICE("Return-Path: <alice@example.org>\r\n"));
	intake_feed(mail.intake, message);
	assert_int_equal(intake_finish(mail.intake), ERR_OK);
	assert_int_equal(bed_write(&bed, relay_mail_add, &mail), ERR_OK);
	intake_free(&mail.intake);
}

static inline void runner_begin(void)
{
	runner = relay_runner_new(&back);
	relay_runner_add_channel(runner, front);
}

static inline void end_transfers(void)
{
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		while (runner->numbers[i])
			runner_end_transfer(runner->numbers[i]);
}

static inline void runner_end(void)
{
	end_transfers();
	while (!relay_runner_is_idle(runner))
		loop_run_once(back.loop, 20);
	relay_runner_free(&runner);
}
