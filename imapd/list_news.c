/* imapd/list_news.c - the LIST response that tells of one name by itself. In the back.
 *
 * RFC 5465 sections 5.4 and 5.5: all attributes are computed as they are now, whatever happened;
 * RFC 9051 section 6.3.9.7 (OLDNAME). */
#include "imapd/access_priv.h"
#include "imapd/list_priv.h"
#include "imapd/respond_priv.h"

bool list_has_below(struct read *read, uint32_t account_id, struct slice name,
		    bool (*counts)(const struct mailbox_row *row))
{
	struct buffer prefix = { 0 };
	struct mailbox_row row;
	buffer_add(&prefix, name);
	buffer_add_byte(&prefix, MAILBOX_SEPARATOR);
	struct slice after = buffer_slice(&prefix);
	bool is_found = false;
	while (!is_found && mailbox_next(read, account_id, after, &row) &&
	       row.name.len > prefix.len && memcmp(row.name.ptr, prefix.data, prefix.len) == 0) {
		is_found = counts(&row);
		after = row.name;
	}
	buffer_free(&prefix);
	return is_found;
}

static bool is_subscribed(const struct mailbox_row *row)
{
	return row->subscribed;
}

bool list_has_subscribed(struct read *read, uint32_t account_id, struct slice top)
{
	return mailbox_is_subscribed(read, account_id, top) ||
	       list_has_below(read, account_id, top, is_subscribed);
}

static bool is_mailbox(const struct mailbox_row *row)
{
	return row->mailbox_id != 0;
}

static bool others_have_children(const struct access_list *others, struct slice name)
{
	struct buffer prefix = { 0 };
	buffer_add(&prefix, name);
	buffer_add_byte(&prefix, MAILBOX_SEPARATOR);
	const struct access_row *next = access_list_next(others, buffer_slice(&prefix));
	bool is_found = next && next->name.len > prefix.len &&
			memcmp(next->name.ptr, prefix.data, prefix.len) == 0;
	buffer_free(&prefix);
	return is_found;
}

void list_respond_news(struct imap_session *s, struct read *read, struct slice name,
		       struct slice old_name, const struct access_list *others)
{
	struct buffer line = { 0 }, *out = &line;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	unsigned rights;
	enum err err =
		access_find(read, s->account_id, name, RIGHT_LOOKUP, &arena, mailbox, &rights);
	bool is_there = err == ERR_OK;
	bool is_own = !is_there || mailbox->account_id == s->account_id;
	const char *use = is_there && is_own ? special_use_name(mailbox->special_use) : NULL;
	buffer_add_cstr(out, "* LIST (");
	if (!is_there)
		list_add_attribute(out, "\\NonExistent");
	/* Gone, or no longer for this client: it is not told which (RFC 5465 sections 5.4 and 5.9). */
	if (is_there ? !(rights & RIGHT_READ) : others != NULL)
		list_add_attribute(out, others ? "\\NoAccess" : "\\Noselect");
	if (others)
		list_add_attribute(out, others_have_children(others, name) ? "\\HasChildren"
									   : "\\HasNoChildren");
	else if (is_own) /* what others have below theirs is a longer question */
		list_add_attribute(out, list_has_below(read, s->account_id, name, is_mailbox)
						? "\\HasChildren"
						: "\\HasNoChildren");
	if (mailbox_is_subscribed(read, s->account_id, name))
		list_add_attribute(out, "\\Subscribed");
	if (use)
		list_add_attribute(out, use);
	buffer_add_cstr(out, ") \"/\" ");
	respond_mailbox(out, name, imap_speaks_utf8(s));
	if (old_name.len > 0)
		list_add_old_name(out, old_name, imap_speaks_utf8(s));
	buffer_add_cstr(out, "\r\n");
	/* Of what cannot be read nothing is known, least of all that it is not there. */
	bool is_known = is_there || err == ERR_NOT_FOUND || err == ERR_DENIED;
	if (is_known && read_failure(read) == ERR_OK)
		buffer_add(&s->session.out, buffer_slice(&line));
	buffer_free(&line);
	arena_fini(&arena);
}
