/* imapd/url.c - IMAP URLs of messages and parts. In the back.
 *
 * RFC 5092 sections 6 and 7 and its imessagepart; RFC 4469 section 3: relative ones, "/mailbox" and
 * what follows, or relative to the selected mailbox: ";UID=..." means itself, "sibling/;UID=..." the
 * one beside it. Names are UTF-8 with percent-encoding. Left out, as RFC 4469 allows: absolute URLs
 * and URLAUTH; and "." and ".." as levels, which nobody needs. */
#include "imapd/url_priv.h"

#include "base/hex.h"
#include "storage/mailbox.h"

/* bchar without pct-encoded */
static bool is_bchar(uint8_t c)
{
	return c != 0 && (ascii_is_alpha(c) || ascii_is_digit(c) || strchr("-._~!$'()*+,&=:@/", c));
}

/* 1*bchar, decoded */
static bool take_encoded(struct cursor *at, struct arena *arena, struct slice *text_out)
{
	struct cursor c = *at;
	uint8_t *text = arena_alloc(arena, cursor_left(&c) + 1);
	size_t len = 0;
	while (!at_end(&c)) {
		uint8_t octet = *c.at;
		if (octet == '%' && cursor_left(&c) >= 3) {
			int high = hex_value(c.at[1]), low = hex_value(c.at[2]);
			if (high < 0 || low < 0 || high + low == 0)
				return false;
			text[len++] = (uint8_t)(high << 4 | low);
			c.at += 3;
			continue;
		}
		if (!is_bchar(octet))
			break;
		text[len++] = octet;
		c.at++;
	}
	if (len == 0)
		return false;
	*text_out = slice_of(text, len);
	*at = c;
	return true;
}

/* ";NAME=", in any case */
static bool take_parameter(struct cursor *c, struct slice name)
{
	return take_word_nocase(c, name);
}

/* What comes before a parameter ends in the slash that belongs to it. */
static bool drop_slash(struct slice *text)
{
	if (text->len < 2 || text->ptr[text->len - 1] != '/')
		return false;
	text->len--;
	return true;
}

static bool has_dot_level(struct slice path)
{
	size_t start = 0;
	for (size_t i = 0; i <= path.len; i++) {
		if (i < path.len && path.ptr[i] != '/')
			continue;
		struct slice level = slice_sub(path, start, i - start);
		if (slice_eq(level, SLICE(".")) || slice_eq(level, SLICE("..")))
			return true;
		start = i + 1;
	}
	return false;
}

/* A relative path takes the place of the base's last level (RFC 3986 section 5.2.3). */
static struct slice beside(struct slice selected, struct slice path, struct arena *arena)
{
	size_t kept = selected.len;
	while (kept > 0 && selected.ptr[kept - 1] != MAILBOX_SEPARATOR)
		kept--;
	return slice_cstr(arena_format(arena, "%.*s%.*s", (int)kept, (const char *)selected.ptr,
				       SLICE_ARG(path)));
}

/* [enc-mailbox [uidvalidity]] up to ";UID=". */
static bool take_mailbox_ref(struct cursor *c, struct slice selected, struct arena *arena,
			     struct imap_url *url)
{
	struct slice path;
	bool is_rooted = take_byte(c, '/');
	if (next_is(c, ';') && !is_rooted) {
		url->mailbox = selected;
		return selected.ptr != NULL;
	}
	if (next_is(c, '/') || !take_encoded(c, arena, &path))
		return false; /* "//host": another server */
	if (take_parameter(c, SLICE(";UIDVALIDITY="))) {
		if (!take_nz_number(c, &url->uidvalidity) || !take_byte(c, '/'))
			return false;
	} else if (!drop_slash(&path)) {
		return false;
	}
	if (has_dot_level(path))
		return false;
	if (!is_rooted && selected.ptr)
		path = beside(selected, path, arena);
	return mailbox_name_from_wire(path, arena, true, &url->mailbox);
}

/* isection-only. Behind it may come "/;PARTIAL=". */
static bool take_url_section(struct cursor *c, struct arena *arena, struct imap_url *url)
{
	struct slice text;
	struct buffer wire = { 0 };
	if (!take_encoded(c, arena, &text) || (next_is(c, ';') && !drop_slash(&text)))
		return false;
	buffer_add_byte(&wire, '[');
	buffer_add(&wire, text);
	buffer_add_byte(&wire, ']');
	struct cursor section = cursor_of(arena_copy(arena, buffer_slice(&wire)));
	buffer_free(&wire);
	return take_section(&section, arena, &url->section) && at_end(&section);
}

/* partial-range = number ["." nz-number] */
static bool take_url_partial(struct cursor *c, struct imap_url *url)
{
	url->has_partial = true;
	url->partial.count = UINT64_MAX;
	if (!take_number64(c, &url->partial.offset))
		return false;
	return !take_byte(c, '.') ||
	       (take_number64(c, &url->partial.count) && url->partial.count > 0);
}

bool imap_url_parse(struct slice text, struct slice selected, struct arena *arena,
		    struct imap_url *url_out)
{
	struct cursor c = cursor_of(text);
	struct imap_url url = { 0 };
	if (!take_mailbox_ref(&c, selected, arena, &url) || !take_parameter(&c, SLICE(";UID=")) ||
	    !take_nz_number(&c, &url.uid))
		return false;
	bool more = take_byte(&c, '/');
	if (more && take_parameter(&c, SLICE(";SECTION="))) {
		if (!take_url_section(&c, arena, &url))
			return false;
		more = next_is(&c, ';'); /* its slash is taken */
	}
	if (more && (!take_parameter(&c, SLICE(";PARTIAL=")) || !take_url_partial(&c, &url)))
		return false;
	if (!at_end(&c))
		return false;
	*url_out = url;
	return true;
}
