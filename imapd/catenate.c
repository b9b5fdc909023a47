/* imapd/catenate.c - pieces of new messages out of others. In the back.
 *
 * RFC 4469 section 3: the octets that FETCH BODY would send, as they are stored; no \Seen is set.
 * They are read a chunk at a time, each in a read transaction of its own: bodies do not change, and
 * one that is expunged meanwhile stays readable for some time, as for a FETCH under way. */
#include "imapd/catenate_priv.h"

#include "imapd/access_priv.h"
#include "imapd/url_priv.h"
#include "imapd/view_priv.h"
#include "mail/digest.h"

/* Its name now; SLICE_NONE: none is selected. */
static struct slice selected_name(struct imap_session *s, struct read *read, struct arena *arena)
{
	struct mailbox *mailbox = arena_alloc(arena, sizeof(*mailbox));
	if (!s->view || mailbox_get(read, s->view->mailbox_id, arena, mailbox) != ERR_OK)
		return SLICE_NONE;
	access_rename(read, s->account_id, mailbox, arena);
	return mailbox->name;
}

static enum err find_message(struct imap_session *s, struct read *read, const struct imap_url *url,
			     struct arena *arena, struct message_entry *entry)
{
	struct mailbox *mailbox = arena_alloc(arena, sizeof(*mailbox));
	enum err err =
		access_find(read, s->account_id, url->mailbox, RIGHT_READ, arena, mailbox, NULL);
	if (err == ERR_OK && url->uidvalidity != 0 && url->uidvalidity != mailbox->uidvalidity)
		return ERR_BAD_INPUT;
	if (err == ERR_OK)
		err = message_get(read, mailbox->mailbox_id, url->uid, entry);
	return err == ERR_NOT_FOUND || err == ERR_GONE || err == ERR_DENIED ? ERR_BAD_INPUT : err;
}

/* Reads the header, bounded as FETCH bounds it, and leaves what the section names. */
static enum err read_fields(struct read *read, const struct section *section,
			    struct octet_range header, bool has_body, struct catenation *part)
{
	struct buffer raw = { 0 };
	uint64_t octets = header.end - header.start;
	if (octets > CONTENT_HEADER_MAX_OCTETS)
		octets = CONTENT_HEADER_MAX_OCTETS;
	enum err err = blob_read(read, part->blob_id, header.start, octets, &raw);
	if (err == ERR_OK)
		section_filter_fields(section, buffer_slice(&raw), has_body, &part->fields);
	part->has_fields = true;
	part->left = (struct octet_range){ 0, part->fields.len };
	buffer_free(&raw);
	return err;
}

static enum err find_section(struct read *read, const struct section *section,
			     const struct message_entry *entry, struct arena *arena,
			     struct catenation *part)
{
	const struct mime_part *mime;
	struct mime_part *root = NULL;
	struct slice record;
	part->blob_id = entry->blob_id;
	if (section_needs_structure(section)) {
		enum err err = blob_digest(read, entry->blob_id, arena, &record);
		if (err != ERR_OK)
			return err;
		if (!digest_decode_structure(record, arena, &root))
			return ERR_DAMAGED;
	}
	if (!section_resolve(section, root, entry->size_octets, &part->left, &mime))
		return ERR_BAD_INPUT;
	if (section->text == SECTION_HEADER_FIELDS || section->text == SECTION_HEADER_FIELDS_NOT)
		return read_fields(read, section, part->left, mime->body_end > mime->body_start,
				   part);
	return ERR_OK;
}

enum err catenation_open(struct imap_session *s, struct slice text, struct arena *arena,
			 struct catenation *part)
{
	struct imap_url url;
	struct message_entry entry;
	enum err err = ERR_BAD_INPUT;
	struct read *read = read_begin(s->back->store);
	catenation_fini(part);
	if (imap_url_parse(text, selected_name(s, read, arena), arena, &url))
		err = find_message(s, read, &url, arena, &entry);
	if (err == ERR_OK)
		err = find_section(read, &url.section, &entry, arena, part);
	if (err == ERR_OK)
		part->left = section_clip(url.has_partial ? &url.partial : NULL, part->left);
	read_end(&read);
	return err;
}

enum err catenation_next(struct catenation *part, struct store *store, struct slice *piece_out)
{
	uint64_t want = content_piece_octets(part->left), from = part->left.start;
	enum err err = ERR_OK;
	*piece_out = SLICE_NONE;
	if (want == 0)
		return ERR_OK;
	part->left.start += want;
	if (part->has_fields) {
		*piece_out = slice_sub(buffer_slice(&part->fields), from, want);
		return ERR_OK;
	}
	buffer_clear(&part->piece);
	struct read *read = read_begin(store);
	err = blob_read(read, part->blob_id, from, want, &part->piece);
	read_end(&read);
	if (err == ERR_OK && part->piece.len != want)
		err = ERR_DAMAGED;
	if (err == ERR_OK)
		*piece_out = buffer_slice(&part->piece);
	return err;
}

void catenation_fini(struct catenation *part)
{
	buffer_free(&part->fields);
	buffer_free(&part->piece);
	*part = (struct catenation){ 0 };
}
