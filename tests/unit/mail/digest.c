/* tests/unit/mail/digest.c - records that come back, and damaged ones that do not hurt. */
#include "tests/unit/unit.h"

#include "tests/unit/mail/structure.h"

static const char text[] =
	"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nSubject: a subject\r\nFrom: A <a@b>, c@d\r\n"
	"Reply-To: G: x@y, z@z;\r\nTo: <@r:t@u>\r\nCc:\r\nMessage-ID: <m@i>\r\n"
	"Content-Type: multipart/mixed; boundary=x; y=\"\"\r\n\r\n--x\r\nContent-ID: <1>\r\n"
	"Content-Description:\r\nContent-Disposition: inline; filename=f\r\n\r\none\r\n"
	"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: e@f\r\nSender: g@h\r\n\r\ntwo\r\n"
	"--x\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: m\r\nContent-Language: de\r\n"
	"Content-Location: l\r\n\r\nQQ==\r\n--x--\r\n";

static void comes_back(void **state)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 }, again = { 0 };
	struct slice message = slice_cstr(text);
	struct mime_part *root;
	digest_encode(structure_parse(message, &arena), &record);
	assert_true(digest_decode(buffer_slice(&record), &arena, &root));
	structure_check(root, message, 0, message.len, 1, true);
	digest_encode(root, &again);
	assert_true(slice_eq(buffer_slice(&record), buffer_slice(&again)));

	struct mime_envelope e;
	assert_true(digest_decode_envelope(buffer_slice(&record), &arena, &e));
	assert_slice(e.subject, "a subject");
	assert_int_equal(e.from_count, 2);
	assert_slice(e.from[0].name, "A");
	assert_null(e.from[1].name.ptr);
	assert_ptr_equal(e.sender, e.from);
	assert_int_equal(e.reply_to_count, 4);
	assert_null(e.reply_to[3].mailbox.ptr);
	assert_slice(e.to[0].route, "@r");
	assert_int_equal(e.cc_count, 0);
	assert_null(e.in_reply_to.ptr);

	struct mime_part *part = root->first_child;
	assert_slice(part->id, "<1>");
	assert_non_null(part->description.ptr);
	assert_slice(part->disposition_parameters[0].value, "f");
	part = part->next_sibling;
	assert_slice(part->first_child->envelope->sender[0].mailbox, "g");
	assert_slice(part->first_child->envelope->reply_to[0].mailbox, "e");
	part = part->next_sibling;
	assert_slice(part->encoding, "base64");
	assert_slice(part->location, "l");
	assert_null(part->next_sibling);
	buffer_free(&record);
	buffer_free(&again);
	arena_fini(&arena);
}

static void check_list(struct slice record, enum digest_field field,
		       const struct header_address *want, size_t count)
{
	struct slice list;
	struct header_address address;
	assert_true(digest_find_addresses(record, field, &list));
	struct cursor c = cursor_of(list);
	for (size_t i = 0; i < count; i++) {
		assert_true(digest_take_address(&c, &address));
		assert_true(slice_eq(address.name, want[i].name));
		assert_true(slice_eq(address.route, want[i].route));
		assert_true(slice_eq(address.mailbox, want[i].mailbox));
		assert_true(slice_eq(address.host, want[i].host));
		assert_int_equal(!address.host.ptr, !want[i].host.ptr);
	}
	assert_true(at_end(&c));
}

static void one_field_has_its_addresses(void **state)
{
	static const char *const senders[] = { "From: A <a@b>, c@d\r\n",
					       "From: A <a@b>\r\nSender: s@t\r\n",
					       "From: A <a@b>\r\nReply-To: G: x@y;\r\n",
					       "Reply-To: r@p\r\nSender: s@t, u@v\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		struct arena arena = { 0 };
		struct buffer record = { 0 };
		struct mime_envelope e;
		const char *message =
			arena_format(&arena,
				     "%sTo: <@r:t@u>, \"T\" <t@u>\r\nCc: team: m@n, o@p;\r\n"
				     "Bcc: q@r\r\n\r\n",
				     senders[i]);
		digest_encode(structure_parse(slice_cstr(message), &arena), &record);
		struct slice octets = buffer_slice(&record);
		assert_true(digest_decode_envelope(octets, &arena, &e));
		assert_int_equal(e.bcc_count, 1);
		check_list(octets, DIGEST_FROM, e.from, e.from_count);
		check_list(octets, DIGEST_TO, e.to, e.to_count);
		check_list(octets, DIGEST_CC, e.cc, e.cc_count);
		check_list(octets, DIGEST_BCC, e.bcc, e.bcc_count);
		buffer_free(&record);
		arena_fini(&arena);
	}
}

static void damage_is_found_or_harmless(void **state)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 };
	struct slice message = slice_cstr(text);
	struct slice list;
	struct mime_envelope e;
	struct mime_part *root;
	digest_encode(structure_parse(message, &arena), &record);
	arena_reset(&arena);
	for (size_t len = 0; len < record.len; len++) {
		uint8_t *copy = malloc(len + 1);
		memcpy(copy, record.data, len);
		assert_false(digest_decode(slice_of(copy, len), &arena, &root));
		digest_decode_envelope(slice_of(copy, len), &arena, &e);
		digest_find_addresses(slice_of(copy, len), DIGEST_BCC, &list);
		free(copy);
		arena_reset(&arena);
	}
	for (size_t at = 0; at < record.len; at++) {
		for (unsigned octet = 0; octet < 256; octet += octet < 16 ? 1 : 5) {
			uint8_t kept = record.data[at];
			record.data[at] = (uint8_t)octet;
			struct buffer again = { 0 };
			if (digest_decode(buffer_slice(&record), &arena, &root)) {
				structure_check_places(root, 0, INT64_MAX);
				digest_encode(root, &again);
			}
			record.data[at] = kept;
			buffer_free(&again);
			arena_reset(&arena);
		}
	}
	buffer_add_byte(&record, 0);
	assert_false(digest_decode(buffer_slice(&record), &arena, &root));
	record.data[0] = 3;
	assert_false(digest_decode_envelope(buffer_slice(&record), &arena, &e));
	buffer_free(&record);
	arena_fini(&arena);
}

static const struct {
	const char *header;
	unsigned more;
	const char *references; /* NULL: none are kept */
} headers[] = {
	{ "Subject: a\r\n", 0, NULL },
	{ "References: <a@b>\r\n <c@d>\r\nMessage-ID: <e@f>\r\n", 0, "<a@b> <c@d>" },
	{ "References:\r\n", 0, "" },
	{ "Subject: a\r\nsubject: b\r\n", MIME_MORE_SUBJECT, NULL },
	{ "Message-ID: a\r\nMessage-Id: a\r\nIn-Reply-To: b\r\n", MIME_MORE_MESSAGE_ID, NULL },
	{ "In-Reply-To: a\r\nIn-Reply-To: b\r\n", MIME_MORE_IN_REPLY_TO, NULL },
	{ "References: a\r\nReferences: b\r\n", MIME_MORE_REFERENCES, "a" },
	{ "From: a\r\nFrom: b\r\n", 0, NULL },
};

/* So that a search needs no header. */
static void says_where_the_header_has_more(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct arena arena = { 0 };
		struct buffer record = { 0 };
		struct mime_envelope e;
		const char *message = arena_format(&arena, "%s\r\nbody", headers[i].header);
		digest_encode(structure_parse(slice_cstr(message), &arena), &record);
		assert_true(digest_decode_texts(buffer_slice(&record), &e));
		assert_int_equal(e.more, headers[i].more);
		if (headers[i].references)
			assert_slice(e.references, headers[i].references);
		assert_int_equal(!e.references.ptr, !headers[i].references);
		buffer_free(&record);
		arena_fini(&arena);
	}
}

static void what_is_too_long_is_in_the_header(void **state)
{
	struct arena arena = { 0 };
	struct buffer message = { 0 }, record = { 0 };
	struct mime_envelope e;
	buffer_add_cstr(&message, "References:");
	for (unsigned i = 0; i < 100; i++)
		buffer_add_cstr(&message, " <12345678@example>\r\n");
	buffer_add_cstr(&message, "Subject: s\r\n\r\n");
	digest_encode(structure_parse(buffer_slice(&message), &arena), &record);
	assert_true(digest_decode_texts(buffer_slice(&record), &e));
	assert_int_equal(e.more, MIME_MORE_REFERENCES);
	assert_null(e.references.ptr);
	assert_slice(e.subject, "s");

	/* A header that is not looked at to its end may have more of everything. */
	buffer_clear(&message);
	buffer_clear(&record);
	buffer_add_cstr(&message, "Subject: s\r\n");
	while (message.len <= MIME_MAX_HEADER_OCTETS)
		buffer_add_cstr(&message, "X-Filler: 0123456789012345678901234567890123456789\r\n");
	buffer_add_cstr(&message, "Message-ID: <a@b>\r\n\r\n");
	digest_encode(structure_parse(buffer_slice(&message), &arena), &record);
	assert_true(digest_decode_texts(buffer_slice(&record), &e));
	assert_int_equal(e.more, MIME_MORE_ANY);
	assert_slice(e.subject, "s");
	buffer_free(&message);
	buffer_free(&record);
	arena_fini(&arena);
}

/* The first version: without what stands before the envelope. */
static void records_of_an_older_bode(void **state)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 }, older = { 0 };
	struct mime_part *root, *parsed = structure_parse(slice_cstr(text), &arena);
	struct mime_envelope e;
	digest_encode(parsed, &record);
	buffer_add_byte(&older, 1);
	assert_int_equal(record.data[0], 2);
	assert_int_equal(record.data[1], 0); /* more */
	assert_int_equal(record.data[2], 0); /* references */
	buffer_add(&older, slice_sub(buffer_slice(&record), 3, record.len));
	assert_true(digest_decode(buffer_slice(&older), &arena, &root));
	assert_slice(root->envelope->subject, "a subject");
	assert_int_equal(root->envelope->more, MIME_MORE_ANY);
	assert_true(digest_decode_texts(buffer_slice(&older), &e));
	assert_int_equal(e.more, MIME_MORE_ANY);
	assert_slice(e.message_id, "<m@i>");
	assert_true(digest_is_of(buffer_slice(&older), parsed));
	assert_true(digest_is_of(buffer_slice(&record), parsed));
	older.data[older.len - 1] ^= 1;
	assert_false(digest_is_of(buffer_slice(&older), parsed));
	buffer_free(&record);
	buffer_free(&older);
	arena_fini(&arena);
}

/* A count of billions in a record of a few octets asks for no memory. */
static void promises_are_not_believed(void **state)
{
	struct arena arena = { 0 };
	static const uint8_t record[] = { 1, 10, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0x7f };
	struct mime_envelope e;
	struct slice list;
	assert_false(digest_decode_envelope(slice_of(record, sizeof(record)), &arena, &e));
	assert_false(digest_find_addresses(slice_of(record, sizeof(record)), DIGEST_FROM, &list));
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(one_field_has_its_addresses),
		cmocka_unit_test(damage_is_found_or_harmless),
		cmocka_unit_test(says_where_the_header_has_more),
		cmocka_unit_test(what_is_too_long_is_in_the_header),
		cmocka_unit_test(records_of_an_older_bode),
		cmocka_unit_test(promises_are_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
