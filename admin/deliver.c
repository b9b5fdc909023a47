/* admin/deliver.c - bode deliver: a message from standard input to a local address, the MDA by
 * hand. Line ends become CRLF, the form in which the store keeps messages. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "admin/delivery.h"
#include "base/buffer.h"

struct input {
	struct delivery *delivery;
	uint64_t size_octets, limit_octets;
	bool after_cr; /* the last octet read was a CR */
};

/* A line ends with CRLF, however it ended. */
static void feed_with_crlf(struct input *input, struct slice octets, struct buffer *lines)
{
	buffer_clear(lines);
	for (size_t i = 0; i < octets.len; i++) {
		uint8_t octet = octets.ptr[i];
		if (octet == '\r' || (octet == '\n' && !input->after_cr))
			buffer_add_cstr(lines, "\r\n");
		else if (octet != '\n')
			buffer_add_byte(lines, octet);
		input->after_cr = octet == '\r';
	}
	input->size_octets += lines->len;
	delivery_feed(input->delivery, buffer_slice(lines));
}

/* The whole of standard input. False: said what is wrong. */
static bool feed_input(struct input *input)
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
		if (input->size_octets > input->limit_octets) {
			admin_fail("the message is larger than [limits] message_size (%llu octets)",
				   (unsigned long long)input->limit_octets);
			got = -1;
			break;
		}
		feed_with_crlf(input, slice_of(piece, (size_t)got), &lines);
	}
	buffer_free(&lines);
	return got == 0;
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
	case ERR_REFUSED:
		return admin_fail(
			"%s is a list that not everybody may post to; \"bode alias list\" "
			"shows who may",
			text);
	case ERR_LIMIT:
		return admin_fail(
			"the alias %s leads to too many, or over too many aliases; \"bode "
			"alias list\" shows where to",
			text);
	case ERR_QUOTA:
		return admin_fail("the mailbox of %s is full; \"bode user quota\" raises its quota",
				  text);
	case ERR_LOOP:
		return admin_fail(
			"the message goes round in circles, as its Received or Delivered-To "
			"fields show; \"bode alias list\" shows where aliases lead");
	default: return admin_fail_store(err, "the message was not filed");
	}
}

int admin_deliver(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct address address, from;
	struct slice reverse_path = SLICE_NONE;

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

	struct input input = {
		.delivery = delivery_new(admin, SLICE("deliver"), reverse_path, SLICE_NONE),
		.limit_octets = admin->config->message_size_octets,
	};
	struct slice forward_path = address_format(&address, &admin->arena);
	enum err err = delivery_add(input.delivery, forward_path, SLICE_NONE);
	int status = EXIT_FAILURE;
	if (err != ERR_OK) {
		status = report(err, text);
		goto out;
	}
	if (feed_input(&input))
		status = report(delivery_commit(input.delivery), text);
out:
	delivery_free(&input.delivery);
	return status;
}
