/* admin/imap_source.c - importing from an IMAP server: folders with their special uses (RFC 6154)
 * and subscriptions, messages in order of UID with flags, keywords and internal dates.
 *
 * A message is known again by server, user, mailbox, UIDVALIDITY and UID, so a second run asks
 * only for the list of UIDs and fetches what is new. Messages are asked for FETCH_BATCH at a time,
 * and the next batch before the answer to the last has come, so the line never rests; contents
 * pass through. Nothing changes on the server (EXAMINE, BODY.PEEK).
 *
 * Left out: other users' and shared mailboxes (RFC 2342), annotations, and \Recent. Runs in the
 * admin's process. */
#include "admin/imap_source.h"

#include <stdlib.h>

#include "admin/imap_client.h"
#include "admin/imap_list.h"
#include "admin/imap_server.h"
#include "admin/imap_word.h"
#include "admin/shown.h"
#include "admin/terminal.h"
#include "base/heap.h"
#include "base/octets.h"
#include "mail/date.h"
#include "mail/text.h"
#include "runtime/fingerprint.h"
#include "runtime/tls_verify.h"

enum { FETCH_BATCH = 64, SEARCH_WINDOW = 1000000 };

struct imap_source {
	struct admin *admin;
	struct arena arena;
	struct imap_server server;
	struct buffer password;
	struct tls_context *tls;

	struct importer *importer;
	struct imap_client *client;
	struct imap_list *list;

	/* The mailbox under way. */
	const struct imap_mailbox *remote;
	struct import_target *target;
	uint32_t uidvalidity, uidnext;
	struct ranges uids;    /* what a SEARCH found */
	struct arena response; /* words of one response */
	struct import_item *item;
	struct ranges asked; /* fetched and not yet answered */
};

struct imap_source *imap_source_new(struct admin *admin, const struct imap_source_options *options)
{
	struct imap_source *source = heap_alloc(sizeof(*source));
	const char *why;
	source->admin = admin;
	if (!imap_server_parse(options->url, &source->arena, &source->server)) {
		admin_fail("\"%s\" is no source; write it as imaps://user@mail.example.org/",
			   options->url);
	} else if (!(source->tls = tls_client_context(options->ca_path, &why))) {
		admin_fail("%s%s%s", options->ca_path ? options->ca_path : "",
			   options->ca_path ? ": " : "", why);
	} else {
		const char *question =
			arena_format(&source->arena, "Password of %s at %s: ", source->server.user,
				     source->server.host);
		if (terminal_ask_password(question, options->password_stdin, &source->password))
			return source;
	}
	imap_source_free(&source);
	return NULL;
}

void imap_source_free(struct imap_source **source_at)
{
	struct imap_source *source = *source_at;
	*source_at = NULL;
	if (!source)
		return;
	imap_list_free(&source->list);
	tls_context_release(&source->tls);
	buffer_wipe(&source->password);
	ranges_free(&source->uids);
	ranges_free(&source->asked);
	arena_fini(&source->arena);
	arena_fini(&source->response);
	free(source);
}

static void fail_server(struct imap_source *source, const char *doing)
{
	struct buffer said = { 0 };
	add_shown(&said, slice_sub(imap_client_text(source->client), 0, 150));
	if (said.len == 0)
		buffer_add_cstr(&said, imap_client_problem(source->client));
	importer_fail(source->importer,
		      "%s: %s: %.*s; run the import again: it goes on where it was",
		      source->server.host, doing, SLICE_ARG(buffer_slice(&said)));
	buffer_free(&said);
}

static void fail_connection(struct imap_source *source)
{
	importer_fail(source->importer, "%s: %s; run the import again: it goes on where it was",
		      source->server.host, imap_client_problem(source->client));
}

/* ---- one mailbox ---- */

static void on_examine(void *user, struct slice line)
{
	struct imap_source *source = user;
	uint64_t number;
	struct cursor c = cursor_of(line);
	if (take_word_nocase(&c, SLICE("OK [UIDVALIDITY ")) && take_number(&c, UINT32_MAX, &number))
		source->uidvalidity = (uint32_t)number;
	c = cursor_of(line);
	if (take_word_nocase(&c, SLICE("OK [UIDNEXT ")) && take_number(&c, UINT32_MAX, &number))
		source->uidnext = (uint32_t)number;
}

static void on_search(void *user, struct slice line)
{
	struct imap_source *source = user;
	struct cursor c = cursor_of(line);
	uint64_t uid;
	if (!take_word_nocase(&c, SLICE("SEARCH")))
		return;
	for (skip_blanks(&c); take_number(&c, UINT32_MAX, &uid); skip_blanks(&c))
		if (uid > 0)
			ranges_add(&source->uids, (uint32_t)uid, (uint32_t)uid);
}

static void name_message(struct imap_source *source, uint32_t uid, struct source_name *name)
{
	uint8_t uidvalidity[4];
	put_be32(uidvalidity, source->uidvalidity);
	/* Not the port: with STARTTLS it is the same server. */
	const struct slice pieces[] = { SLICE("imap"), slice_cstr(source->server.host),
					slice_of(uidvalidity, sizeof(uidvalidity)),
					slice_cstr(source->server.user), source->remote->name };
	/* Those of one mailbox ascend with their UIDs. */
	fingerprint(pieces, ARRAY_LEN(pieces), name->octets, sizeof(name->octets));
	put_be32(name->octets + sizeof(name->octets) - 4, uid);
}

/* FLAGS (\Seen $Label1) */
static bool take_flags(struct imap_source *source, struct cursor *c, struct import_message *message)
{
	static const struct {
		const char *name;
		uint8_t flag;
	} flags[] = { { "\\Seen", FLAG_SEEN },
		      { "\\Answered", FLAG_ANSWERED },
		      { "\\Flagged", FLAG_FLAGGED },
		      { "\\Deleted", FLAG_DELETED },
		      { "\\Draft", FLAG_DRAFT } };
	struct slice word;
	skip_blanks(c);
	if (!take_byte(c, '('))
		return false;
	while (imap_take_word(c, &source->response, &word)) {
		bool is_system = word.len > 0 && word.ptr[0] == '\\';
		for (size_t i = 0; i < ARRAY_LEN(flags); i++)
			if (slice_eq_nocase(word, slice_cstr(flags[i].name)))
				message->flags |= flags[i].flag;
		if (!is_system && message->keyword_count < IMPORT_KEYWORDS_MAX)
			message->keywords[message->keyword_count++] = word;
	}
	return take_byte(c, ')');
}

struct fetched {
	struct import_message message;
	struct slice content; /* as a quoted string */
	bool has_content, has_date;
};

/* "12 FETCH (UID 5 FLAGS (\Seen) INTERNALDATE "..." BODY[] {})", perhaps not to its end. */
static void take_items(struct imap_source *source, struct slice line, struct fetched *fetched)
{
	struct cursor c = cursor_of(line), date;
	struct slice word;
	uint64_t number;
	*fetched = (struct fetched){ .message.form = SOURCE_LF };
	if (!take_number(&c, UINT32_MAX, &number) || !take_word_nocase(&c, SLICE(" FETCH (")))
		return;
	while (imap_take_word(&c, &source->response, &word)) {
		if (slice_eq_nocase(word, SLICE("FLAGS"))) {
			if (!take_flags(source, &c, &fetched->message))
				return;
			continue;
		}
		struct slice item = word;
		if (!imap_take_word(&c, &source->response, &word))
			return;
		if (slice_eq_nocase(item, SLICE("UID")) &&
		    slice_to_u64(word, UINT32_MAX, &number)) {
			fetched->message.uid = (uint32_t)number;
		} else if (slice_eq_nocase(item, SLICE("INTERNALDATE"))) {
			date = cursor_of(word);
			fetched->has_date =
				take_imap_date_time(&date, &fetched->message.internal_unix);
		} else if (slice_eq_nocase(item, SLICE("BODY[]"))) {
			fetched->content = slice_eq(word, SLICE("{}")) ? SLICE_NONE : word;
			fetched->has_content = !slice_eq_nocase(word, SLICE("NIL"));
		}
	}
}

static const char *where_of(struct imap_source *source, uint32_t uid)
{
	return arena_format(&source->response, "%.*s at %s, UID %u",
			    SLICE_ARG(source->remote->name), source->server.host, uid);
}

static void on_content_begin(void *user, struct slice prefix, uint64_t octets)
{
	struct imap_source *source = user;
	struct import_message message = { .where = "" };
	import_abandon(&source->item);
	if (octets > 0)
		source->item = import_begin(source->importer, source->target, &message);
}

static void on_content(void *user, struct slice octets)
{
	struct imap_source *source = user;
	if (source->item)
		import_feed(source->item, octets);
}

static void on_fetch(void *user, struct slice line)
{
	struct imap_source *source = user;
	struct fetched fetched;
	arena_reset(&source->response);
	take_items(source, line, &fetched);
	struct import_message *message = &fetched.message;
	/* Also flags of other messages come, unasked. */
	if (!fetched.has_content || !ranges_contains(&source->asked, message->uid)) {
		import_abandon(&source->item);
		return;
	}
	ranges_remove(&source->asked, message->uid, message->uid);
	message->where = where_of(source, message->uid);
	name_message(source, message->uid, &message->name);
	if (!source->item && fetched.content.len > 0) {
		source->item = import_begin(source->importer, source->target, message);
		import_feed(source->item, fetched.content);
	}
	if (!source->item) {
		importer_skip(source->importer, source->target, message->where,
			      "the message is empty");
		return;
	}
	import_describe(source->item, message);
	import_commit(&source->item);
}

/* "1:3,7" of the next FETCH_BATCH that are not here yet; empty at the end. */
static void next_batch(struct imap_source *source, uint32_t *from_uid, struct buffer *set)
{
	struct source_name name;
	struct ranges batch = { 0 };
	uint32_t uid;
	buffer_clear(set);
	while (ranges_total(&batch) < FETCH_BATCH && ranges_next(&source->uids, *from_uid, &uid)) {
		*from_uid = uid + 1;
		name_message(source, uid, &name);
		if (!importer_knows(source->importer, source->target, &name))
			ranges_add(&batch, uid, uid);
		if (uid == UINT32_MAX)
			break;
	}
	for (uint32_t i = 0; i < batch.count; i++) {
		ranges_add(&source->asked, batch.runs[i].first, batch.runs[i].last);
		buffer_add_format(set, "%s%u:%u", i ? "," : "", batch.runs[i].first,
				  batch.runs[i].last);
	}
	ranges_free(&batch);
}

static bool fetch_all(struct imap_source *source)
{
	static const struct imap_events events = { on_content_begin, on_content, on_fetch };
	struct buffer set = { 0 };
	unsigned tags[2] = { 0, 0 }; /* answers that are still to come */
	uint32_t from_uid = 1;
	enum imap_outcome outcome = IMAP_OK;
	bool more = true;
	while (!importer_is_over(source->importer) && outcome != IMAP_BROKEN) {
		while (more && tags[1] == 0) {
			next_batch(source, &from_uid, &set);
			more = set.len > 0;
			unsigned tag = !more ? 0
					     : imap_client_send(source->client,
								"UID FETCH %.*s (UID FLAGS "
								"INTERNALDATE BODY.PEEK[])",
								SLICE_ARG(buffer_slice(&set)));
			tags[tags[0] ? 1 : 0] = tag;
		}
		if (tags[0] == 0)
			break;
		outcome = imap_client_wait(source->client, tags[0], &events, source);
		tags[0] = tags[1];
		tags[1] = 0;
	}
	import_abandon(&source->item);
	buffer_free(&set);
	return outcome != IMAP_BROKEN;
}

/* What was asked for and never came: expunged meanwhile, or the server cannot read it. */
static void say_missing(struct imap_source *source)
{
	for (uint32_t i = 0; i < source->asked.count; i++)
		for (uint32_t uid = source->asked.runs[i].first;; uid++) {
			importer_skip(source->importer, source->target, where_of(source, uid),
				      "the server listed it and did not give it");
			if (uid == source->asked.runs[i].last)
				break;
		}
	ranges_clear(&source->asked);
}

/* UIDs of all messages, in answers of bounded length. */
static bool search_all(struct imap_source *source)
{
	static const struct imap_events events = { .untagged = on_search };
	ranges_clear(&source->uids);
	if (source->uidnext <= SEARCH_WINDOW) {
		unsigned tag = imap_client_send(source->client, "UID SEARCH ALL");
		return imap_client_wait(source->client, tag, &events, source) == IMAP_OK;
	}
	for (uint64_t uid = 1; uid < source->uidnext; uid += SEARCH_WINDOW) {
		unsigned tag = imap_client_send(source->client, "UID SEARCH UID %llu:%llu",
						(unsigned long long)uid,
						(unsigned long long)uid + SEARCH_WINDOW - 1);
		if (imap_client_wait(source->client, tag, &events, source) != IMAP_OK)
			return false;
	}
	return true;
}

static void import_remote(struct imap_source *source, const struct imap_mailbox *remote,
			  struct slice name)
{
	static const struct imap_events events = { .untagged = on_examine };
	struct buffer quoted = { 0 };
	source->remote = remote;
	source->uidvalidity = source->uidnext = 0;
	imap_add_string(&quoted, remote->name);
	unsigned tag =
		imap_client_send(source->client, "EXAMINE %.*s", SLICE_ARG(buffer_slice(&quoted)));
	buffer_free(&quoted);
	enum imap_outcome outcome = imap_client_wait(source->client, tag, &events, source);
	if (outcome == IMAP_BROKEN) {
		fail_connection(source);
		return;
	}
	arena_reset(&source->response);
	const char *where = arena_format(&source->response, "%.*s at %s", SLICE_ARG(remote->name),
					 source->server.host);
	if (outcome != IMAP_OK || source->uidvalidity == 0) {
		importer_skip(source->importer, NULL, where, "the server does not open it");
		return;
	}
	struct import_mailbox wanted = {
		.name = name,
		.special_use = remote->use,
		.uidvalidity = source->uidvalidity,
		.uidnext = source->uidnext,
	};
	source->target = importer_open(source->importer, &wanted);
	if (!source->target)
		return;
	if (!search_all(source)) {
		fail_server(source, "it gives no list of messages");
		return;
	}
	importer_expect(source->importer, ranges_total(&source->uids));
	if (!fetch_all(source))
		fail_connection(source);
	if (importer_is_over(source->importer))
		return;
	say_missing(source);
	if (remote->is_subscribed)
		importer_subscribe_target(source->importer, source->target);
	importer_close(source->importer, source->target);
}

static void import_all(struct imap_source *source)
{
	struct buffer name = { 0 };
	for (const struct imap_mailbox *remote = imap_list_first(source->list); remote;
	     remote = remote->next) {
		buffer_clear(&name);
		if (importer_is_over(source->importer) ||
		    !imap_list_name_here(source->list, remote, &name))
			continue;
		if (!remote->is_no_mailbox)
			import_remote(source, remote, buffer_slice(&name));
		else if (remote->is_subscribed)
			importer_subscribe(source->importer, buffer_slice(&name));
	}
	buffer_free(&name);
}

void imap_source_import(struct imap_source *source, struct importer *importer)
{
	const struct imap_client_options options = {
		.host = source->server.host,
		.port = source->server.port,
		.tls = source->tls,
		.tls_at_once = source->server.tls_at_once,
	};
	const char *why = "";
	source->importer = importer;
	source->client = imap_client_open(importer_loop(importer), &options, &why);
	if (!source->client) {
		importer_fail(importer, "%s port %u: %s", source->server.host, source->server.port,
			      why);
		return;
	}
	bool is_in = imap_client_login(source->client, slice_cstr(source->server.user),
				       buffer_slice(&source->password));
	buffer_wipe(&source->password);
	if (!is_in)
		importer_fail(importer, "%s: %s", source->server.host,
			      imap_client_problem(source->client));
	else if (!(source->list = imap_list_ask(source->client)))
		fail_server(source, "it gives no list of mailboxes");
	else
		import_all(source);
	if (!importer_is_over(importer)) {
		unsigned tag = imap_client_send(source->client, "LOGOUT");
		(void)imap_client_wait(source->client, tag, NULL, NULL);
	}
	imap_client_close(&source->client);
}
