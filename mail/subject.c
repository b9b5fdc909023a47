/* mail/subject.c - the base subject. Runs in both.
 *
 * RFC 5256 section 2.1; the rules' names are those of its section 5. The text only shrinks at
 * its ends, so it is a slice that is narrowed. */
#include "mail/subject.h"

#include "base/cursor.h"
#include "mail/text.h"

/* Step 1: decoded, each run of white space one space. */
static void normalise(struct slice value, struct buffer *text)
{
	struct buffer decoded = { 0 };
	text_decode_header(value, &decoded);
	bool was_space = false;
	for (size_t i = 0; i < decoded.len; i++) {
		uint8_t c = decoded.data[i];
		bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
		if (!is_space)
			buffer_add_byte(text, c);
		else if (!was_space)
			buffer_add_byte(text, ' ');
		was_space = is_space;
	}
	buffer_free(&decoded);
}

/* subj-trailer = "(fwd)" / WSP */
static bool drop_trailer(struct slice *s, bool *is_reply)
{
	static const struct slice forwarded = SLICE("(fwd)");
	if (s->len > 0 && s->ptr[s->len - 1] == ' ') {
		s->len--;
		return true;
	}
	if (s->len < forwarded.len ||
	    !slice_eq_nocase(slice_sub(*s, s->len - forwarded.len, forwarded.len), forwarded))
		return false;
	s->len -= forwarded.len;
	*is_reply = true;
	return true;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP */
static bool take_blob(struct cursor *at)
{
	struct cursor c = *at;
	if (!take_byte(&c, '['))
		return false;
	while (c.at != c.end && *c.at != '[' && *c.at != ']')
		c.at++;
	if (!take_byte(&c, ']'))
		return false;
	skip_blanks(&c);
	*at = c;
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool take_refwd(struct cursor *at)
{
	struct cursor c = *at;
	if (!take_word_nocase(&c, SLICE("re")) && !take_word_nocase(&c, SLICE("fwd")) &&
	    !take_word_nocase(&c, SLICE("fw")))
		return false;
	skip_blanks(&c);
	take_blob(&c);
	if (!take_byte(&c, ':'))
		return false;
	*at = c;
	return true;
}

/* subj-leader = (*subj-blob subj-refwd) / WSP */
static bool drop_leader(struct slice *s, bool *is_reply)
{
	struct cursor c = cursor_of(*s);
	if (take_byte(&c, ' ')) {
		*s = cursor_rest(&c);
		return true;
	}
	while (take_blob(&c))
		;
	if (!take_refwd(&c))
		return false;
	*s = cursor_rest(&c);
	*is_reply = true;
	return true;
}

/* Step 4: what is left must be a subj-base, hence not empty. */
static bool drop_blob(struct slice *s)
{
	struct cursor c = cursor_of(*s);
	if (!take_blob(&c) || at_end(&c))
		return false;
	*s = cursor_rest(&c);
	return true;
}

/* Step 6: subj-fwd-hdr = "[fwd:", subj-fwd-trl = "]" */
static bool drop_forward(struct slice *s, bool *is_reply)
{
	static const struct slice start = SLICE("[fwd:");
	if (s->len <= start.len || !slice_starts_nocase(*s, start) || s->ptr[s->len - 1] != ']')
		return false;
	*s = slice_sub(*s, start.len, s->len - start.len - 1);
	*is_reply = true;
	return true;
}

bool subject_base(struct slice value, struct buffer *utf8)
{
	struct buffer text = { 0 };
	bool is_reply = false;
	normalise(value, &text);
	struct slice s = buffer_slice(&text);
	do {
		while (drop_trailer(&s, &is_reply))
			;
		while (drop_leader(&s, &is_reply))
			;
		/* No refwd stands behind these, so no leader appears when one of them goes. */
		while (drop_blob(&s))
			;
	} while (drop_forward(&s, &is_reply));
	buffer_add(utf8, s);
	buffer_free(&text);
	return is_reply;
}
