/* tests/unit/smtpd/relay_form.c - the back's part of converting a message: what it answers to a front
 * that asks for another form, what it sends then, and what no front may ask. */
#include "tests/unit/smtpd/relay_bed.h"

#include "base/log.h"
#include "mail/text.h"
#include "runtime/messages.h"

static struct config *config;

/* What the front has heard. */
static unsigned deliveries, answers;
static uint32_t conversation;
static struct delivery_form_message answer;
static struct buffer answer_octets, content;

bool channel_send(struct channel *channel, uint16_t type, uint32_t number, struct slice payload,
		  int fd)
{
	assert_ptr_equal(channel, front);
	if (type == MESSAGE_DELIVER) {
		deliveries++;
		conversation = number;
	} else if (type == MESSAGE_DELIVERY_FORM) {
		answers++;
		buffer_clear(&answer_octets);
		buffer_add(&answer_octets, payload);
		assert_true(delivery_form_decode(buffer_slice(&answer_octets), &answer));
		buffer_clear(&content);
	} else if (type == MESSAGE_DELIVERY_CONTENT) {
		assert_true(payload.len <= DELIVERY_FRAME_OCTETS);
		buffer_add(&content, payload);
	}
	return true;
}

static void wait_delivery(void)
{
	while (deliveries == 0)
		loop_run_once(back.loop, 20);
}

/* The message is with the front. */
static void begin(enum envelope_body body, struct slice message)
{
	bed_begin(&bed, STORE_SERVE);
	queue_mail((struct queue_entry){ .envelope.body = body }, "bob@far.example", 10, message);
	deliveries = answers = 0;
	buffer_clear(&content);
	back_begin(config);
	runner_begin();
	wait_delivery();
}

static void end(void)
{
	runner_end();
	back_end();
}

static bool want(enum envelope_body form)
{
	struct buffer payload = { 0 };
	form_wanted_encode(form, &payload);
	bool good = relay_runner_message(runner, front, MESSAGE_FORM_WANTED, conversation,
					 buffer_slice(&payload));
	buffer_free(&payload);
	return good;
}

static void wait_answer(void)
{
	unsigned before = answers;
	while (answers == before)
		loop_run_once(back.loop, 20);
}

/* Credits for what has come, until all of it is there. */
static void take_all(void)
{
	for (size_t given = 0; given < content.len;) {
		struct buffer payload = { 0 };
		credit_encode((uint32_t)(content.len - given), &payload);
		given = content.len;
		assert_true(relay_runner_message(runner, front, MESSAGE_DELIVERY_CREDIT,
						 conversation, buffer_slice(&payload)));
		buffer_free(&payload);
	}
	assert_int_equal(content.len, answer.size_octets);
}

static void content_begins_anew_in_the_form_that_was_asked_for(void **state)
{
	struct buffer message = { 0 };
	buffer_add_cstr(&message, "Subject: x\r\n\r\n");
	for (int i = 0; i < 20000; i++)
		buffer_add_format(&message, "line %d is no ASCII: \xc3\xa4\r\n", i);
	begin(ENVELOPE_8BITMIME, buffer_slice(&message));
	assert_in_range(content.len, 1, DELIVERY_WINDOW_OCTETS);
	assert_true(want(ENVELOPE_7BIT));
	wait_answer();
	assert_int_equal(answer.status.len, 0);
	assert_int_equal(answer.form, ENVELOPE_7BIT);
	assert_int_equal(content.len, DELIVERY_WINDOW_OCTETS);
	take_all();
	assert_true(text_is_ascii(buffer_slice(&content)));
	assert_true(slice_find(buffer_slice(&content), 0, SLICE("line 19999 is no ASCII: =C3=A4")) <
		    content.len);
	/* What lies in the store is what came. */
	struct transfer *transfer = runner->numbers[conversation % RUNNER_BUCKETS];
	assert_int_equal(transfer->blob_end - transfer->blob_start, message.len);
	assert_int_not_equal(transfer_conversion_words(transfer).len, 0);
	end();
	buffer_free(&message);
}

static void what_fits_is_sent_as_it_is(void **state)
{
	struct slice message = SLICE("Content-Transfer-Encoding: 8bit\r\n\r\nASCII\r\n");
	begin(ENVELOPE_8BITMIME, message);
	assert_true(want(ENVELOPE_7BIT));
	wait_answer();
	assert_int_equal(answer.form, ENVELOPE_7BIT);
	take_all();
	assert_true(slice_eq(buffer_slice(&content), message));
	assert_int_equal(
		transfer_conversion_words(runner->numbers[conversation % RUNNER_BUCKETS]).len, 0);
	end();
}

/* An attempt that has been made, and what came of it. */
static void note_attempt(struct slice words)
{
	struct transfer *transfer = runner->numbers[conversation % RUNNER_BUCKETS];
	queue_note_attempt(&transfer->entry, &transfer->arena, 1, SLICE("mx.example"), words);
}

/* Who speaks at first may not be the server itself, so that is no reason to send anything back; who did
 * not come so far has seen nothing of it. */
static void what_cannot_be_converted_is_said(void **state)
{
	struct slice message = SLICE("Subject: \xc3\xa4\r\n\r\nx\r\n");
	static const char *const statuses[] = { "4.6.9", "4.6.9", "4.6.9", "5.6.9" };
	struct buffer said = { 0 };
	for (unsigned i = 0; i < ARRAY_LEN(statuses); i++) {
		begin(ENVELOPE_8BITMIME, message);
		for (unsigned before = 0; before < 4; before++)
			note_attempt(SLICE("the server could not be reached (ECONNREFUSED)"));
		for (unsigned before = 0; before < i; before++)
			note_attempt(buffer_slice(&said));
		assert_true(want(ENVELOPE_7BIT));
		wait_answer();
		assert_slice(answer.status, statuses[i]);
		assert_true(slice_find(answer.words, 0, SLICE("a header")) < answer.words.len);
		buffer_clear(&said);
		buffer_add(&said, answer.words);
		/* Another server may take it as it is. */
		take_all();
		assert_true(slice_eq(buffer_slice(&content), message));
		end();
	}
	buffer_free(&said);
}

/* Of whom nobody has said that there are 8 bits in it. */
static void a_header_goes_as_it_is_where_nothing_was_said_of_it(void **state)
{
	struct slice message = SLICE("Subject: \xc3\xa4\r\n\r\nx\r\n");
	begin(ENVELOPE_7BIT, message);
	assert_true(want(ENVELOPE_7BIT));
	wait_answer();
	assert_int_equal(answer.status.len, 0);
	assert_int_equal(answer.form, ENVELOPE_7BIT);
	take_all();
	assert_true(slice_eq(buffer_slice(&content), message));
	end();
}

/* Each lesser form, one after the other: 8 bits for one server, 7 for the next. */
static void forms_are_had_in_turn(void **state)
{
	struct slice message = SLICE("Subject: x\r\n\r\na line of text \xc3\xa4 and a bare\n.\r\n");
	begin(ENVELOPE_BINARYMIME, message);
	assert_true(want(ENVELOPE_8BITMIME));
	wait_answer();
	assert_int_equal(answer.form, ENVELOPE_8BITMIME);
	assert_true(want(ENVELOPE_7BIT));
	wait_answer();
	assert_int_equal(answer.form, ENVELOPE_7BIT);
	take_all();
	assert_true(text_is_ascii(buffer_slice(&content)));
	assert_false(want(ENVELOPE_7BIT));
	end();
}

static unsigned kept(void)
{
	unsigned count = 0;
	for (size_t i = 0; i < LOOKS_MAX; i++)
		count += runner->looks.kept[i].blob_id != 0;
	return count;
}

/* Whatever became of the attempt, it is not looked through again. */
static void what_was_found_is_kept_for_the_next_attempt(void **state)
{
	struct buffer message = { 0 }, first = { 0 };
	buffer_add_cstr(&message, "Subject: x\r\n\r\n");
	for (int i = 0; i < 20000; i++)
		buffer_add_format(&message, "line %d is no ASCII: \xc3\xa4\r\n", i);
	begin(ENVELOPE_8BITMIME, buffer_slice(&message));
	for (unsigned attempt = 0; attempt < 3; attempt++) {
		assert_true(want(ENVELOPE_7BIT));
		assert_int_equal(kept(), 0);
		wait_answer();
		assert_int_equal(answer.status.len, 0);
		if (attempt == 1) {
			/* The connection breaks in the middle of the content. */
			assert_int_equal(content.len, DELIVERY_WINDOW_OCTETS);
		} else {
			take_all();
			if (attempt == 0)
				buffer_add(&first, buffer_slice(&content));
			assert_true(slice_eq(buffer_slice(&content), buffer_slice(&first)));
		}
		end_transfers();
		assert_int_equal(kept(), 1);
		deliveries = 0;
		runner_dispatch(runner);
		wait_delivery();
	}
	end();
	/* Who asked does not wait for it any more. */
	begin(ENVELOPE_8BITMIME, buffer_slice(&message));
	assert_true(want(ENVELOPE_7BIT));
	end_transfers();
	while (!relay_runner_is_idle(runner))
		loop_run_once(back.loop, 20);
	assert_int_equal(kept(), 1);
	end();
	buffer_free(&message);
	buffer_free(&first);
}

static void a_front_cannot_ask_for_anything_else(void **state)
{
	begin(ENVELOPE_8BITMIME, SLICE("Subject: \xc3\xa4\r\n\r\nx\r\n"));
	assert_false(want(ENVELOPE_8BITMIME));
	assert_false(want(ENVELOPE_BINARYMIME));
	assert_false(want(ENVELOPE_BODY_COUNT));
	/* One question at a time, and not for ever. */
	for (int i = 0; i < 4; i++) {
		assert_true(want(ENVELOPE_7BIT));
		assert_false(want(ENVELOPE_7BIT));
		wait_answer();
	}
	assert_false(want(ENVELOPE_7BIT));
	/* Nobody waits for the answer any more. */
	end();
	begin(ENVELOPE_8BITMIME, SLICE("Subject: x\r\n\r\n\xc3\xa4\r\n"));
	assert_true(want(ENVELOPE_7BIT));
	assert_false(relay_runner_is_idle(runner));
	end();
	assert_int_equal(answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_begins_anew_in_the_form_that_was_asked_for),
		cmocka_unit_test(what_fits_is_sent_as_it_is),
		cmocka_unit_test(what_cannot_be_converted_is_said),
		cmocka_unit_test(a_header_goes_as_it_is_where_nothing_was_said_of_it),
		cmocka_unit_test(forms_are_had_in_turn),
		cmocka_unit_test(what_was_found_is_kept_for_the_next_attempt),
		cmocka_unit_test(a_front_cannot_ask_for_anything_else),
	};
	log_set_level(LOG_ERROR);
	config = config_with("");
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	buffer_free(&answer_octets);
	buffer_free(&content);
	config_free(config);
	return status;
}
