/* tests/unit/imapd/flood.c - who floods is slowed, then sent away; counted in what the cores ask for,
 * not in time. */
#include "tests/unit/unit.h"

#include "imapd/flood_priv.h"
#include "imapd/login_priv.h"
#include "runtime/link.h"
#include "tests/unit/imapd/core.h"

static void delays_grow_to_a_limit(void **state)
{
	assert_int_equal(flood_delay_ms(0, 20), 0);
	assert_int_equal(flood_delay_ms(10, 20), 0);
	assert_int_equal(flood_delay_ms(11, 20), FLOOD_DELAY_FIRST_MS);
	assert_int_equal(flood_delay_ms(12, 20), 2 * FLOOD_DELAY_FIRST_MS);
	assert_int_equal(flood_delay_ms(20, 20), FLOOD_DELAY_MAX_MS);
	assert_int_equal(flood_delay_ms(1000, 1000), FLOOD_DELAY_MAX_MS);
	assert_int_equal(flood_delay_ms(1, 1), FLOOD_DELAY_FIRST_MS);
}

/* One command with its answer. */
static enum step say(struct session *session, struct slice line, const char *answer)
{
	struct cursor in = cursor_of(line);
	enum step step;
	do
		step = session_drive(session, &in);
	while (step == STEP_WAIT && session->delay_ms == 0);
	buffer_add_byte(&session->out, '\0');
	assert_non_null(strstr((const char *)session->out.data, answer));
	buffer_clear(&session->out);
	assert_true(step == STEP_CLOSE || at_end(&in));
	return step;
}

static void errors_of_a_session(void **state)
{
	struct core_world world;
	core_world_start(&world);
	world.config->protocol_errors = 20;
	struct session *session = core_sign_in(&world, 1);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 1; i <= 20; i++) {
			enum step step = say(session, SLICE("a BOGUS\r\n"), "a BAD ");
			assert_int_equal(session->delay_ms, flood_delay_ms(i, 20));
			assert_int_equal(step, i <= 10 ? STEP_INPUT : STEP_WAIT);
		}
		if (round == 0) /* who makes sense again begins anew */
			assert_int_equal(say(session, SLICE("b NOOP\r\n"), "b OK "), STEP_INPUT);
	}
	assert_int_equal(say(session, SLICE("a BOGUS\r\n"), "* BYE Too many errors"), STEP_CLOSE);
	core_sign_out(&world, session);
	core_world_stop(&world);
}

/* Whatever succeeds in between. */
static void names_cannot_be_tried_without_end(void **state)
{
	static const char *const lines[] = {
		"a SETACL INBOX nobody@example.org l\r\n",
		"a DELETEACL INBOX nobody@example.org\r\n",
		"a LISTRIGHTS INBOX nobody@example.org\r\n",
	};
	struct core_world world;
	core_world_start(&world);
	world.config->protocol_errors = 20;
	struct session *session = core_sign_in(&world, 1);
	for (unsigned i = 1; i <= 21; i++) {
		struct buffer said = { 0 };
		struct cursor in = cursor_of(slice_cstr(lines[i % ARRAY_LEN(lines)]));
		enum step step;
		while ((step = session_drive(session, &in)) == STEP_WAIT && session->delay_ms == 0)
			if (session->job_out)
				loop_run_once(world.loop, 1000);
		core_drain(session, &said);
		assert_int_not_equal(
			slice_find(buffer_slice(&said), 0, SLICE("a NO [CANNOT] No user")),
			said.len);
		buffer_free(&said);
		assert_int_equal(step, i > 20 ? STEP_CLOSE : i > 10 ? STEP_WAIT : STEP_INPUT);
		if (i > 20)
			break;
		assert_int_equal(session->delay_ms, flood_delay_ms(i, 20));
		assert_int_equal(say(session, SLICE("b NOOP\r\n"), "b OK "), STEP_INPUT);
	}
	core_sign_out(&world, session);
	core_world_stop(&world);
}

static void before_signing_in(void **state)
{
	struct core_world world;
	core_world_start(&world);
	world.config->protocol_errors = 20;
	struct front front = { .loop = world.loop, .config = world.config };
	front.link = link_new(world.loop);
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		unsigned limit = wrong ? 20 : 100;
		struct session *session = imap_login_new(&front, NULL);
		struct slice line = wrong ? SLICE("a BOGUS\r\n") : SLICE("a NOOP\r\n");
		assert_int_equal(say(session, SLICE_NONE, "* OK "), STEP_INPUT);
		for (unsigned i = 1; i <= limit; i++) {
			enum step step = say(session, line, wrong ? "a BAD " : "a OK ");
			assert_int_equal(session->delay_ms, flood_delay_ms(i, limit));
			assert_int_equal(step, i <= limit / 2 ? STEP_INPUT : STEP_WAIT);
		}
		assert_int_equal(say(session, line, "* BYE Too many "), STEP_CLOSE);
		session->class->free(session);
	}
	link_free(&front.link);
	core_world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_grow_to_a_limit),
		cmocka_unit_test(errors_of_a_session),
		cmocka_unit_test(names_cannot_be_tried_without_end),
		cmocka_unit_test(before_signing_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
