/* admin/why_words.c - the life of a message or a connection in plain words. What strangers have
 * said is shown as text and nothing else: no control character of theirs reaches the terminal.
 * Runs in the admin's process. */
#include <time.h>

#include "admin/shown.h"
#include "admin/why_priv.h"

/* ---- pieces ---- */

static void add_address(struct buffer *out, struct slice address)
{
	if (address.len == 0)
		buffer_add_cstr(out, "the null sender (a report)");
	else
		add_shown(out, address);
}

static void add_host_name(struct buffer *out, const struct journal_event *event)
{
	char peer[PEER_TEXT_MAX];
	peer_format(&event->peer, peer);
	buffer_add_cstr(out, event->peer.family ? peer : "this machine");
	if (event->client_name.len > 0) {
		buffer_add_cstr(out, ", which calls itself ");
		add_shown(out, event->client_name);
	}
}

static struct slice protocol_of(const struct journal_event *event)
{
	if (event->service.len == 0 || slice_starts_nocase(event->service, SLICE("submission")))
		return SLICE("smtp");
	if (slice_eq(event->service, SLICE("imaps")) || slice_eq(event->service, SLICE("pop3s")))
		return slice_sub(event->service, 0, 4);
	return event->service;
}

void why_add_connection(struct buffer *out, const struct journal_event *event)
{
	add_shown(out, protocol_of(event));
	buffer_add_format(out, "-%x", (unsigned)event->conn_id);
}

static void add_time(struct buffer *out, int64_t unix_ms)
{
	char text[32] = "";
	struct tm tm;
	time_t seconds = (time_t)(unix_ms / 1000);
	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	buffer_add_cstr(out, text);
}

const char *why_kind(enum journal_kind kind)
{
	static const char *const words[JOURNAL_KIND_COUNT] = {
		[JOURNAL_TURNED_AWAY] = "turned-away",
		[JOURNAL_LEFT] = "left",
		[JOURNAL_REFUSED] = "refused",
		[JOURNAL_SIGNED_IN] = "signed-in",
		[JOURNAL_SIGN_IN_REFUSED] = "sign-in-refused",
		[JOURNAL_NOT_FILED] = "not-filed",
		[JOURNAL_RECEIVED] = "received",
		[JOURNAL_FILED] = "filed",
		[JOURNAL_QUEUED] = "queued",
		[JOURNAL_RELAYED] = "relayed",
		[JOURNAL_DEFERRED] = "deferred",
		[JOURNAL_BOUNCED] = "bounced",
		[JOURNAL_NOTIFIED] = "notified",
	};
	return words[kind];
}

/* Words of our own for the words of the log. */
static const char *plain(struct slice why)
{
	static const struct {
		const char *word, *words;
	} known[] = {
		{ "quit", "it said goodbye" },
		{ "client-left", "it went away without a word" },
		{ "timeout", "it was silent for too long" },
		{ "shutdown", "the server was stopping" },
		{ "too-many-errors", "it was sent away after too many errors" },
		{ "too-many-sign-ins", "it was sent away after too many wrong passwords" },
		{ "too-fast", "it was sent away: too many commands" },
		{ "too-many-connections", "there were too many connections of all clients" },
		{ "too-many-of-this-address", "there were too many connections of its address" },
		{ "no-descriptors",
		  "the server had as many connections as the system lets it have" },
		{ "denied", "the login or the password is wrong" },
		{ "throttled", "too many wrong passwords before; later attempts may work" },
		{ "quota", "a mailbox is full" },
		{ "gone", "a mailbox was removed meanwhile" },
		{ "not-found", "a recipient was removed meanwhile" },
		{ "limit", "it is too large" },
		{ "full", "the disk is full" },
		{ "disk", "the store failed; the log says how" },
		{ "bad-input", "the sender named in it is not an address of who sent it" },
		{ "rate", "the sender has reached the limit of a day" },
		{ "busy", "too much was going on at once" },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_eq(why, slice_cstr(known[i].word)))
			return known[i].words;
	return NULL;
}

static void add_why(struct buffer *out, const char *before, const struct journal_event *event)
{
	const char *words = plain(event->why);
	if (event->reply.len > 0) {
		buffer_add_cstr(out, before);
		add_shown(out, event->reply);
		before = "; ";
	}
	if (event->why.len == 0)
		return;
	buffer_add_cstr(out, before);
	if (words)
		buffer_add_cstr(out, words);
	else
		add_shown(out, event->why);
}

/* ---- events ---- */

static void received(struct buffer *out, const struct journal_event *event)
{
	if (slice_eq(event->service, SLICE("deliver")) ||
	    slice_eq(event->service, SLICE("sendmail"))) {
		buffer_add_cstr(out, "handed in on this machine with \"bode ");
		add_shown(out, event->service);
		buffer_add_cstr(out, "\"");
		return;
	}
	if (event->login.len > 0) {
		buffer_add_cstr(out, "submitted by ");
		add_shown(out, event->login);
		buffer_add_cstr(out, " from ");
	} else {
		buffer_add_cstr(out, "received from ");
	}
	add_host_name(out, event);
	buffer_add_cstr(out, event->secure ? ", with TLS" : ", without TLS");
	if (event->conn_id) {
		buffer_add_cstr(out, ", connection ");
		why_add_connection(out, event);
	}
}

static void filed(struct read *read, struct arena *arena, struct buffer *out,
		  const struct journal_event *event)
{
	struct filed_place place;
	if (event->account_id == 0) {
		buffer_add_cstr(out, "also for ");
		add_shown(out, event->recipient);
		buffer_add_cstr(out, ", who is served by what was filed for the others");
		return;
	}
	why_look_up(read, arena, event, &place);
	buffer_add_cstr(out, "filed for ");
	add_shown(out, event->recipient);
	buffer_add_cstr(out, " in ");
	if (place.mailbox.len > 0)
		add_shown(out, place.mailbox);
	else
		buffer_add_cstr(out, "a mailbox that is no more");
	if (place.login.len == 0) {
		buffer_add_cstr(out, " of a user who is no more");
	} else if (!slice_eq_nocase(place.login, event->recipient)) {
		buffer_add_cstr(out, " of ");
		add_shown(out, place.login);
	}
	buffer_add_format(out, ", UID %u", (unsigned)event->uid);
	if (place.whereabouts == WHEREABOUTS_THERE)
		buffer_add_cstr(out, "; it is there now");
	else if (place.whereabouts == WHEREABOUTS_GONE)
		buffer_add_cstr(out, "; it is not there any more: moved or deleted since");
}

static void queued(struct buffer *out, const struct journal_event *event)
{
	buffer_add_cstr(out, "queued for ");
	add_shown(out, event->recipient);
	if (event->host.len > 0 && !slice_eq_nocase(event->host, event->recipient)) {
		buffer_add_cstr(out, ", which leads to ");
		add_shown(out, event->host);
	}
	add_why(out, ": ", event);
	if (event->next_unix_ms) {
		buffer_add_cstr(out, ", until ");
		add_time(out, event->next_unix_ms);
	}
}

static void sent(struct buffer *out, const char *words, const struct journal_event *event)
{
	buffer_add_cstr(out, words);
	add_shown(out, event->recipient);
	if (event->host.len > 0) {
		buffer_add_cstr(out, " by ");
		add_shown(out, event->host);
	}
	add_why(out, ": ", event);
	if (event->next_unix_ms) {
		buffer_add_cstr(out, "; tried again at ");
		add_time(out, event->next_unix_ms);
	}
}

static void refused(struct buffer *out, const struct journal_event *event)
{
	if (event->recipient.len > 0) {
		buffer_add_cstr(out, "refused for ");
		add_shown(out, event->recipient);
	} else if (event->command.len > 0) {
		add_shown(out, event->command);
		buffer_add_cstr(out, " refused");
	} else {
		buffer_add_cstr(out, "a command refused");
	}
	if (event->sender.ptr) {
		buffer_add_cstr(out, ", from ");
		add_address(out, event->sender);
	}
	add_why(out, ": ", event);
}

static void signed_in(struct buffer *out, const struct journal_event *event)
{
	bool is_refused = event->kind == JOURNAL_SIGN_IN_REFUSED;
	buffer_add_cstr(out, is_refused ? "sign-in refused to " : "signed in: ");
	add_shown(out, event->login);
	if (is_refused)
		add_why(out, ": ", event);
}

void why_words(struct read *read, struct arena *arena, const struct life *life,
	       const struct journal_event *event, struct buffer *out)
{
	switch (event->kind) {
	case JOURNAL_TURNED_AWAY:
		buffer_add_cstr(out, "not let in");
		add_why(out, ": ", event);
		break;
	case JOURNAL_LEFT:
		buffer_add_cstr(out, "over, without a message");
		add_why(out, ": ", event);
		break;
	case JOURNAL_REFUSED: refused(out, event); break;
	case JOURNAL_SIGNED_IN:
	case JOURNAL_SIGN_IN_REFUSED: signed_in(out, event); break;
	case JOURNAL_NOT_FILED:
		buffer_add_cstr(out, "the message ");
		if (event->message_id.len > 0) {
			add_shown(out, event->message_id);
			buffer_add_byte(out, ' ');
		}
		refused(out, event);
		break;
	case JOURNAL_RECEIVED:
		if (life->kind == LIFE_CONNECTION) {
			buffer_add_format(out, "brought message %llx, from ",
					  (unsigned long long)event->blob_id);
			add_address(out, event->sender);
		} else {
			received(out, event);
		}
		break;
	case JOURNAL_FILED: filed(read, arena, out, event); break;
	case JOURNAL_QUEUED: queued(out, event); break;
	case JOURNAL_RELAYED: sent(out, "taken for ", event); break;
	case JOURNAL_DEFERRED: sent(out, "not taken yet for ", event); break;
	case JOURNAL_BOUNCED: sent(out, "refused for good, for ", event); break;
	case JOURNAL_NOTIFIED:
		buffer_add_cstr(out, "a report about it was sent to ");
		add_shown(out, event->recipient);
		buffer_add_format(out, ": message %llx", (unsigned long long)event->notice);
		break;
	case JOURNAL_KIND_COUNT: break;
	}
	if (event->more > 0)
		buffer_add_format(out,
				  event->peer.family || event->conn_id
					  ? " (and %llu more like it, in ten minutes)"
					  : " (%llu times in ten minutes, from many addresses)",
				  (unsigned long long)event->more);
}

/* ---- a life ---- */

static void message_heading(struct buffer *out, const struct life *life)
{
	const struct journal_event *event = NULL;
	for (size_t i = 0; i < life->count && !event; i++)
		if (life->events[i].kind == JOURNAL_RECEIVED)
			event = &life->events[i];
	buffer_add_format(out, "Message %llx", (unsigned long long)life->number);
	if (!event)
		return;
	if (event->message_id.len > 0) {
		buffer_add_byte(out, ' ');
		add_shown(out, event->message_id);
	}
	buffer_add_cstr(out, ", from ");
	add_address(out, event->sender);
	char size[16];
	admin_format_size(event->size_octets, size);
	buffer_add_format(out, ", %s", size);
}

static void connection_heading(struct buffer *out, const struct life *life)
{
	const struct journal_event *event = &life->events[0];
	/* Its client may have said its name later. */
	for (size_t i = 0; i < life->count && event->client_name.len == 0; i++)
		if (life->events[i].client_name.len > 0)
			event = &life->events[i];
	buffer_add_cstr(out, life->kind == LIFE_CONNECTION ? "Connection " : "A client");
	if (life->kind == LIFE_CONNECTION)
		why_add_connection(out, event);
	if (event->peer.family || life->kind == LIFE_CONNECTION) {
		buffer_add_cstr(out, " from ");
		add_host_name(out, event);
	}
	if (event->service.len > 0) {
		buffer_add_cstr(out, ", to ");
		add_shown(out, event->service);
	}
}

void why_print(struct read *read, struct arena *arena, const struct life *life, FILE *out)
{
	struct buffer text = { 0 };
	if (life->kind == LIFE_MESSAGE)
		message_heading(&text, life);
	else
		connection_heading(&text, life);
	buffer_add_cstr(&text, life->is_cut ? "\n  (what came before is left out)\n" : "\n");
	for (size_t i = 0; i < life->count; i++) {
		buffer_add_cstr(&text, "  ");
		add_time(&text, life->events[i].time_unix_ms);
		buffer_add_cstr(&text, "  ");
		why_words(read, arena, life, &life->events[i], &text);
		buffer_add_byte(&text, '\n');
	}
	fwrite(text.data, 1, text.len, out);
	buffer_free(&text);
}
