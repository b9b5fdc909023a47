/* smtpd/relay/patience.c - the times of RFC 5321 section 4.5.3.2 for each thing that a server is told, and
 * how long it may draw out a message with them. Runs in the front.
 *
 * An hour to come to the message and to ask for its recipients; who was not asked for by then is left for
 * the next attempt, and the others get it: a server that takes its time for each of many gets something
 * with each attempt. With PIPELINING all were asked for at once, and nothing can be taken back: each reply
 * that is owed has its five minutes. Then an hour for the content, and what a slow line needs. */
#include "smtpd/relay/patience_priv.h"

enum {
	ASKING_MS = 3600 * 1000,
	CONTENT_MS = 3600 * 1000,
	CONTENT_OCTETS_PER_MS = 8,
};

void patience_begin(struct patience *patience, uint64_t now_ms)
{
	patience->message_ends_ms = now_ms + ASKING_MS;
}

/* Once all of it is out, or about to be, who leaves sends it once more to people who have it (section
 * 4.5.3.2.6), or to those who were asked for already. */
static bool is_bounded(enum client_state state)
{
	return state != CLIENT_GO && state != CLIENT_END;
}

/* A server that sends an octet now and then has no more time than one that is silent: it is whole steps
 * that count. */
void patience_wait(struct patience *patience, const struct client *client, bool has_message,
		   uint64_t now_ms)
{
	bool is_same_state = patience->waits && client->state == patience->state;
	if (is_same_state && client->steps == patience->steps)
		return;
	if (client->state == CLIENT_CONTENT && !is_same_state)
		patience->message_ends_ms =
			now_ms + CONTENT_MS + client->delivery.size_octets / CONTENT_OCTETS_PER_MS;
	patience->waits = true;
	patience->state = client->state;
	patience->steps = client->steps;
	patience->step_ends_ms = now_ms + client_timeout_ms(client);
	uint64_t ends_ms = patience->step_ends_ms;
	if (has_message && is_bounded(client->state) && patience->message_ends_ms < ends_ms)
		ends_ms = patience->message_ends_ms;
	timer_start(patience->timer, ends_ms > now_ms ? ends_ms - now_ms : 0);
}

void patience_wait_anew(struct patience *patience, const struct client *client, uint64_t now_ms)
{
	patience->waits = false;
	patience_wait(patience, client, true, now_ms);
}

bool patience_goes_on(struct patience *patience, const struct client *client, uint64_t now_ms)
{
	if (client->state != CLIENT_ENVELOPE || now_ms >= patience->step_ends_ms)
		return false;
	patience->message_ends_ms = UINT64_MAX;
	timer_start(patience->timer, patience->step_ends_ms - now_ms);
	return true;
}
