/* mda/submission.c - the header of a submitted message. Runs in the back and in the admin's process.
 *
 * It is gathered as a whole, looked at, and goes on with what it lacked at its end. Nothing else is
 * changed, whatever its form: a signature of the client's stays good.
 *
 * Left out: a check of Sender and of the Resent fields (RFC 5322 section 3.6.6). They do not show as
 * the author, and From has to be the account's own in any case. */
#include "mda/submission.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/random.h"
#include "mail/date.h"
#include "mail/header.h"

enum { AUTHORS_MAX = 100 };

struct submission {
	struct store *store;
	struct arena arena;
	struct sender sender;
	struct slice author;
	struct buffer header; /* as far as it has come */
	bool is_through;
};

struct submission *submission_new(struct store *store, const struct sender *sender,
				  struct slice author)
{
	struct submission *submission = heap_alloc(sizeof(*submission));

	submission->store = store;
	submission->sender = *sender;
	submission->sender.reverse_path = arena_copy(&submission->arena, sender->reverse_path);
	submission->sender.user = arena_copy(&submission->arena, sender->user);
	submission->author = arena_copy(&submission->arena, author);
	return submission;
}

void submission_free(struct submission **submission)
{
	struct submission *s = *submission;

	*submission = NULL;
	if (!s)
		return;
	buffer_free(&s->header);
	arena_fini(&s->arena);
	free(s);
}

/* Whoever is named as an author: the sender may send as each of them. */
static enum err check_authors(struct submission *s, struct slice value)
{
	size_t count, authors = 0;
	if (!sender_is_bound(&s->sender))
		return ERR_OK;
	struct header_address *list = address_list_parse(value, &s->arena, &count);
	struct read *read = read_begin(s->store);
	enum err err = ERR_OK;

	if (count > AUTHORS_MAX)
		err = ERR_DENIED;
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		struct address author = { list[i].mailbox, list[i].host };
		if (!author.domain.ptr) /* a group's start or end */
			continue;
		/* As cron writes it. */
		if (author.domain.len == 0 && s->sender.user.len > 0)
			author.domain = slice_cstr(sender_origin(s->sender.config));
		authors++;
		err = sender_check_address(read, &s->sender, &author, &s->arena);
	}
	if (err == ERR_OK && authors == 0)
		err = ERR_DENIED;
	/* A store that fails says no to everything. */
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	read_end(&read);
	return err == ERR_DENIED ? ERR_BAD_INPUT : err;
}

static void add_message_id(struct submission *s, struct buffer *out)
{
	struct address address;
	struct slice domain = slice_cstr(s->sender.config->hostname);

	if (address_parse(s->author, &s->arena, &address) && address.domain.len > 0)
		domain = address.domain;
	buffer_add_format(out, "Message-ID: <%016llx%08x@%.*s>\r\n",
			  (unsigned long long)random_u64(), (unsigned)random_u32(),
			  SLICE_ARG(domain));
}

/* The fields that are not there, as RFC 6409 section 8 wants them. */
static void add_missing(struct submission *s, bool has_from, bool has_date, bool has_id,
			struct buffer *out)
{
	char date[DATE_TEXT_OCTETS];

	if (!has_from && s->author.len > 0) {
		buffer_add_cstr(out, "From: <");
		buffer_add(out, s->author);
		buffer_add_cstr(out, ">\r\n");
	}
	if (!has_date) {
		date_format(clock_unix(), date);
		buffer_add_format(out, "Date: %s\r\n", date);
	}
	if (!has_id)
		add_message_id(s, out);
}

/* Without the empty line at its end, which is written anew behind what is added. */
static struct slice without_empty_line(struct slice header)
{
	size_t len = header.len;
	if (len == 0 || header.ptr[len - 1] != '\n')
		return header;
	len -= len > 1 && header.ptr[len - 2] == '\r' ? 2 : 1;
	return len == 0 || header.ptr[len - 1] == '\n' ? slice_sub(header, 0, len) : header;
}

/* The first `end` octets of what was gathered are the header; behind it the body, perhaps without
 * an empty line between them. */
static enum err header_done(struct submission *s, size_t end, struct buffer *out)
{
	struct slice all = buffer_slice(&s->header), rest = slice_sub(all, end, all.len);
	struct cursor c = cursor_of(without_empty_line(slice_sub(all, 0, end)));
	struct header_field field;
	bool has_from = false, has_date = false, has_id = false;
	enum err err = ERR_OK;

	const uint8_t *kept = c.at;
	while (err == ERR_OK && take_header_field(&c, &field)) {
		/* Lines between fields that are none stay where they are. */
		buffer_add(out, slice_of(kept, (size_t)(field.whole.ptr - kept)));
		kept = c.at;
		if (slice_eq_nocase(field.name, SLICE("Bcc")) ||
		    slice_eq_nocase(field.name, SLICE("Resent-Bcc")))
			continue;
		if (slice_eq_nocase(field.name, SLICE("From"))) {
			has_from = true;
			err = check_authors(s, field.value);
		}
		has_date |= slice_eq_nocase(field.name, SLICE("Date"));
		has_id |= slice_eq_nocase(field.name, SLICE("Message-ID"));
		buffer_add(out, field.whole);
	}
	if (err != ERR_OK)
		return err;
	buffer_add(out, slice_of(kept, (size_t)(c.end - kept)));
	if (out->len >= 1 && out->data[out->len - 1] != '\n')
		buffer_add_cstr(out, "\r\n");
	add_missing(s, has_from, has_date, has_id, out);
	buffer_add_cstr(out, "\r\n");
	buffer_add(out, rest);
	buffer_free(&s->header);
	s->is_through = true;
	return ERR_OK;
}

enum err submission_feed(struct submission *s, struct slice octets, struct buffer *out)
{
	if (s->is_through) {
		buffer_add(out, octets);
		return ERR_OK;
	}
	size_t from = s->header.len < 3 ? 0 : s->header.len - 3;
	buffer_add(&s->header, octets);
	struct slice all = buffer_slice(&s->header);
	size_t end = slice_find(all, from, SLICE("\r\n\r\n"));
	if (end + 2 > SUBMISSION_HEADER_MAX_OCTETS)
		return ERR_LIMIT;
	if (end == all.len)
		return ERR_OK;
	/* Lines that are no fields may be the body already, which no empty line has announced; else the
	 * empty line itself is written anew. */
	size_t fields_end = header_end(slice_sub(all, 0, end + 2));
	struct buffer gathered = s->header;
	s->header = (struct buffer){ 0 };
	buffer_add(&s->header, slice_sub(all, 0, fields_end));
	struct slice rest = slice_sub(all, fields_end < end + 2 ? fields_end : end + 4, all.len);
	enum err err = header_done(s, fields_end, out);
	if (err == ERR_OK)
		buffer_add(out, rest);
	buffer_free(&gathered);
	return err;
}

enum err submission_finish(struct submission *s, struct buffer *out)
{
	return s->is_through ? ERR_OK : header_done(s, header_end(buffer_slice(&s->header)), out);
}

enum err submission_file(struct submission *s, struct filing *filing, struct slice octets,
			 bool is_end, bool *is_full_out)
{
	struct buffer out = { 0 };
	enum err err = ERR_OK;
	if (s && !s->is_through) {
		err = submission_feed(s, octets, &out);
		if (err == ERR_OK && is_end)
			err = submission_finish(s, &out);
		octets = buffer_slice(&out);
	}
	if (err == ERR_OK && octets.len > 0 && !filing_feed(filing, octets))
		*is_full_out = true;
	buffer_free(&out);
	return err;
}
