/* admin/delivery.c - a message on its way into the store, from the admin's process. */
#include "admin/delivery.h"

#include "base/clock.h"
#include "base/heap.h"
#include "mail/text.h"
#include "serve/control.h"
#include "smtpd/trace.h"

struct delivery {
	struct admin *admin;
	struct loop *loop;
	struct filing *filing;
	struct slice reverse_path;
	bool may_relay; /* a program of this machine sends it: it may go anywhere */
	bool has_8bit;	/* of its content */
	bool is_utf8;	/* one of its addresses */
	bool is_full;	/* wait for room */
	bool is_filed;
	enum err outcome;
};

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct delivery *delivery = user;
	(void)blob_id;
	delivery->is_filed = true;
	delivery->outcome = outcome;
}

static void on_room(void *user)
{
	((struct delivery *)user)->is_full = false;
}

struct delivery *delivery_new(struct admin *admin, struct slice service, struct slice reverse_path)
{
	struct delivery *delivery = heap_alloc(sizeof(*delivery));
	const struct envelope envelope = { .reverse_path = reverse_path, .recipient_count = 1 };

	delivery->admin = admin;
	delivery->reverse_path = reverse_path;
	delivery->is_utf8 = !text_is_ascii(reverse_path);
	delivery->may_relay = slice_eq(service, SLICE("sendmail"));
	store_start_writer(admin->store);
	delivery->loop = loop_new(0);
	delivery->filing =
		filing_new(admin->store, delivery->loop, &envelope, on_filed, on_room, delivery);
	filing_set_origin(delivery->filing, &(struct journal_event){ .service = service });
	return delivery;
}

enum err delivery_add(struct delivery *delivery, struct slice forward_path)
{
	const struct sender sender = {
		.config = delivery->admin->config,
		.reverse_path = delivery->reverse_path,
		.may_relay = delivery->may_relay,
	};
	const struct envelope_recipient recipient = { .forward_path = forward_path };
	struct read *read = read_begin(delivery->admin->store);
	enum err err = filing_add_recipient(delivery->filing, read, &sender, &recipient);
	read_end(&read);
	delivery->is_utf8 |= err == ERR_OK && !text_is_ascii(forward_path);
	return err;
}

void delivery_feed(struct delivery *delivery, struct slice octets)
{
	delivery->has_8bit |= !text_is_ascii(octets);
	delivery->is_full = !filing_feed(delivery->filing, octets);
	while (delivery->is_full)
		loop_run_once(delivery->loop, 1000);
}

void delivery_feed_trace(struct delivery *delivery, struct slice forward_path)
{
	struct buffer lines = { 0 };
	const struct trace trace = {
		.reverse_path = delivery->reverse_path,
		.hostname = slice_cstr(delivery->admin->config->hostname),
		.protocol = "local",
		.forward_path = forward_path,
		.arrived_unix = clock_unix(),
	};
	trace_format(&trace, &lines);
	delivery_feed(delivery, buffer_slice(&lines));
	buffer_free(&lines);
}

enum err delivery_commit(struct delivery *delivery)
{
	const struct destinations *found = filing_destinations(delivery->filing);

	filing_set_form(delivery->filing, delivery->has_8bit ? ENVELOPE_8BITMIME : ENVELOPE_7BIT,
			delivery->is_utf8);
	filing_commit(delivery->filing);
	while (!delivery->is_filed)
		loop_run_once(delivery->loop, 1000);
	for (size_t i = 0; delivery->outcome == ERR_OK && i < found->account_count; i++)
		control_notify_account(delivery->admin->config->state_dir, found->account_ids[i]);
	if (delivery->outcome == ERR_OK && found->remote_count > 0)
		control_notify_queue(delivery->admin->config->state_dir);
	return delivery->outcome;
}

void delivery_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;

	*delivery = NULL;
	if (!d)
		return;
	filing_free(&d->filing);
	store_close(&d->admin->store);
	loop_free(d->loop);
	free(d);
}
