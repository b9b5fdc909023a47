/* tests/unit/imapd/search_match.c - which messages match which keys: RFC 9051 section 6.4.4. */
#include "tests/unit/imapd/message.h"

#include <iconv.h>

#include "base/base64.h"
#include "imapd/search_match_priv.h"
#include "mail/text.h"
#include "tests/dice.h"
#include "tests/octets_source.h"
#include "tests/unit/mail/corpus.h"

static struct message_entry entry = { .uid = 7,
				      .internal_unix = 867758400, /* 1-Jul-1997 12:00 */
				      .flags = FLAG_SEEN | FLAG_FLAGGED,
				      .keywords = 1 };

static uint64_t spent; /* on the message that was matched last */

static bool matches_counting(const char *keys, const char *text, unsigned *reads_out)
{
	struct message m = message_of(text);
	struct cursor c = cursor_of(slice_cstr(keys));
	struct search_program program = { 0 };
	struct matcher matcher;
	bool yes = false;

	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &m.arena, &program),
			 SEARCH_PARSED);
	struct octets_source octets =
		octets_source_of(buffer_slice(&m.octets), buffer_slice(&m.record));
	entry.size_octets = m.octets.len;
	matcher_init(&matcher, &program);
	assert_int_equal(matcher_match(&matcher, &entry, &octets.source, &yes), ERR_OK);
	spent = matcher.spent;
	matcher_fini(&matcher);
	search_program_fini(&program);
	message_fini(&m);
	if (reads_out)
		*reads_out = octets.reads;
	return yes;
}

static void check(const char *keys, const char *text, bool want)
{
	if (matches_counting(keys, text, NULL) != want)
		fail_msg("%s: %s", keys, want ? "no match" : "a match");
}

static const char letter[] = "Date: Mon, 30 Jun 1997 23:59:00 -0700\n"
			     "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from\n"
			     "  the sea\n"
			     "From: \"Miller, Anna\" <anna.miller@example.org>\n"
			     "To: =?iso-8859-1?q?J=F6rg?= <joerg@example.net>, team: x@y.example;\n"
			     "Message-ID: <abc@example.org>\n"
			     "X-Loop: one\n"
			     "X-Loop: two\n"
			     "X-Empty:\n"
			     "Content-Type: text/plain; charset=utf-8\n"
			     "Content-Transfer-Encoding: quoted-printable\n"
			     "\n"
			     "A long wa=\n"
			     "lk to the STRA=C3=9FE.\n";

static void flags_dates_and_sizes(void **state)
{
	check("SEEN", letter, true);
	check("UNSEEN", letter, false);
	check("FLAGGED SEEN", letter, true);
	check("ANSWERED", letter, false);
	check("NOT DELETED", letter, true);
	check("OR ANSWERED SEEN", letter, true);
	check("OR ANSWERED UNSEEN", letter, false);
	check("NOT (SEEN FLAGGED)", letter, false);
	check("LARGER 10 SMALLER 10000", letter, true);
	check("SMALLER 10", letter, false);
	check("ON 1-Jul-1997", letter, true);
	check("SINCE 1-Jul-1997", letter, true);
	check("BEFORE 1-Jul-1997", letter, false);
	check("BEFORE \"2-Jul-1997\"", letter, true);
}

/* The day that the Date field names, whatever its zone. */
static void sent_dates(void **state)
{
	check("SENTON 30-Jun-1997", letter, true);
	check("SENTBEFORE 1-Jul-1997", letter, true);
	check("SENTSINCE 1-Jul-1997", letter, false);
	check("SENTSINCE 1-Jan-1970", "Subject: undated\n\n", false);
	check("NOT SENTSINCE 1-Jan-1970", "Subject: undated\n\n", true);
}

static void envelope_fields(void **state)
{
	check("SUBJECT \"GR\xc3\x9cSSE FROM\"", letter, true);
	check("SUBJECT \"from the sea\"", letter, false); /* unfolding keeps both blanks */
	check("SUBJECT \"the sea\"", letter, true);
	check("SUBJECT \"lake\"", letter, false);
	check("FROM anna", letter, true);
	check("FROM \"miller, anna\"", letter, true);
	check("FROM anna.miller@example.org", letter, true);
	check("FROM joerg", letter, false);
	check("TO \"J\xc3\xb6RG\"", letter, true);
	check("TO team", letter, true);
	check("TO x@y", letter, true);
	check("CC \"\"", letter, false);
	check("TO \"\"", letter, true);
	check("HEADER X-Loop TWO", letter, true);
	check("HEADER x-loop three", letter, false);
	check("HEADER X-Empty \"\"", letter, true);
	check("HEADER X-Absent \"\"", letter, false);
	check("HEADER Message-ID <abc@example.org>", letter, true);
	check("HEADER Subject sea", letter, true);
	check("HEADER To joerg@", letter, true);
	check("HEADER Subject second", "Subject: first\nSubject: second\n\n", true);
	check("HEADER Subject third", "Subject: first\nSubject: second\n\n", false);
	check("SUBJECT second", "Subject: first\nSubject: second\n\n", false);
}

static void bodies(void **state)
{
	check("BODY walk", letter, true);
	check("BODY \"walk to the strasse\"", letter, true);
	check("BODY \"anna\"", letter, false);
	check("TEXT \"anna\"", letter, true);
	check("TEXT \"x-loop: two\"", letter, true);
	check("TEXT walk BODY long NOT BODY short", letter, true);
	check("BODY \"\"", letter, true);
	check("TEXT \"\"", "\n", true);
}

static const char nested[] = "Content-Type: multipart/mixed; boundary=b\n"
			     "\n"
			     "preamble\n"
			     "--b\n"
			     "Content-Type: text/plain; charset=iso-8859-1; name=visible.txt\n"
			     "Content-Transfer-Encoding: base64\n"
			     "\n"
			     "R3L832UgYXVzIEv2bG4K\n"
			     "--b\n"
			     "Content-Type: application/pdf; name=secret.pdf\n"
			     "\n"
			     "hidden\n"
			     "--b\n"
			     "Content-Type: message/rfc822\n"
			     "\n"
			     "Subject: enclosed\n"
			     "\n"
			     "deeper\n"
			     "--b--\n";

static void parts(void **state)
{
	check("BODY \"aus K\xc3\x96ln\"", nested, true);
	check("BODY hidden", nested, false);
	check("BODY enclosed", nested, true); /* a header, but of the body */
	check("BODY deeper", nested, true);
	check("TEXT secret.pdf", nested, true);
	check("BODY secret.pdf", nested, false);
	check("BODY preamble", nested, false);
	check("CHARSET iso-8859-1 BODY {4}\r\nK\xf6ln", nested, true);
}

/* A string that lies across two pieces of a long text. */
static void across_pieces(void **state)
{
	struct buffer text = { 0 };
	buffer_add_cstr(&text, "Subject: long\n\n");
	while (text.len < 200 * 1024)
		buffer_add_cstr(&text, "all work and no play makes jack a dull boy\n");
	size_t at = 2 * (size_t)BLOB_CHUNK_OCTETS - 10;
	memcpy(text.data + at, "the needle\nin the haystack", 26);
	buffer_add_byte(&text, '\0');
	check("BODY needle", (const char *)text.data, true);
	check("BODY haystack", (const char *)text.data, true);
	check("BODY \"no needle\"", (const char *)text.data, false);
	/* One line without an end. */
	memset(text.data + 15, 'x', text.len - 16);
	memcpy(text.data + at, "Needle", 6);
	check("BODY xxneedlexx", (const char *)text.data, true);
	buffer_free(&text);
}

static uint32_t seed = 1;

/* Lines of few letters, some beyond ASCII, some very long; more than two chunks of the store. */
static void random_text(struct buffer *text)
{
	static const char *const pieces[] = { "a",	  "b", "A", "B",	"ab",
					      "b a",	  "k", "s", "\xc3\xa4", "\xe2\x84\xaa",
					      "\xc3\x9f", "fi" };
	bool is_ascii = dice_roll(&seed, 3) == 0;
	unsigned rare = 1 + dice_roll(&seed, 400);
	size_t end = text->len + 2 * (size_t)BLOB_CHUNK_OCTETS + 1000;
	while (text->len < end) {
		for (uint32_t left = dice_roll(&seed, 10) ? dice_roll(&seed, 80)
							  : dice_roll(&seed, 2000);
		     left > 0; left--) {
			bool is_odd = !is_ascii && dice_roll(&seed, rare) == 0;
			buffer_add_cstr(
				text,
				pieces[is_odd ? 8 + dice_roll(&seed, 4) : dice_roll(&seed, 8)]);
		}
		buffer_add_byte(text, '\n');
	}
	buffer_add_byte(text, '\0');
}

static void add_with_crlf(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n')
			buffer_add_byte(out, '\r');
		buffer_add_byte(out, text.ptr[i]);
	}
}

/* A part of the text, often one that begins in the store's first chunk and ends in the next: the search
 * cuts at the last end of line before that. */
static struct slice random_part(struct slice text, size_t header_octets)
{
	assert(text.ptr);
	size_t at = dice_roll(&seed, (uint32_t)text.len);
	if (dice_roll(&seed, 3)) {
		at = BLOB_CHUNK_OCTETS - header_octets;
		if (dice_roll(&seed, 3))
			while (text.ptr[at - 1] != '\n')
				at--;
		at -= dice_roll(&seed, 30);
	}
	struct slice part = slice_sub(text, at, 1 + dice_roll(&seed, 60));
	while (part.len > 0 && (part.ptr[0] & 0xc0) == 0x80)
		part = slice_sub(part, 1, part.len);
	while (part.len > 0 && !text_is_utf8(part))
		part.len--;
	return part;
}

/* Whatever its pieces, a text holds what it holds as a whole. */
static void texts_in_pieces_are_one_text(void **state)
{
	static const char *const encodings[] = { "8bit", "quoted-printable", "x-unknown" };
	unsigned found = 0;
	for (unsigned round = 0; round < 90; round++) {
		struct buffer mail = { 0 }, header = { 0 }, whole = { 0 }, keys = { 0 },
			      needle = { 0 }, folded = { 0 }, whole_folded = { 0 };
		buffer_add_format(&mail,
				  "Content-Type: text/plain; charset=utf-8\n"
				  "Content-Transfer-Encoding: %s\n\n",
				  encodings[dice_roll(&seed, 3)]);
		size_t start = mail.len;
		add_with_crlf(&header, buffer_slice(&mail));
		random_text(&mail);
		add_with_crlf(&whole, slice_cstr((const char *)mail.data + start));
		buffer_add(&needle, random_part(buffer_slice(&whole), header.len));
		if (dice_roll(&seed, 2))
			buffer_add_byte(&needle, "abk"[dice_roll(&seed, 3)]);
		buffer_add_format(&keys, "BODY {%zu}\r\n", needle.len);
		buffer_add(&keys, buffer_slice(&needle));
		buffer_add_byte(&keys, '\0');
		comparator_fold(COMPARATOR_UNICODE_CASEMAP, buffer_slice(&needle), &folded);
		comparator_fold(COMPARATOR_UNICODE_CASEMAP, buffer_slice(&whole), &whole_folded);
		bool want = slice_find(buffer_slice(&whole_folded), 0, buffer_slice(&folded)) <
			    whole_folded.len;
		found += want;
		check((const char *)keys.data, (const char *)mail.data, want);
		buffer_free(&mail);
		buffer_free(&header);
		buffer_free(&whole);
		buffer_free(&keys);
		buffer_free(&needle);
		buffer_free(&folded);
		buffer_free(&whole_folded);
	}
	assert_true(found > 10 && found < 90);
}

static void cheap_keys_spare_dear_ones(void **state)
{
	unsigned reads;
	assert_false(matches_counting("BODY walk UNSEEN", letter, &reads));
	assert_int_equal(reads, 0);
	assert_true(matches_counting("OR BODY nothing SEEN", letter, &reads));
	assert_int_equal(reads, 0);
	assert_false(matches_counting("TEXT walk SUBJECT lake", letter, &reads));
	assert_int_equal(reads, 0);
	assert_true(matches_counting("BODY walk SEEN", letter, &reads));
	assert_int_not_equal(reads, 0);
}

/* The digest says which fields it tells all of. */
static void the_digest_spares_the_header(void **state)
{
	static const char mail[] = "Subject: one\nMessage-ID: <a@b>\nReferences: <c@d>\n <e@f>\n"
				   "In-Reply-To: <e@f>\n\nbody\n";
	static const char twice[] = "Subject: one\nSubject: two\nMessage-ID: <a@b>\n"
				    "Message-ID: <g@h>\n\nbody\n";
	static const struct {
		const char *keys, *text;
		bool want, reads;
	} cases[] = {
		{ "HEADER Message-ID <a@b>", mail, true, false },
		{ "HEADER message-id <x@y>", mail, false, false },
		{ "HEADER Message-ID \"\"", mail, true, false },
		{ "HEADER References <e@f>", mail, true, false },
		{ "HEADER References \"<c@d> <e@f>\"", mail, true, false },
		{ "HEADER References <a@b>", mail, false, false },
		{ "HEADER References \"\"", mail, true, false },
		{ "HEADER In-Reply-To <a@b>", mail, false, false },
		{ "HEADER Subject two", mail, false, false },
		{ "OR HEADER Message-ID <x@y> HEADER References <c@d>", mail, true, false },
		{ "HEADER References \"\"", twice, false, false },
		{ "HEADER Message-ID <g@h>", twice, true, true },
		{ "HEADER Message-ID <x@y>", twice, false, true },
		{ "HEADER Subject TWO", twice, true, true },
		{ "HEADER X-Other two", mail, false, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned reads;
		if (matches_counting(cases[i].keys, cases[i].text, &reads) != cases[i].want)
			fail_msg("%s", cases[i].keys);
		assert_int_equal(reads > 0, cases[i].reads);
	}
}

struct file_octets {
	struct content_source source;
	struct slice message, record;
};

static enum err file_read(struct content_source *source, uint64_t offset, uint64_t len,
			  struct buffer *out)
{
	buffer_add(out, slice_sub(CONTAINER_OF(source, struct file_octets, source)->message, offset,
				  len));
	return ERR_OK;
}

static enum err file_digest(struct content_source *source, struct arena *arena,
			    struct slice *record_out)
{
	*record_out = CONTAINER_OF(source, struct file_octets, source)->record;
	return ERR_OK;
}

static bool file_glance(struct content_source *source, struct slice *record_out)
{
	*record_out = CONTAINER_OF(source, struct file_octets, source)->record;
	return true;
}

static bool file_matches(const char *keys, struct slice message, struct slice record)
{
	struct file_octets octets = { { file_read, file_digest, file_glance }, message, record };
	struct message_entry file = { .uid = 1, .size_octets = message.len, .blob_id = 9 };
	struct cursor c = cursor_of(slice_cstr(keys));
	struct search_program program = { 0 };
	struct matcher matcher;
	struct arena arena = { 0 };
	bool yes = false;
	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &arena, &program),
			 SEARCH_PARSED);
	matcher_init(&matcher, &program);
	assert_int_equal(matcher_match(&matcher, &file, &octets.source, &yes), ERR_OK);
	matcher_fini(&matcher);
	search_program_fini(&program);
	arena_fini(&arena);
	return yes;
}

/* As an older Bode wrote it: without what stands before the envelope. */
static void make_older(struct slice record, struct buffer *older)
{
	size_t at = 2, len = 0;
	for (unsigned shift = 0;; shift += 7) {
		len |= (size_t)(record.ptr[at] & 0x7f) << shift;
		if (!(record.ptr[at++] & 0x80))
			break;
	}
	at += len > 0 ? len - 1 : 0;
	buffer_add_byte(older, 1);
	buffer_add(older, slice_sub(record, at, record.len));
}

/* With what the digest knows the outcome is the one that the header has. */
static void fields_of_every_message(void **state)
{
	static const char *const fields[] = { "Subject", "Message-ID", "In-Reply-To",
					      "References" };
	static const char *const needles[] = { "",  "a", "re", "<", "@",   ">", "=?", "id",
					       "1", ":", " ",  "e", "com", "?", "_" };
	find_corpora();
	for (size_t i = 0; i < name_count; i++) {
		struct arena arena = { 0 };
		struct buffer record = { 0 }, older = { 0 };
		struct slice message = read_file(names[i], &arena);
		digest_encode(structure_parse(message, &arena), &record);
		make_older(buffer_slice(&record), &older);
		for (size_t k = 0; k < ARRAY_LEN(fields) * ARRAY_LEN(needles); k++) {
			char keys[64];
			snprintf(keys, sizeof(keys), "HEADER %s \"%s\"",
				 fields[k % ARRAY_LEN(fields)], needles[k / ARRAY_LEN(fields)]);
			if (file_matches(keys, message, buffer_slice(&record)) !=
			    file_matches(keys, message, buffer_slice(&older)))
				fail_msg("%s: %s", names[i], keys);
		}
		buffer_free(&record);
		buffer_free(&older);
		arena_fini(&arena);
	}
}

/* A slice ends when enough has been spent, so what each message costs must show. */
static void many_keys_cost_more(void **state)
{
	struct buffer keys = { 0 };
	check("NOT ANSWERED", letter, true);
	uint64_t spent_on_one = spent;
	for (unsigned i = 0; i < 400; i++)
		buffer_add_cstr(&keys, i == 0 ? "NOT ANSWERED" : " NOT ANSWERED");
	buffer_add_byte(&keys, '\0');
	check((const char *)keys.data, letter, true);
	assert_true(spent > 50 * spent_on_one);
	buffer_free(&keys);
}

enum { WORDS = 6000, WORDS_AT_ONCE = 90 };

/* More than a piece, each word another one. */
static void add_words(struct buffer *utf8, const char *word, const char *end_of_line)
{
	for (unsigned i = 0; i < WORDS; i++)
		buffer_add_format(utf8, "%s %04u.%s", word, i, end_of_line);
}

static bool holds_words(const char *mail, const char *word, unsigned first)
{
	struct buffer keys = { 0 };
	for (unsigned i = first; i < first + WORDS_AT_ONCE; i++)
		buffer_add_format(&keys, "%sTEXT \"%s %04u.\"", i > first ? " " : "", word, i);
	buffer_add_byte(&keys, '\0');
	bool yes = matches_counting((const char *)keys.data, mail, NULL);
	buffer_free(&keys);
	return yes;
}

static void encode(const char *iconv_name, const char *mark, struct slice utf8, struct buffer *out)
{
	iconv_t converter = iconv_open(iconv_name, "UTF-8");
	size_t room = utf8.len * 4 + 64, in_left = utf8.len, out_left = room;
	struct buffer text = { 0 };
	assert_true(converter != (iconv_t)-1);
	buffer_add_cstr(out, mark);
	buffer_add(&text, utf8);
	char *in = (char *)text.data, *at = (char *)buffer_reserve(out, room);
	assert_int_equal(iconv(converter, &in, &in_left, &at, &out_left), 0);
	iconv(converter, NULL, NULL, &at, &out_left);
	out->len += room - out_left;
	iconv_close(converter);
	buffer_free(&text);
}

/* Whatever a charset is called, wherever its text is cut, with lines and without. */
static void texts_in_charsets_that_shift(void **state)
{
	static const char japanese[] = "\xe3\x81\x93\xe3\x82\x93", korean[] = "\xed\x95\x9c",
			  pair[] = "\xf0\x9f\x98\x80\xc5\xa1";
	static const struct {
		const char *charset, *iconv_name, *mark, *word;
	} cases[] = {
		{ "iso-2022-jp", "ISO-2022-JP", "", japanese },
		{ "csISO2022JP", "ISO-2022-JP", "", japanese },
		{ "csISO2022JP2", "ISO-2022-JP-2", "", japanese },
		{ "\" iso-2022-jp\"", "ISO-2022-JP", "", japanese },
		{ "csISO2022KR", "ISO-2022-KR", "", korean },
		{ "utf7", "UTF-7", "", pair },
		{ "csUTF7", "UTF-7", "", pair },
		{ "unicode-1-1-utf-7", "UTF-7", "", pair },
		{ "utf-16", "UTF-16LE", "\xff\xfe", pair },
		{ "utf-16", "UTF-16BE", "\xfe\xff", pair },
		{ "csUTF16", "UTF-16BE", "", pair },
		{ "utf-16le", "UTF-16LE", "", pair },
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t k = i / 2;
		struct buffer utf8 = { 0 }, octets = { 0 }, mail = { 0 };
		add_words(&utf8, cases[k].word, i % 2 ? "\r\n" : "");
		encode(cases[k].iconv_name, cases[k].mark, buffer_slice(&utf8), &octets);
		buffer_add_format(&mail,
				  "Content-Type: text/plain; charset=%s\n"
				  "Content-Transfer-Encoding: base64\n\n",
				  cases[k].charset);
		for (size_t at = 0; at < octets.len; at += 57) {
			base64_encode(slice_sub(buffer_slice(&octets), at, 57), &mail);
			buffer_add_byte(&mail, '\n');
		}
		buffer_add_byte(&mail, '\0');
		/* At the border between two pieces, and at the end. */
		uint64_t stored = mail.len + mail.len / 77; /* with CRLF */
		unsigned border = (unsigned)(WORDS * (uint64_t)BLOB_CHUNK_OCTETS / stored);
		assert_in_range(border, WORDS / 4, WORDS - WORDS_AT_ONCE);
		if (!holds_words((const char *)mail.data, cases[k].word,
				 border - WORDS_AT_ONCE / 2) ||
		    !holds_words((const char *)mail.data, cases[k].word, WORDS - WORDS_AT_ONCE))
			fail_msg("%s, row %zu", cases[k].charset, i);
		buffer_free(&utf8);
		buffer_free(&octets);
		buffer_free(&mail);
	}
	check("BODY \"$3$s\"",
	      "Content-Type: text/plain; charset=csISO2022JP\n\n\x1b$B$3$s\x1b(B\n", false);
}

/* Many strings, one of them long, in text that is ASCII but for a letter here and there. */
static void stretches_of_ascii_cost_little(void **state)
{
	enum { STRINGS = 99, LONG_STRING = 60000, STRETCH = 130, STRETCHES = 2000 };
	struct buffer mail = { 0 }, keys = { 0 };
	buffer_add_cstr(&mail, "Content-Type: text/plain; charset=utf-8\n\n");
	for (unsigned i = 0; i < STRETCHES; i++) {
		memset(buffer_reserve(&mail, STRETCH), 'y', STRETCH);
		mail.len += STRETCH;
		buffer_add_cstr(&mail, i % 7 ? "\xc3\xa4" : "\xc3\xa4\n");
	}
	buffer_add_byte(&mail, '\0');
	buffer_add_format(&keys, "NOT BODY {%u}\r\n", LONG_STRING);
	memset(buffer_reserve(&keys, LONG_STRING), 'x', LONG_STRING);
	keys.len += LONG_STRING;
	for (unsigned i = 0; i < STRINGS; i++)
		buffer_add_format(&keys, " NOT BODY z%u", i);
	buffer_add_byte(&keys, '\0');
	check((const char *)keys.data, (const char *)mail.data, true);
	/* Each octet for each string, and what pieces share. */
	assert_true(spent > mail.len);
	assert_true(spent < mail.len + 4 * (STRINGS + 1) * mail.len / NEEDLE_OCTETS_FOR_ONE);
	buffer_free(&mail);
	buffer_free(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_dates_and_sizes),
		cmocka_unit_test(sent_dates),
		cmocka_unit_test(envelope_fields),
		cmocka_unit_test(bodies),
		cmocka_unit_test(parts),
		cmocka_unit_test(across_pieces),
		cmocka_unit_test(texts_in_pieces_are_one_text),
		cmocka_unit_test(texts_in_charsets_that_shift),
		cmocka_unit_test(stretches_of_ascii_cost_little),
		cmocka_unit_test(cheap_keys_spare_dear_ones),
		cmocka_unit_test(many_keys_cost_more),
		cmocka_unit_test(the_digest_spares_the_header),
		cmocka_unit_test(fields_of_every_message),
	};
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
