/* tests/fuzz/imap_session.c - a login core and two signed-in cores over one real store, fed
 * with arbitrary octets.
 *
 * The first octet chooses who hears what follows first; 0xfe goes on to the next core, 0xfd lets
 * the loop turn, 0xfc is a time-out, 0xfb ends the input, 0xfa a server that stops. */
#include "imapd/login_priv.h"
#include "runtime/link.h"
#include "tests/unit/imapd/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CORES = 3, INPUTS_PER_STORE = 300, OUT_MAX_OCTETS = 512 * 1024 };

static struct core_world world;
static struct front front;
static struct session *cores[CORES];
static unsigned inputs;

/* Who copies a mailbox onto itself has a million messages twenty commands later. */
enum { MESSAGES_MAX = 1000 };

static enum err limit_run(struct write *write, struct job *job)
{
	return account_set_quota(write, world.account_id, 0, MESSAGES_MAX);
}

static void start_world(void)
{
	struct job limit = { .run = limit_run };
	core_world_start(&world);
	enum err err = store_write_now(world.back.store, &limit);
	assert(err == ERR_OK);
	front = (struct front){ .loop = world.loop, .config = world.config };
	front.link = link_new(world.loop); /* the back is away: every question ends so */
}

static void stop_world(void)
{
	link_free(&front.link);
	core_world_stop(&world);
}

static void end_core(unsigned which)
{
	if (cores[which])
		core_sign_out(&world, cores[which]);
	cores[which] = NULL;
}

static struct session *core_at(unsigned which)
{
	if (!cores[which] && which == 0) {
		cores[which] = imap_login_new(&front, NULL);
		cores[which]->woken = core_woken;
		session_wake_news(cores[which], NEWS_SECURED);
	} else if (!cores[which]) {
		cores[which] = core_sign_in(&world, which);
	}
	return cores[which];
}

/* What a session that waits for its next command may own. */
static void owns_little(unsigned which)
{
	if (which == 0)
		return;
	struct imap_session *s = CONTAINER_OF(cores[which], struct imap_session, session);
	if (s->running)
		return;
	assert(!s->command_arena.newest && !s->work);
	assert(s->framing.text.len <= IMAP_COMMAND_MAX_OCTETS + 512);
}

enum { TURNS_MAX = 1000 }; /* in which nothing is said: far more than any input takes */

static void feed(unsigned which, struct slice input)
{
	struct session *session = core_at(which);
	struct cursor in = cursor_of(input);
	size_t said = 0;
	unsigned turns = 0;
	for (;;) {
		enum step step = session_drive(session, &in);
		assert(step != STEP_AGAIN);
		assert(session->out.len < SESSION_OUT_HIGH_OCTETS + OUT_MAX_OCTETS);
		bool was_full = session_out_is_full(session);
		said += session->out.len;
		buffer_clear(&session->out);
		if (step == STEP_CLOSE) {
			end_core(which);
			return;
		}
		if (session->wants_tls) {
			session->wants_tls = false;
			in.at = in.end;
			session_wake_news(session, NEWS_SECURED);
			continue;
		}
		if (step == STEP_INPUT) {
			assert(at_end(&in));
			owns_little(which);
			return;
		}
		/* Waiting has a reason that goes away: on a busy machine a turn may be over before
		 * anything has been said. */
		turns = session->job_out || was_full || said > 0 ? 0 : turns + 1;
		assert(turns < TURNS_MAX);
		while (session->job_out)
			loop_run_once(world.loop, 1000);
	}
}

static void happen(unsigned which, uint8_t what)
{
	if (what == 0xfd)
		loop_run_once(world.loop, 0);
	else if (cores[which])
		session_wake_news(cores[which], what == 0xfc   ? NEWS_TIMEOUT
						: what == 0xfb ? NEWS_ENDED
							       : NEWS_SHUTDOWN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	log_set_level(LOG_ERROR);
	if (inputs++ % INPUTS_PER_STORE == 0) {
		if (inputs > 1)
			stop_world();
		start_world();
	}
	unsigned which = data[0] % CORES;
	size_t start = 1;
	for (size_t i = 1; i <= size; i++) {
		if (i < size && (data[i] < 0xfa || data[i] == 0xff))
			continue;
		feed(which, slice_of(data + start, i - start));
		if (i < size && data[i] == 0xfe)
			which = (which + 1) % CORES;
		else if (i < size)
			happen(which, data[i]);
		start = i + 1;
	}
	feed(which, SLICE_NONE);
	for (unsigned i = 0; i < CORES; i++)
		end_core(i);
	return 0;
}
