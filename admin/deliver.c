/* admin/deliver.c - bode deliver: a message from standard input to a local address, the MDA by
 * hand. Line ends become CRLF, the form in which the store keeps messages. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "base/clock.h"
#include "mda/filing.h"
#include "serve/control.h"
#include "smtpd/trace.h"

struct delivery {
	struct loop *loop;
	struct filing *filing;
	uint64_t size_octets, limit_octets;
	bool after_cr; /* the last octet read was a CR */
	bool full;     /* wait for room */
	bool filed;
	enum err outcome;
};

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct delivery *delivery = user;
	(void)blob_id;
	delivery->filed = true;
	delivery->outcome = outcome;
}

static void on_room(void *user)
{
	((struct delivery *)user)->full = false;
}

static void feed(struct delivery *delivery, struct slice octets)
{
	delivery->size_octets += octets.len;
	delivery->full = !filing_feed(delivery->filing, octets);
	while (delivery->full)
		loop_run_once(delivery->loop, 1000);
}

/* Every line feed gets the carriage return it lacks. */
static void feed_with_crlf(struct delivery *delivery, struct slice octets, struct buffer *lines)
{
	buffer_clear(lines);
	for (size_t i = 0; i < octets.len; i++) {
		if (octets.ptr[i] == '\n' && !delivery->after_cr)
			buffer_add_byte(lines, '\r');
		buffer_add_byte(lines, octets.ptr[i]);
		delivery->after_cr = octets.ptr[i] == '\r';
	}
	feed(delivery, buffer_slice(lines));
}

/* The whole of standard input. False: said what is wrong. */
static bool feed_input(struct delivery *delivery)
{
	struct buffer lines = { 0 };
	uint8_t piece[16384];
	ssize_t got;

	while ((got = read(STDIN_FILENO, piece, sizeof(piece))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			admin_fail("standard input cannot be read: %s", strerror(errno));
			break;
		}
		if (delivery->size_octets > delivery->limit_octets) {
			admin_fail("the message is larger than [limits] message_size (%llu octets)",
				   (unsigned long long)delivery->limit_octets);
			got = -1;
			break;
		}
		feed_with_crlf(delivery, slice_of(piece, (size_t)got), &lines);
	}
	buffer_free(&lines);
	return got == 0;
}

/* RFC 5321 section 4.4: who makes the final delivery notes the reverse path and the hop. */
static void feed_trace(struct delivery *delivery, struct admin *admin, struct slice reverse_path,
		       const struct address *address)
{
	struct buffer lines = { 0 };
	const struct trace trace = {
		.reverse_path = reverse_path,
		.hostname = slice_cstr(admin->config->hostname),
		.protocol = "local",
		.forward_path = address_format(address, &admin->arena),
		.arrived_unix = clock_unix(),
	};
	trace_format(&trace, &lines);
	feed(delivery, buffer_slice(&lines));
	buffer_free(&lines);
}

static int report(enum err err, const char *text)
{
	switch (err) {
	case ERR_OK: return EXIT_SUCCESS;
	case ERR_NOT_FOUND:
		return admin_fail("there is no user or alias %s; \"bode user list\" and \"bode "
				  "alias list\" show them",
				  text);
	case ERR_DENIED:
		return admin_fail("%s is not served here; \"bode domain list\" shows the domains",
				  text);
	case ERR_LIMIT: return admin_fail("the alias %s leads too deep or too far", text);
	case ERR_QUOTA: return admin_fail("the mailbox of %s is full (quota)", text);
	default: return admin_fail_store(err, "the message was not filed");
	}
}

int admin_deliver(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct address address, from;
	struct slice reverse_path = SLICE_NONE;
	struct envelope envelope = { .recipient_count = 1 };

	if (!admin_parse_options(admin, argc, argv, OPTION_FROM, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!admin_parse_address(admin, text, &address))
		return EXIT_FAILURE;
	if (options.from && options.from[0]) {
		if (!address_parse(slice_cstr(options.from), &admin->arena, &from))
			return admin_fail("\"%s\" is no mail address; write it as name@domain",
					  options.from);
		reverse_path = address_format(&from, &admin->arena);
	}
	if (!admin_open_store(admin))
		return EXIT_FAILURE;
	if (isatty(STDIN_FILENO))
		fputs("Type or paste the message, header first; end with Ctrl-D.\n", stderr);

	struct delivery delivery = { .limit_octets = admin->config->message_size_octets };
	store_start_writer(admin->store);
	delivery.loop = loop_new(0);
	envelope.reverse_path = reverse_path;
	delivery.filing =
		filing_new(admin->store, delivery.loop, &envelope, on_filed, on_room, &delivery);
	filing_set_origin(delivery.filing, &(struct journal_event){ .service = SLICE("deliver") });
	struct read *read = read_begin(admin->store);
	const struct sender sender = { .config = admin->config, .reverse_path = reverse_path };
	const struct envelope_recipient recipient = {
		.forward_path = address_format(&address, &admin->arena),
	};
	enum err err = filing_add_recipient(delivery.filing, read, &sender, &recipient);
	read_end(&read);
	const struct destinations *found = filing_destinations(delivery.filing);
	int status = EXIT_FAILURE;
	if (err != ERR_OK) {
		status = report(err, text);
		goto out;
	}
	if (found->remote_count > 0) {
		status = admin_fail("%s leads to %.*s, and mail for elsewhere cannot be sent yet",
				    text, SLICE_ARG(found->remotes[0].address));
		goto out;
	}
	feed_trace(&delivery, admin, reverse_path, &address);
	if (!feed_input(&delivery))
		goto out;
	filing_commit(delivery.filing);
	while (!delivery.filed)
		loop_run_once(delivery.loop, 1000);
	status = report(delivery.outcome, text);
	for (size_t i = 0; status == EXIT_SUCCESS && i < found->account_count; i++)
		control_notify_account(admin->config->state_dir, found->account_ids[i]);
out:
	filing_free(&delivery.filing);
	store_close(&admin->store);
	loop_free(delivery.loop);
	return status;
}
