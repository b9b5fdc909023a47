/* tests/fuzz/relay_client.c - what another server says to the sending client: whatever it is, the
 * client ends with a result for each recipient, or waits for more. Also what the front says of a
 * delivery to the back. */
#include <assert.h>

#include "base/log.h"
#include "smtpd/relay/client_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_results(const struct client *client)
{
	for (size_t i = 0; i < client->recipient_count; i++) {
		assert(client->results[i].words.ptr != NULL);
		assert(client->results[i].words.len <= DELIVERY_WORDS_MAX_OCTETS);
		assert(client->results[i].verdict < DELIVERY_VERDICT_COUNT);
	}
}

static void talk(struct client *client, struct slice input, const struct delivery_message *message)
{
	static const uint8_t content[64] = "line\r\n.dot\r\n";
	const struct delivery_message formed[] = { { .form = ENVELOPE_7BIT, .size_octets = 20 },
						   { .form = message->form, .size_octets = 20 } };
	struct cursor in = cursor_of(input);
	unsigned begun = 0;
	enum client_wish wish = client_feed(client, &in);
	for (unsigned turn = 0; turn < 200; turn++) {
		buffer_clear(&client->out);
		switch (wish) {
		case CLIENT_WANTS_TLS: wish = client_secured(client); continue;
		case CLIENT_IS_READY:
			if (begun++ == 3)
				return;
			wish = client_begin(client, message, begun == 2);
			continue;
		case CLIENT_WANTS_FORM: wish = client_formed(client, &formed[begun % 2]); continue;
		case CLIENT_WANTS_CONTENT:
			wish = client_content(client,
					      slice_of(content, client->delivery.size_octets));
			continue;
		case CLIENT_HAS_RESULT:
			check_results(client);
			wish = client_next(client);
			continue;
		case CLIENT_IS_OVER:
			if (begun > 0)
				check_results(client);
			return;
		case CLIENT_WANTS_INPUT: break;
		}
		if (at_end(&in))
			break;
		const uint8_t *before = in.at;
		wish = client_feed(client, &in);
		if (wish == CLIENT_WANTS_INPUT && in.at == before)
			break;
	}
	client_abandon(client, "the end");
	if (begun > 0)
		check_results(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct log log;
	struct buffer recipients = { 0 };
	struct delivered_message said;
	if (size == 0)
		return 0;
	struct client_options options = {
		.hostname = "me.example",
		.is_lmtp = data[0] & 1,
		.tls = data[0] & 2 ? CLIENT_TLS_MAY : CLIENT_TLS_NONE,
		.is_secure = data[0] & 4,
		.user = data[0] & 8 ? "user" : NULL,
		.password = "pencil",
	};
	struct delivery_message message = { .destination = SLICE("far.example"),
					    .size_octets = 12,
					    .form = (enum envelope_body)(data[0] >> 6) %
						    ENVELOPE_BODY_COUNT };
	struct client client;
	for (int i = 0; i < 3; i++)
		envelope_encode_recipient(
			&(struct envelope_recipient){ .forward_path = SLICE("bob@far.example") },
			&recipients);
	message.envelope.recipient_count = 3;
	message.envelope.recipients = buffer_slice(&recipients);
	client_init(&client, &options, &log);
	talk(&client, slice_of(data + 1, size - 1), &message);
	client_fini(&client);
	(void)delivered_decode(slice_of(data, size), &said);
	buffer_free(&recipients);
	return 0;
}
