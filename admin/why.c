/* admin/why.c - bode why: what has become of a message, or of a connection, from the journal.
 * First what the question is about is found, the newest first; then everything else that belongs
 * to the same messages and connections. Beside the running server, which it does not ask.
 * Runs in the admin's process. */
#include <jansson.h>
#include <time.h>

#include "admin/shown.h"
#include "admin/why_priv.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/hex.h"
#include "storage/mailbox.h"
#include "storage/message.h"

enum { TERMS_MAX = 6, LIMIT_DEFAULT = 20, LIMIT_MAX = 10000 };

struct why {
	struct admin *admin;
	struct journal_term terms[TERMS_MAX];
	size_t term_count;
	struct life *lives; /* as they are found: the newest first */
	size_t life_count, limit;
	bool has_more;
};

/* ---- what is asked ---- */

static void add_term(struct why *why, enum journal_term_kind kind, struct slice text,
		     uint64_t number)
{
	why->terms[why->term_count++] =
		(struct journal_term){ .kind = kind, .text = text, .number = number };
}

static bool parse_hex(struct slice text, uint64_t max, uint64_t *number_out)
{
	uint64_t number = 0;
	if (text.len == 0 || text.len > 16)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = hex_value(text.ptr[i]);
		if (digit < 0)
			return false;
		number = number << 4 | (uint64_t)digit;
	}
	*number_out = number;
	return number != 0 && number <= max;
}

/* An address is also a Message-ID, perhaps, and the login of a user: what was filed for him. */
static void ask_address(struct why *why, struct read *read, struct slice text)
{
	struct arena *arena = &why->admin->arena;
	struct address address;
	struct slice domain;
	struct account account;
	add_term(why, JOURNAL_BY_MESSAGE_ID, text, 0);
	add_term(why, JOURNAL_BY_ADDRESS, text, 0);
	if (!address_parse(text, arena, &address) ||
	    !domain_normalise(address.domain, arena, &domain))
		return;
	const struct address normal = { local_normalise(address.local, arena), domain };
	struct slice form = address_format(&normal, arena);
	if (!slice_eq_nocase(form, text))
		add_term(why, JOURNAL_BY_ADDRESS, form, 0);
	if (account_find(read, form, arena, &account) == ERR_OK)
		add_term(why, JOURNAL_BY_ACCOUNT, SLICE_NONE, account.account_id);
}

static void ask_domain(struct why *why, struct slice text)
{
	struct slice domain;
	add_term(why, JOURNAL_BY_DOMAIN, text, 0);
	if (domain_normalise(text, &why->admin->arena, &domain) && !slice_eq_nocase(domain, text))
		add_term(why, JOURNAL_BY_DOMAIN, domain, 0);
}

static struct slice without(struct slice text, struct slice prefix)
{
	return slice_starts_nocase(text, prefix) ? slice_sub(text, prefix.len, text.len) : text;
}

/* False: it is nothing that could be looked for. */
static bool ask(struct why *why, struct read *read, struct slice text)
{
	struct network network;
	uint64_t number;
	text = without(without(slice_trim(text), SLICE("conn=")), SLICE("msg="));
	if (text.len > 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
		text = slice_sub(text, 1, text.len - 2);
	size_t dash = slice_find_byte(text, 0, '-');
	if (network_parse(text, &network)) {
		add_term(why, JOURNAL_BY_NETWORK, SLICE_NONE, 0);
		why->terms[0].network = network;
	} else if (slice_find_byte(text, 0, '@') < text.len) {
		ask_address(why, read, text);
	} else if ((dash == 4 || dash == 5) &&
		   parse_hex(slice_sub(text, dash + 1, text.len), UINT32_MAX, &number)) {
		add_term(why, JOURNAL_BY_CONNECTION, SLICE_NONE, number);
	} else if (parse_hex(text, UINT64_MAX, &number)) {
		add_term(why, JOURNAL_BY_BLOB, SLICE_NONE, number);
	} else if (slice_find_byte(text, 0, '.') < text.len) {
		ask_domain(why, text);
		add_term(why, JOURNAL_BY_MESSAGE_ID, text, 0);
	} else {
		return false;
	}
	return true;
}

/* ---- what is found ---- */

static bool belongs(const struct life *life, const struct journal_event *event)
{
	return life->kind == LIFE_MESSAGE
		       ? event->blob_id == life->number || event->notice == life->number
	       : life->kind == LIFE_CONNECTION ? event->conn_id == life->number
					       : false;
}

static void event_copy(struct journal_event *event, struct arena *arena)
{
	struct slice *const texts[] = { &event->service,    &event->client_name, &event->login,
					&event->message_id, &event->sender,	 &event->recipient,
					&event->host,	    &event->command,	 &event->reply,
					&event->why };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i]->ptr)
			*texts[i] = texts[i]->len ? arena_copy(arena, *texts[i]) : SLICE("");
}

static void life_add(struct life *life, struct arena *arena, const struct journal_event *event)
{
	if (life->count == LIFE_EVENTS_MAX) {
		life->is_cut = true;
		return;
	}
	if (life->count == life->cap) {
		life->cap = life->cap ? life->cap * 2 : 8;
		life->events = heap_resize(life->events, life->cap * sizeof(*life->events));
	}
	life->events[life->count] = *event;
	event_copy(&life->events[life->count++], arena);
}

static bool on_match(void *user, const struct journal_event *event)
{
	struct why *why = user;
	for (size_t i = 0; i < why->life_count; i++)
		if (belongs(&why->lives[i], event))
			return true;
	if (why->life_count == why->limit) {
		why->has_more = true;
		return false;
	}
	struct life *life = &why->lives[why->life_count++];
	if (event->blob_id)
		*life = (struct life){ .kind = LIFE_MESSAGE, .number = event->blob_id };
	else if (event->conn_id)
		*life = (struct life){ .kind = LIFE_CONNECTION, .number = event->conn_id };
	else
		*life = (struct life){ .kind = LIFE_EVENT };
	if (life->kind == LIFE_EVENT)
		life_add(life, &why->admin->arena, event);
	return true;
}

static bool on_event(void *user, const struct journal_event *event)
{
	struct why *why = user;
	for (size_t i = 0; i < why->life_count; i++)
		if (belongs(&why->lives[i], event))
			life_add(&why->lives[i], &why->admin->arena, event);
	return true;
}

/* Each life whole, also what was before --since. */
static void gather(struct why *why, struct read *read)
{
	struct journal_term *terms = heap_alloc_array(why->life_count + 1, sizeof(*terms));
	size_t count = 0;
	for (size_t i = 0; i < why->life_count; i++) {
		const struct life *life = &why->lives[i];
		if (life->kind != LIFE_EVENT)
			terms[count++] = (struct journal_term){
				.kind = life->kind == LIFE_MESSAGE ? JOURNAL_BY_BLOB
								   : JOURNAL_BY_CONNECTION,
				.number = life->number,
			};
	}
	if (count > 0)
		journal_find(read, terms, count, 0, on_event, why);
	free(terms);
	/* They came from the newest on; two of the same moment stay as they were noted. */
	for (size_t i = 0; i < why->life_count; i++) {
		struct life *life = &why->lives[i];
		for (size_t from = 0, to = life->count; from + 1 < to; from++, to--) {
			struct journal_event event = life->events[from];
			life->events[from] = life->events[to - 1];
			life->events[to - 1] = event;
		}
		for (size_t n = 1; n < life->count; n++)
			for (size_t at = n; at > 0 && life->events[at].time_unix_ms <
							      life->events[at - 1].time_unix_ms;
			     at--) {
				struct journal_event event = life->events[at];
				life->events[at] = life->events[at - 1];
				life->events[at - 1] = event;
			}
	}
}

void why_look_up(struct read *read, struct arena *arena, const struct journal_event *event,
		 struct filed_place *place_out)
{
	struct account account;
	struct mailbox mailbox;
	struct message_entry entry;
	*place_out = (struct filed_place){ .whereabouts = WHEREABOUTS_UNKNOWN };
	if (account_get(read, event->account_id, arena, &account) == ERR_OK)
		place_out->login = account.login;
	enum err err = mailbox_get(read, event->mailbox_id, arena, &mailbox);
	if (err == ERR_OK) {
		place_out->mailbox = mailbox.name;
		err = message_get(read, event->mailbox_id, event->uid, &entry);
	}
	if (err == ERR_OK && entry.blob_id == event->blob_id)
		place_out->whereabouts = WHEREABOUTS_THERE;
	else if (err == ERR_NOT_FOUND)
		place_out->whereabouts = WHEREABOUTS_GONE;
}

/* ---- telling ---- */

static void set_text(json_t *object, const char *key, struct slice text)
{
	struct buffer shown = { 0 };
	if (!text.ptr)
		return;
	add_shown(&shown, text);
	json_object_set_new(object, key,
			    json_stringn(shown.data ? (char *)shown.data : "", shown.len));
	buffer_free(&shown);
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	if (number)
		json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_hex(json_t *object, const char *key, uint64_t number)
{
	char text[20];
	snprintf(text, sizeof(text), "%llx", (unsigned long long)number);
	if (number)
		json_object_set_new(object, key, json_string(text));
}

static json_t *event_json(struct why *why, struct read *read, const struct life *life,
			  const struct journal_event *event)
{
	struct arena *arena = &why->admin->arena;
	struct buffer words = { 0 };
	struct filed_place place;
	char peer[PEER_TEXT_MAX];
	json_t *object = json_object();
	json_object_set_new(object, "event", json_string(why_kind(event->kind)));
	json_object_set_new(object, "time_unix_ms", json_integer(event->time_unix_ms));
	why_words(read, arena, life, event, &words);
	set_text(object, "words", buffer_slice(&words));
	buffer_free(&words);
	set_text(object, "service", event->service);
	if (event->conn_id) {
		why_add_connection(&words, event);
		set_text(object, "connection", buffer_slice(&words));
		buffer_free(&words);
	}
	peer_format(&event->peer, peer);
	if (event->peer.family)
		json_object_set_new(object, "client", json_string(peer));
	if (event->kind == JOURNAL_RECEIVED)
		json_object_set_new(object, "tls", json_boolean(event->secure));
	set_text(object, "client_name", event->client_name);
	set_text(object, "login", event->login);
	set_hex(object, "message", event->blob_id);
	set_text(object, "message_id", event->message_id);
	set_text(object, "sender", event->sender);
	set_text(object, "recipient", event->recipient);
	set_number(object, "size_octets", event->size_octets);
	if (event->kind == JOURNAL_FILED && event->account_id) {
		why_look_up(read, arena, event, &place);
		set_text(object, "user", place.login);
		set_text(object, "mailbox", place.mailbox);
		if (place.whereabouts != WHEREABOUTS_UNKNOWN)
			json_object_set_new(object, "is_there",
					    json_boolean(place.whereabouts == WHEREABOUTS_THERE));
	}
	set_number(object, "uid", event->uid);
	set_number(object, "queue_entry", event->queue_id);
	set_hex(object, "report", event->notice);
	set_text(object, "host", event->host);
	set_number(object, "next_unix_ms", (uint64_t)event->next_unix_ms);
	set_text(object, "command", event->command);
	set_text(object, "reply", event->reply);
	set_text(object, "why", event->why);
	set_number(object, "more", event->more);
	return object;
}

static void print_json(struct why *why, struct read *read, FILE *out)
{
	json_t *all = json_array();
	for (size_t i = why->life_count; i-- > 0;) {
		const struct life *life = &why->lives[i];
		json_t *object = json_object(), *events = json_array();
		if (life->kind == LIFE_MESSAGE)
			set_hex(object, "message", life->number);
		else if (life->kind == LIFE_CONNECTION)
			set_hex(object, "connection", life->number);
		for (size_t n = 0; n < life->count; n++)
			json_array_append_new(events,
					      event_json(why, read, life, &life->events[n]));
		json_object_set_new(object, "events", events);
		json_array_append_new(all, object);
	}
	json_dumpf(all, out, JSON_INDENT(1));
	putc('\n', out);
	json_decref(all);
}

static void print_words(struct why *why, struct read *read, FILE *out)
{
	if (why->has_more)
		fprintf(out, "(only the newest %zu; --limit shows more)\n\n", why->limit);
	for (size_t i = why->life_count; i-- > 0;) {
		why_print(read, &why->admin->arena, &why->lives[i], out);
		if (i > 0)
			putc('\n', out);
	}
}

/* Nothing was found: what to try. */
static int tell_nothing(struct why *why, struct read *read, const char *text)
{
	char since[32] = "";
	int64_t oldest_unix_ms;
	struct tm tm;
	struct buffer shown = { 0 };
	if (why->admin->config->journal_days == 0)
		return admin_fail(
			"nothing is noted here: [journal] days is 0 in the configuration");
	if (!journal_reach(read, &oldest_unix_ms))
		return admin_fail("the journal is empty: nothing has happened yet since it began");
	time_t seconds = (time_t)(oldest_unix_ms / 1000);
	if (localtime_r(&seconds, &tm))
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M", &tm);
	add_shown(&shown, slice_cstr(text));
	admin_fail("nothing is known about %.*s; the journal reaches back to %s. Try the other "
		   "address, the client's IP address or network, or the domain alone; what came in "
		   "the last second may not be noted yet",
		   SLICE_ARG(buffer_slice(&shown)), since);
	buffer_free(&shown);
	return EXIT_FAILURE;
}

int admin_why(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct why why = { .admin = admin, .limit = LIMIT_DEFAULT };
	int64_t since_unix = 0;
	uint64_t limit;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON | OPTION_SINCE | OPTION_LIMIT, 1, 1,
				 &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (options.since && !admin_parse_time(options.since, &since_unix))
		return ADMIN_WRONG_USAGE;
	if (options.limit) {
		if (!slice_to_u64(slice_cstr(options.limit), LIMIT_MAX, &limit) || limit == 0)
			return admin_usage(admin, "--limit is a number from 1 to %d", LIMIT_MAX);
		why.limit = (size_t)limit;
	}
	if (!admin_open_existing_store(admin))
		return EXIT_FAILURE;
	char *shown = NULL;
	size_t shown_octets = 0;
	FILE *out = open_memstream(&shown, &shown_octets);
	struct read *read = read_begin(admin->store);
	int status = EXIT_SUCCESS;
	why.lives = heap_alloc_array(why.limit, sizeof(*why.lives));
	if (!ask(&why, read, slice_cstr(text))) {
		status =
			admin_fail("\"%s\" is no address, domain, Message-ID, IP address, network, "
				   "connection (smtp-4f2a) or message (18c0)",
				   text);
		goto out;
	}
	journal_find(read, why.terms, why.term_count, since_unix * 1000, on_match, &why);
	if (read_failure(read) != ERR_OK) {
		status = admin_fail_store(read_failure(read), "the journal cannot be read");
		goto out;
	}
	gather(&why, read);
	if (why.life_count == 0)
		status = options.json ? (puts("[]"), EXIT_FAILURE) : tell_nothing(&why, read, text);
	else if (options.json)
		print_json(&why, read, out);
	else
		print_words(&why, read, out);
out:
	for (size_t i = 0; i < why.life_count; i++)
		free(why.lives[i].events);
	free(why.lives);
	/* Who reads it may take his time, and the store would keep for it what is deleted meanwhile. */
	read_end(&read);
	fclose(out);
	fwrite(shown, 1, shown_octets, stdout);
	free(shown);
	return status;
}
