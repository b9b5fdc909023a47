/* pop3d/listing.c - STAT, LIST and UIDL: RFC 1939 sections 5 and 7. Runs in the back.
 *
 * A unique-id is UIDVALIDITY and UID of IMAP: never given twice in a maildrop. */
#include <inttypes.h>

#include "pop3d/session_priv.h"

enum step pop3_stat(struct pop3_session *s, const struct pop3_arguments *args)
{
	buffer_add_format(&s->session.out, "+OK %" PRIu32 " %" PRIu64 "\r\n",
			  maildrop_left(&s->drop), s->drop.size_octets);
	return STEP_AGAIN;
}

static void add_scan_listing(struct pop3_session *s, uint32_t number)
{
	buffer_add_format(&s->session.out, "%" PRIu32 " %u\r\n", number,
			  maildrop_message(&s->drop, number)->size_octets);
}

static void add_unique_id_listing(struct pop3_session *s, uint32_t number)
{
	buffer_add_format(&s->session.out, "%" PRIu32 " %" PRIu32 ".%" PRIu32 "\r\n", number,
			  s->drop.uidvalidity, maildrop_message(&s->drop, number)->uid);
}

static enum step list_all(struct pop3_session *s,
			  void (*add)(struct pop3_session *s, uint32_t number))
{
	while (s->next_number <= s->drop.count) {
		if (session_out_is_full(&s->session))
			return STEP_WAIT;
		if (!maildrop_message(&s->drop, s->next_number)->is_deleted)
			add(s, s->next_number);
		s->next_number++;
	}
	buffer_add_cstr(&s->session.out, ".\r\n");
	return pop3_end_answer(s);
}

static enum step list_scan_listings(struct pop3_session *s)
{
	return list_all(s, add_scan_listing);
}

static enum step list_unique_ids(struct pop3_session *s)
{
	return list_all(s, add_unique_id_listing);
}

enum step pop3_list(struct pop3_session *s, const struct pop3_arguments *args)
{
	if (args->number) {
		buffer_add_cstr(&s->session.out, "+OK ");
		add_scan_listing(s, args->number);
		return STEP_AGAIN;
	}
	buffer_add_format(&s->session.out, "+OK %" PRIu32 " messages (%" PRIu64 " octets)\r\n",
			  maildrop_left(&s->drop), s->drop.size_octets);
	s->next_number = 1;
	return pop3_begin_answer(s, list_scan_listings);
}

enum step pop3_uidl(struct pop3_session *s, const struct pop3_arguments *args)
{
	if (args->number) {
		buffer_add_cstr(&s->session.out, "+OK ");
		add_unique_id_listing(s, args->number);
		return STEP_AGAIN;
	}
	pop3_ok(&s->session, "unique-ids follow");
	s->next_number = 1;
	return pop3_begin_answer(s, list_unique_ids);
}
