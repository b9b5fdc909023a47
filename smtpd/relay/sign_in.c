/* smtpd/relay/sign_in.c - signing in at a smarthost: AUTH (RFC 4954) with SCRAM-SHA-256, PLAIN or
 * LOGIN, the best that it offers. Runs in the front.
 *
 * A password in the clear goes only over TLS; the configuration sees to that, and this looks
 * again. */
#include "auth/scram_client.h"
#include "base/base64.h"
#include "smtpd/relay/client_priv.h"

static void add_base64_line(struct client *client, struct slice octets)
{
	base64_encode(octets, &client->out);
	buffer_add_cstr(&client->out, "\r\n");
}

static void begin_scram(struct client *client)
{
	struct buffer first = { 0 };
	client->scram = scram_client_new(slice_cstr(client->options.user),
					 slice_cstr(client->options.password), SLICE_NONE);
	scram_client_first(client->scram, &first);
	buffer_add_cstr(&client->out, "AUTH SCRAM-SHA-256 ");
	add_base64_line(client, buffer_slice(&first));
	buffer_free(&first);
}

static void begin_plain(struct client *client)
{
	struct buffer message = { 0 };
	buffer_add_byte(&message, 0);
	buffer_add_cstr(&message, client->options.user);
	buffer_add_byte(&message, 0);
	buffer_add_cstr(&message, client->options.password);
	buffer_add_cstr(&client->out, "AUTH PLAIN ");
	add_base64_line(client, buffer_slice(&message));
	buffer_wipe(&message);
}

enum client_wish client_auth_begin(struct client *client)
{
	client->state = CLIENT_AUTH;
	client->auth_step = 0;
	if (client->features & FEATURE_AUTH_SCRAM)
		begin_scram(client);
	else if (!client->is_secure)
		return client_close(client, "the way to the smarthost is not encrypted", NULL);
	else if (client->features & FEATURE_AUTH_PLAIN)
		begin_plain(client);
	else if (client->features & FEATURE_AUTH_LOGIN)
		buffer_add_cstr(&client->out, "AUTH LOGIN\r\n");
	else
		return client_close(
			client, "the smarthost offers no way to sign in that is known here", NULL);
	return CLIENT_WANTS_INPUT;
}

/* A challenge: 334 and base64. False: it makes no sense. */
static bool answer(struct client *client, struct slice text)
{
	struct buffer challenge = { 0 }, response = { 0 };
	unsigned step = client->auth_step++;
	bool good = base64_decode(slice_trim(text), &challenge);
	if (client->scram && good) {
		if (step == 0)
			good = scram_client_answer(client->scram, buffer_slice(&challenge),
						   &response) == ERR_OK;
		else
			good = step == 1 && scram_client_verify(client->scram,
								buffer_slice(&challenge)) == ERR_OK;
		if (good)
			add_base64_line(client, buffer_slice(&response));
	} else if (!client->scram && (client->features & FEATURE_AUTH_PLAIN)) {
		good = false; /* it was said all at once */
	} else if (!client->scram) {
		good = step < 2; /* LOGIN: what the server asks in words is not looked at */
		if (good)
			add_base64_line(client, slice_cstr(step == 0 ? client->options.user
								     : client->options.password));
	}
	buffer_wipe(&challenge);
	buffer_wipe(&response);
	return good;
}

/* RFC 5802 section 5.1: who has not proven that it knows the password is not the smarthost. Its
 * proof may come with the 235. */
static bool is_proven(struct client *client, struct slice text)
{
	struct buffer message = { 0 };
	if (!client->scram || client->auth_step == 2)
		return true;
	bool proven = base64_decode(slice_trim(text), &message) &&
		      scram_client_verify(client->scram, buffer_slice(&message)) == ERR_OK;
	buffer_free(&message);
	return proven;
}

enum client_wish client_auth_reply(struct client *client, const struct reply *reply)
{
	if (reply->code == 334) {
		if (answer(client, reply->text))
			return CLIENT_WANTS_INPUT;
		return client_close(client, "the smarthost's side of the sign-in makes no sense",
				    NULL);
	}
	if (reply->code != 235)
		return client_close(client, NULL, reply);
	if (!is_proven(client, slice_sub(reply->text, reply->status_octets, reply->text.len)))
		return client_close(client,
				    "the smarthost did not prove that it knows the password", NULL);
	client->is_signed_in = true;
	scram_client_free(&client->scram);
	return client_set_ready(client);
}
