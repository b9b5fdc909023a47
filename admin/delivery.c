/* admin/delivery.c - a message on its way into the store, from the admin's process. */
#include "admin/delivery.h"

#include "base/heap.h"
#include "serve/control.h"
#include "smtpd/local_message.h"

struct delivery {
	struct admin *admin;
	struct loop *loop;
	struct local_message *message;
	bool is_filed;
	enum err outcome; /* of what was fed so far; then of the filing */
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
	/* delivery_feed() looks by itself. */
}

struct delivery *delivery_new(struct admin *admin, struct slice service, struct slice reverse_path,
			      struct slice author)
{
	struct delivery *delivery = heap_alloc(sizeof(*delivery));
	const struct sender sender = { .config = admin->config,
				       .reverse_path = reverse_path,
				       .may_relay = author.len > 0 };
	const struct journal_event origin = { .service = service };

	delivery->admin = admin;
	store_start_writer(admin->store);
	delivery->loop = loop_new(0);
	delivery->message = local_message_new(admin->store, delivery->loop, &sender, author,
					      &origin, on_filed, on_room, delivery);
	return delivery;
}

enum err delivery_add(struct delivery *delivery, struct slice forward_path, struct slice fallback)
{
	struct read *read = read_begin(delivery->admin->store);
	enum err err = local_message_add(delivery->message, read, forward_path, fallback);

	read_end(&read);
	return err;
}

void delivery_feed(struct delivery *delivery, struct slice octets)
{
	if (delivery->outcome == ERR_OK)
		delivery->outcome = local_message_feed(delivery->message, octets);
	while (local_message_is_full(delivery->message))
		loop_run_once(delivery->loop, 1000);
}

enum err delivery_commit(struct delivery *delivery)
{
	const struct destinations *found =
		filing_destinations(local_message_filing(delivery->message));

	if (delivery->outcome == ERR_OK)
		delivery->outcome = local_message_commit(delivery->message);
	if (delivery->outcome != ERR_OK)
		return delivery->outcome;
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
	local_message_free(&d->message);
	store_close(&d->admin->store);
	loop_free(d->loop);
	free(d);
}
