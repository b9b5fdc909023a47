/* mail/maildir.c - names and small files of a Maildir as text: the format as D. J. Bernstein
 * describes it, Maildir++ as Courier does, the rest as Dovecot writes it.
 *
 * Left out: Maildir++'s quota file, and Dovecot's extensions of dovecot-uidlist but for the
 * name. Runs in the admin's process. */
#include "mail/maildir.h"

#include "mail/text.h"

/* ---- names of messages ---- */

static const struct {
	char letter;
	uint8_t flag;
} letters[] = {
	{ 'D', MAILDIR_DRAFT }, { 'F', MAILDIR_FLAGGED }, { 'R', MAILDIR_ANSWERED },
	{ 'S', MAILDIR_SEEN },	{ 'T', MAILDIR_DELETED },
};

/* Where the info starts: at ":2,", which file systems that know no colon spell ";2," or "!2,". */
static size_t info_at(struct slice file_name)
{
	for (size_t at = file_name.len; at-- > 0;) {
		uint8_t c = file_name.ptr[at];
		if ((c == ':' || c == ';' || c == '!') && at + 2 < file_name.len &&
		    file_name.ptr[at + 1] == '2' && file_name.ptr[at + 2] == ',')
			return at;
	}
	/* ":1," is experimental, whatever it says. */
	return slice_find_byte(file_name, 0, ':');
}

bool maildir_name_parse(struct slice file_name, struct maildir_name *name_out)
{
	*name_out = (struct maildir_name){ .base = file_name };
	if (file_name.len == 0 || file_name.ptr[0] == '.')
		return false;
	size_t at = info_at(file_name);
	name_out->base = slice_sub(file_name, 0, at);
	if (at + 1 < file_name.len && file_name.ptr[at + 1] != '2')
		return at > 0;
	for (size_t i = at + 3; i < file_name.len; i++) {
		char c = (char)file_name.ptr[i];
		if (c >= 'a' && c <= 'z')
			name_out->keywords |= (uint32_t)1 << (c - 'a');
		else if (c == 'P')
			name_out->passed = true;
		for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++)
			if (letters[k].letter == c)
				name_out->flags |= letters[k].flag;
	}
	return at > 0;
}

void maildir_info_format(const struct maildir_name *name, struct buffer *out)
{
	buffer_add_cstr(out, ":2,");
	for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++) {
		/* In ASCII order: D F P R S T. */
		if (letters[k].letter == 'R' && name->passed)
			buffer_add_byte(out, 'P');
		if (name->flags & letters[k].flag)
			buffer_add_byte(out, (uint8_t)letters[k].letter);
	}
	for (unsigned i = 0; i < MAILDIR_KEYWORDS; i++)
		if (name->keywords >> i & 1)
			buffer_add_byte(out, (uint8_t)('a' + i));
}

uint32_t maildir_name_time(struct slice base)
{
	struct cursor c = cursor_of(base);
	uint64_t seconds;
	return take_number(&c, UINT32_MAX, &seconds) ? (uint32_t)seconds : 0;
}

/* ---- folders ---- */

static void add_level(struct slice level, struct buffer *mailbox)
{
	for (size_t i = 0; i < level.len; i++)
		buffer_add_byte(mailbox, level.ptr[i] == '/' ? '_' : level.ptr[i]);
}

static bool add_folder_level(struct slice level, struct buffer *mailbox)
{
	struct buffer utf8 = { 0 };
	bool good = level.len > 0;
	if (good && mutf7_decode(level, &utf8))
		add_level(buffer_slice(&utf8), mailbox);
	else if (good && (good = text_is_utf8(level)))
		add_level(level, mailbox);
	buffer_free(&utf8);
	return good;
}

static bool add_levels(struct slice text, uint8_t separator, struct buffer *mailbox)
{
	size_t before = mailbox->len;
	for (size_t at = 0; at <= text.len;) {
		size_t end = slice_find_byte(text, at, separator);
		if (at > 0)
			buffer_add_byte(mailbox, '/');
		if (!add_folder_level(slice_sub(text, at, end - at), mailbox)) {
			mailbox->len = before;
			return false;
		}
		at = end + 1;
	}
	/* There is one INBOX, whatever its case. */
	struct slice added = slice_sub(buffer_slice(mailbox), before, 5);
	if (slice_eq_nocase(added, SLICE("INBOX")) &&
	    (mailbox->len == before + 5 || mailbox->data[before + 5] == '/'))
		memcpy(mailbox->data + before, "INBOX", 5);
	return true;
}

bool maildir_folder_decode(struct slice folder, struct buffer *mailbox)
{
	if (folder.len < 2 || folder.ptr[0] != '.' || folder.ptr[1] == '.')
		return false;
	return add_levels(slice_sub(folder, 1, folder.len), '.', mailbox);
}

static bool add_encoded_levels(struct slice mailbox, uint8_t separator, struct buffer *out)
{
	for (size_t at = 0; at <= mailbox.len;) {
		size_t end = slice_find_byte(mailbox, at, '/');
		if (at > 0)
			buffer_add_byte(out, separator);
		if (end == at || !mutf7_encode(slice_sub(mailbox, at, end - at), out))
			return false;
		at = end + 1;
	}
	return true;
}

bool maildir_folder_encode(struct slice mailbox, struct buffer *folder)
{
	enum { FILE_NAME_MAX = 255 };
	size_t before = folder->len;
	if (slice_find_byte(mailbox, 0, '.') < mailbox.len)
		return false;
	buffer_add_byte(folder, '.');
	if (add_encoded_levels(mailbox, '.', folder) && folder->len - before <= FILE_NAME_MAX)
		return true;
	folder->len = before;
	return false;
}

/* ---- dovecot-uidlist ---- */

static bool take_blank(struct cursor *c)
{
	if (!take_byte(c, ' '))
		return false;
	while (take_byte(c, ' '))
		;
	return true;
}

static bool is_word_octet(uint8_t c)
{
	return c != ' ';
}

bool uidlist_header_parse(struct slice line, struct uidlist_header *header_out)
{
	struct cursor c = cursor_of(line);
	struct slice word;
	uint64_t version, number;
	*header_out = (struct uidlist_header){ 0 };
	if (!take_number(&c, 3, &version) || (version != 1 && version != 3))
		return false;
	header_out->version = (uint32_t)version;
	for (unsigned at = 0; take_blank(&c) && take_while(&c, is_word_octet, &word); at++) {
		uint8_t kind = version == 1 ? (at == 0 ? 'V' : at == 1 ? 'N' : 0) : word.ptr[0];
		if (kind != 'V' && kind != 'N')
			continue;
		if (version == 3)
			word = slice_sub(word, 1, word.len);
		if (!slice_to_u64(word, UINT32_MAX, &number))
			return false;
		if (kind == 'V')
			header_out->uidvalidity = (uint32_t)number;
		else
			header_out->uidnext = (uint32_t)number;
	}
	return header_out->uidvalidity != 0 && header_out->uidnext != 0;
}

bool uidlist_entry_parse(const struct uidlist_header *header, struct slice line,
			 struct uidlist_entry *entry_out)
{
	struct cursor c = cursor_of(line);
	struct slice word;
	struct maildir_name name;
	uint64_t uid;
	if (!take_number(&c, UINT32_MAX, &uid) || uid == 0 || !take_blank(&c))
		return false;
	/* Extensions are words; the name, which may hold blanks, stands behind a colon. */
	if (header->version == 3) {
		while (!next_is(&c, ':'))
			if (!take_while(&c, is_word_octet, &word) || !take_blank(&c))
				return false;
		take_byte(&c, ':');
	}
	if (!maildir_name_parse(cursor_rest(&c), &name))
		return false;
	*entry_out = (struct uidlist_entry){ .uid = (uint32_t)uid, .base = name.base };
	return true;
}

/* ---- keywords ---- */

bool maildir_keyword_is_usable(struct slice keyword)
{
	enum { KEYWORD_MAX = 64 };
	if (keyword.len == 0 || keyword.len > KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < keyword.len; i++) {
		uint8_t c = keyword.ptr[i];
		/* atom-specials (RFC 9051 section 9) */
		if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return true;
}

bool maildir_keyword_parse(struct slice line, unsigned *index_out, struct slice *keyword_out)
{
	struct cursor c = cursor_of(line);
	uint64_t index;
	if (!take_number(&c, MAILDIR_KEYWORDS - 1, &index) || !take_blank(&c))
		return false;
	*index_out = (unsigned)index;
	*keyword_out = slice_trim(cursor_rest(&c));
	return maildir_keyword_is_usable(*keyword_out);
}

/* ---- subscriptions ---- */

bool subscription_decode(bool is_version_2, struct slice line, struct buffer *mailbox)
{
	if (is_version_2)
		return add_levels(line, '\t', mailbox);
	if (line.len > 1 && line.ptr[0] == '.')
		line = slice_sub(line, 1, line.len);
	return add_levels(line, '.', mailbox);
}

bool subscription_encode(struct slice mailbox, struct buffer *line)
{
	size_t before = line->len;
	if (!add_encoded_levels(mailbox, '\t', line)) {
		line->len = before;
		return false;
	}
	buffer_add_byte(line, '\n');
	return true;
}
