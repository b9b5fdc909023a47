/* imapd/search.c - SEARCH and UID SEARCH: result options, slices, responses.
 *
 * RFC 9051 sections 6.4.4 and 7.3.4, RFC 4731 (ESEARCH) and RFC 5182 (SEARCHRES). A client
 * that has enabled IMAP4rev2 or names result options gets ESEARCH, others the SEARCH of
 * RFC 3501. Keys that need no more than the messages' entries are tried on the loop, a
 * millisecond at a time; the others on the worker pool, some ten milliseconds at a time: then
 * the work comes home, and ends there if the client has left. Runs in the back. */
#include "imapd/respond_priv.h"
#include "imapd/search_scan_priv.h"
#include "imapd/view_priv.h"
#include "runtime/pool.h"

enum search_return {
	RETURN_MIN = 1,
	RETURN_MAX = 2,
	RETURN_ALL = 4,
	RETURN_COUNT = 8,
	RETURN_SAVE = 16,
};

struct search {
	struct imap_session *s;
	struct search_program program;
	struct search_scan scan;
	unsigned returns;      /* enum search_return; 0: none given */
	bool uses_esearch;     /* in the response */
	struct ranges numbers; /* the result as the client reads it: UIDs or sequence numbers */
	uint32_t next_run, next_number; /* of numbers: still to be sent */
	struct task turn;		/* the loop's, between light slices */
	struct work work;		/* the pool's */
};

static void search_fini(struct imap_session *s)
{
	struct search *search = s->work;
	search_scan_fini(&search->scan);
	search_program_fini(&search->program);
	ranges_free(&search->numbers);
}

/* search-return-opts behind "RETURN" SP. */
static bool take_return_options(struct cursor *c, unsigned *returns_out)
{
	static const struct {
		const char *word;
		enum search_return option;
	} options[] = {
		{ "MIN", RETURN_MIN },	   { "MAX", RETURN_MAX },   { "ALL", RETURN_ALL },
		{ "COUNT", RETURN_COUNT }, { "SAVE", RETURN_SAVE },
	};
	unsigned returns = 0;

	if (!take_byte(c, '('))
		return false;
	while (!next_is(c, ')')) {
		size_t i = 0;
		if (returns && !take_space(c))
			return false;
		while (i < ARRAY_LEN(options) && !take_keyword(c, options[i].word))
			i++;
		if (i == ARRAY_LEN(options))
			return false;
		returns |= options[i].option;
	}
	*returns_out = returns ? returns : RETURN_ALL;
	return take_byte(c, ')');
}

/* What "$" becomes (RFC 9051 section 6.4.4.1, table 4). */
static void search_save(struct search *search)
{
	const struct ranges *found = &search->scan.found;
	struct ranges *saved = &search->s->view->saved_result;

	if (!(search->returns & RETURN_SAVE))
		return;
	if ((search->returns & (RETURN_ALL | RETURN_COUNT)) ||
	    !(search->returns & (RETURN_MIN | RETURN_MAX))) {
		ranges_copy(found, saved);
		return;
	}
	ranges_clear(saved);
	if (found->count == 0)
		return;
	if (search->returns & RETURN_MIN)
		ranges_add(saved, found->runs[0].first, found->runs[0].first);
	if (search->returns & RETURN_MAX)
		ranges_add(saved, ranges_last(found), ranges_last(found));
}

static void put_number_item(struct buffer *out, const char *name, uint64_t number)
{
	buffer_add_byte(out, ' ');
	buffer_add_cstr(out, name);
	buffer_add_byte(out, ' ');
	buffer_add_u64(out, number);
}

/* The response up to its list of numbers. */
static void put_response_start(struct search *search, struct buffer *out)
{
	const struct ranges *numbers = &search->numbers;

	if (!search->uses_esearch) {
		buffer_add(out, SLICE("* SEARCH"));
		return;
	}
	buffer_add(out, SLICE("* ESEARCH (TAG "));
	respond_string(out, search->s->tag, false);
	buffer_add_byte(out, ')');
	if (search->s->command->uid)
		buffer_add(out, SLICE(" UID"));
	if (numbers->count && (search->returns & RETURN_MIN))
		put_number_item(out, "MIN", numbers->runs[0].first);
	if (numbers->count && (search->returns & RETURN_MAX))
		put_number_item(out, "MAX", ranges_last(numbers));
	if (search->returns & RETURN_COUNT)
		put_number_item(out, "COUNT", ranges_total(numbers));
	if (!(search->returns & RETURN_ALL))
		search->next_run = numbers->count;
	else if (numbers->count)
		buffer_add(out, SLICE(" ALL "));
}

/* The list, as far as the output takes it; false: to be continued. */
static bool put_numbers(struct search *search, struct session *session)
{
	const struct ranges *numbers = &search->numbers;
	struct buffer *out = &session->out;

	for (; search->next_run < numbers->count; search->next_run++, search->next_number = 0) {
		const struct range *run = &numbers->runs[search->next_run];
		if (search->uses_esearch) {
			if (session_out_is_full(session))
				return false;
			struct ranges one = { .runs = &numbers->runs[search->next_run],
					      .count = 1 };
			if (search->next_run > 0)
				buffer_add_byte(out, ',');
			respond_ranges(out, &one);
			continue;
		}
		for (uint64_t n = search->next_number ? search->next_number : run->first;
		     n <= run->last; n++) {
			if (session_out_is_full(session)) {
				search->next_number = (uint32_t)n;
				return false;
			}
			buffer_add_byte(out, ' ');
			buffer_add_u64(out, n);
		}
	}
	return true;
}

/* The highest MODSEQ of what is told (RFC 7162 section 3.1.6, RFC 4731 section 3.2). */
static uint64_t result_modseq(const struct search *search)
{
	const struct search_scan *scan = &search->scan;
	bool min = search->returns & RETURN_MIN, max = search->returns & RETURN_MAX;
	if ((search->returns & (RETURN_ALL | RETURN_COUNT)) || (!min && !max))
		return scan->highest_modseq;
	if (!max || (min && scan->first_modseq > scan->last_modseq))
		return scan->first_modseq;
	return scan->last_modseq;
}

static void put_modseq(struct search *search, struct buffer *out)
{
	if (!search->program.has_modseq || search->scan.found.count == 0)
		return;
	buffer_add_format(out, search->uses_esearch ? " MODSEQ %llu" : " (MODSEQ %llu)",
			  (unsigned long long)result_modseq(search));
}

static enum step search_respond(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;
	if (!put_numbers(search, &s->session))
		return STEP_WAIT;
	put_modseq(search, &s->session.out);
	buffer_add(&s->session.out, SLICE("\r\n"));
	return imap_ok(s, "SEARCH completed");
}

static enum step search_finish(struct imap_session *s)
{
	struct search *search = s->work;

	if (search->scan.failure != ERR_OK) {
		if (search->returns & RETURN_SAVE)
			ranges_clear(&s->view->saved_result);
		return imap_refuse(s, search->scan.failure);
	}
	search_save(search);
	if (search->returns == RETURN_SAVE)
		return imap_ok(s, "SEARCH completed, result saved");
	if (s->command->uid)
		ranges_copy(&search->scan.found, &search->numbers);
	else
		members_to_ranks(&s->view->uids, &search->scan.found, &search->numbers);
	put_response_start(search, &s->session.out);
	s->running = search_respond;
	return STEP_AGAIN;
}

static void turn_over(struct task *task)
{
	struct search *search = CONTAINER_OF(task, struct search, turn);
	session_job_end(&search->s->session);
}

static void work_run(struct work *work)
{
	search_scan_slice(&CONTAINER_OF(work, struct search, work)->scan);
}

static void work_done(struct work *work)
{
	session_job_end(&CONTAINER_OF(work, struct search, work)->s->session);
}

/* Called again after each slice, unless the client has left: then the session is freed. */
static enum step search_go_on(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;

	if (search->scan.is_over)
		return search_finish(s);
	if (search_scan_is_heavy(&search->scan)) {
		session_job_begin(&s->session);
		search->work = (struct work){ .run = work_run, .done = work_done };
		pool_submit(s->session.loop, &search->work);
		return STEP_WAIT;
	}
	search_scan_slice(&search->scan);
	if (search->scan.is_over)
		return search_finish(s);
	session_job_begin(&s->session);
	search->turn.run = turn_over;
	loop_post(s->session.loop, &search->turn);
	return STEP_WAIT;
}

static enum step search_start(struct imap_session *s)
{
	struct search *search = s->work;
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_get(read, s->view->mailbox_id, &s->command_arena, mailbox);

	read_end(&read);
	if (err != ERR_OK && err != ERR_GONE) {
		if (search->returns & RETURN_SAVE)
			ranges_clear(&s->view->saved_result);
		return imap_refuse(s, err);
	}
	if (err == ERR_GONE)
		*mailbox = (struct mailbox){ 0 };
	search_program_bind(&search->program, s->view, mailbox);
	search_scan_init(&search->scan, s->back->store, s->view->mailbox_id, &search->program,
			 &s->view->uids);
	search->scan.first_only = search->returns == RETURN_MIN;
	s->running = search_go_on;
	return STEP_AGAIN;
}

static enum step search_refuse(struct imap_session *s, enum search_parsed why)
{
	struct search *search = s->work;
	if (why == SEARCH_MALFORMED)
		return imap_bad(s, "SEARCH wants search keys");
	/* NO after SAVE empties "$"; BAD leaves it (RFC 9051 section 6.4.4.1). */
	if (search->returns & RETURN_SAVE)
		ranges_clear(&s->view->saved_result);
	if (why == SEARCH_NO_CHARSET)
		return imap_no(s, "[BADCHARSET (UTF-8 US-ASCII)] that charset is not known here");
	return imap_no(s, "[LIMIT] too many search keys, or nested too deeply");
}

enum step imap_search(struct imap_session *s, struct cursor *args, bool uid)
{
	struct search *search = arena_alloc(&s->command_arena, sizeof(*search));

	search->s = s;
	s->work = search;
	s->work_fini = search_fini;
	if (take_keyword(args, "RETURN") &&
	    (!take_space(args) || !take_return_options(args, &search->returns) ||
	     !take_space(args)))
		return imap_bad(s, "SEARCH RETURN wants a list of MIN, MAX, ALL, COUNT, SAVE");
	search->uses_esearch = search->returns != 0 || imap_is_rev2(s);
	if (search->returns == 0)
		search->returns = RETURN_ALL;
	enum search_parsed parsed = take_search_program(args, &s->command_arena, &search->program);
	if (parsed != SEARCH_PARSED)
		return search_refuse(s, parsed);
	if (search->program.has_modseq)
		imap_enable_condstore(s);
	return search_start(s);
}
