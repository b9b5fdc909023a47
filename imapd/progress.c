/* imapd/progress.c - tells a client whose command takes long how far it is. In the back.
 *
 * RFC 9585: an untagged OK with the response code INPROGRESS every ten seconds, while the command
 * itself has nothing to say: clients that time out know that somebody is at work. Searches are the
 * only commands here that can take so long in silence; FETCH speaks all the time, and what changes
 * a mailbox is one short job. */
#include "imapd/progress_priv.h"

#include "base/clock.h"
#include "imapd/respond_priv.h"

void progress_begin(struct imap_session *s)
{
	s->progress_told_ms = clock_monotonic_ms();
}

bool progress_is_due(const struct imap_session *s)
{
	uint64_t every_ms = s->input_ended ? PROGRESS_ENDED_EVERY_MS : PROGRESS_EVERY_MS;
	return clock_monotonic_ms() >= s->progress_told_ms + every_ms;
}

/* inprogress-tag = quoted / nil: a tag with "]" would end the response code (section 4). */
static void put_tag(struct buffer *out, struct slice tag)
{
	if (slice_find_byte(tag, 0, ']') < tag.len)
		buffer_add_cstr(out, "NIL");
	else
		respond_string(out, tag, false);
}

void progress_tell(struct imap_session *s, uint64_t done, uint64_t goal)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* OK [INPROGRESS (");
	put_tag(out, s->tag);
	if (goal > 0)
		buffer_add_format(out, " %llu %llu", (unsigned long long)done,
				  (unsigned long long)goal);
	else
		buffer_add_cstr(out, " NIL NIL");
	buffer_add_format(out, ")] %s\r\n", imap_text(s, "Still at work"));
	s->progress_told_ms = clock_monotonic_ms();
}
