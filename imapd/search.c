/* imapd/search.c - SEARCH, SORT, THREAD, their UID forms, and ESEARCH: how a search runs.
 *
 * RFC 9051 section 6.4.4, RFC 4731 (ESEARCH), RFC 5182 (SEARCHRES), RFC 5256 (SORT, THREAD), RFC
 * 5267 section 3 (ESORT), RFC 5466 (FILTERS), RFC 7377 (ESEARCH over several mailboxes, which
 * search_mailboxes.c finds, one after another). A client that has enabled IMAP4rev2 or names result
 * options gets ESEARCH, others the responses of RFC 3501 and 5256. Keys that need no more than the
 * messages' entries are tried on the loop, a millisecond at a time; the others on the worker pool
 * (search_lanes.c). Runs in the back. */
#include "imapd/search_priv.h"

#include "imapd/access_priv.h"
#include "imapd/progress_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/search_context_priv.h"
#include "imapd/search_filters_priv.h"

/* What belongs to one mailbox. */
static void forget_mailbox(struct search *search)
{
	search_lanes_fini(search);
	ranges_free(&search->found);
	ranges_free(&search->numbers);
	ranges_free(&search->returned);
	ranges_free(&search->other.uids);
	arena_reset(&search->mailbox_arena);
	search->is_finished = search->has_told_one = false;
	search->next_run = search->next_number = search->next_returned = 0;
	search->highest_modseq = search->told_modseq = 0;
}

static void search_fini(struct imap_session *s)
{
	struct search *search = s->work;
	forget_mailbox(search);
	if (search->mailboxes)
		search_mailboxes_fini(search->mailboxes);
	search_program_fini(&search->program);
	buffer_free(&search->threads);
	arena_fini(&search->mailbox_arena);
}

static const char *completed_text(const struct search *search)
{
	static const char *const texts[] = { "SEARCH completed", "SORT completed",
					     "THREAD completed" };
	return texts[search->verb];
}

static enum step search_mailboxes(struct imap_session *s, struct cursor *in);

static enum step search_respond(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;
	if (!search_answer_go_on(search))
		return STEP_WAIT;
	if (search->mailboxes)
		return search_mailboxes(s, in);
	return imap_ok(s, completed_text(search));
}

/* RETURN (UPDATE): RFC 5267 sections 4.3 and 4.3.1. */
static void keep_up_to_date(struct search *search)
{
	struct imap_session *s = search->s;
	if (!(search->options.returns & RETURN_UPDATE) || search->view != s->view)
		return;
	struct search_update update = {
		.tag = s->tag,
		.mailbox_name = search->mailboxes ? search->mailbox->name : SLICE_NONE,
		.uid = search_tells_uids(search),
		.form = search->verb == VERB_SORT ? CHARSET_FIRST : CHARSET_NAMED,
		.text = search->program_text,
		.items = search->options.update_items,
		.program = &search->program,
		.found = &search->found,
		.sorted = search->verb == VERB_SORT ? &search->lanes[0].collection : NULL,
	};
	if (!search_context_add(s->view, &update))
		search_context_refuse(s->view, s->tag);
}

static enum step search_tell(struct imap_session *s)
{
	struct search *search = s->work;
	keep_up_to_date(search); /* while "$" is still the result that the search began with */
	search_save(search);
	if ((search->options.returns & ~(unsigned)RETURN_CONTEXT) == RETURN_SAVE)
		return imap_ok(s, "Completed, result saved");
	/* Of a mailbox without a match nothing is told (RFC 7377 section 2.1). */
	if (search->mailboxes && search->found.count == 0) {
		s->running = search_mailboxes;
		return STEP_AGAIN;
	}
	search_answer_begin(search);
	s->running = search_respond;
	return STEP_AGAIN;
}

/* ---- what was found becomes one result ---- */

static void finish_run(struct work *work)
{
	struct search *search = CONTAINER_OF(work, struct search, finish);
	struct collection *collection = &search->lanes[0].collection;
	search_lanes_join(search);
	if (search->verb == VERB_SORT)
		collection_sort(collection);
	else
		collection_thread(collection, &search->threads);
}

static void finish_done(struct work *work)
{
	struct search *search = CONTAINER_OF(work, struct search, finish);
	session_job_end(&search->s->session);
}

/* NO after SAVE empties "$"; BAD leaves it (RFC 9051 section 6.4.4.1). */
static void empty_saved(struct search *search)
{
	struct imap_view *view = search->s->view;
	if ((search->options.returns & RETURN_SAVE) && view)
		ranges_clear(&view->saved_result);
}

static enum step search_fail(struct imap_session *s, enum err err)
{
	empty_saved(s->work);
	return imap_refuse(s, err);
}

static enum step search_finish(struct imap_session *s)
{
	struct search *search = s->work;
	if (search->is_finished)
		return search_tell(s);
	if (search->failure != ERR_OK)
		return search_fail(s, search->failure);
	search->is_finished = true;
	if (search->verb == VERB_SEARCH) {
		search_lanes_join(search);
		return search_tell(s);
	}
	session_job_begin(&s->session);
	search->finish = (struct work){ .run = finish_run, .done = finish_done };
	pool_submit(s->session.loop, &search->finish);
	return STEP_WAIT;
}

/* ---- looking through the mailbox ---- */

/* Of several mailboxes nobody has counted the messages. */
static void tell_progress(struct search *search)
{
	uint64_t done = 0;
	if (!progress_is_due(search->s))
		return;
	for (unsigned i = 0; i < search->lane_count; i++)
		done += search_scan_done(&search->lanes[i].scan);
	progress_tell(search->s, done, search->mailboxes ? 0 : search->candidates);
}

/* Called again after each slice, unless the client has left: then the session is freed. */
static enum step search_go_on(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;

	if (search_lanes_are_over(search))
		return search_finish(s);
	/* A turn of the loop, in which the stream hears what became of its client. */
	if (search->came_home) {
		search->came_home = false;
		return STEP_WAIT;
	}
	/* It had closed its side, and now is found not to read either. */
	if (s->input_ended && s->session.stream && stream_is_broken(s->session.stream))
		return STEP_CLOSE;
	tell_progress(search);
	if (search_scan_is_heavy(&search->lanes[0].scan)) {
		search_lanes_send_out(search);
		return STEP_WAIT;
	}
	search_scan_slice(&search->lanes[0].scan);
	return search_lanes_are_over(search) ? search_finish(s) : STEP_WAIT;
}

static enum step search_refuse(struct imap_session *s, enum search_parsed why)
{
	struct search *search = s->work;
	if (why == SEARCH_MALFORMED)
		return imap_bad(s, "Search keys are wanted");
	if (why == SEARCH_NO_CHARSETS)
		return imap_bad(s, "After ENABLE UTF8=ACCEPT no charset is named");
	if (why == SEARCH_FILTER_CHARSET)
		return imap_bad(s, "[BADCHARSET (UTF-8 US-ASCII)] FILTER is in UTF-8");
	empty_saved(search);
	if (why == SEARCH_NO_CHARSET)
		return imap_no(s, "[BADCHARSET (UTF-8 US-ASCII)] that charset is not known here");
	if (why == SEARCH_NO_FILTER)
		return imap_no(s, arena_format(&s->command_arena,
					       "[UNDEFINED-FILTER %.*s] No such search",
					       SLICE_ARG(search->program.undefined_filter)));
	return imap_no(s, "[LIMIT] too many search keys, or nested too deeply");
}

static enum step bind_more(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;
	switch (search_program_bind_more(&search->program, search->view, SEARCH_RUNS_MAX)) {
	case BINDING_TOO_LARGE: return search_refuse(s, SEARCH_TOO_COMPLEX);
	case BINDING_MORE: return STEP_WAIT;
	case BINDING_DONE: break;
	}
	search_lanes_begin(search);
	s->running = search_go_on;
	return STEP_AGAIN;
}

static enum step bind(struct search *search, const struct mailbox *mailbox)
{
	search_program_bind_begin(&search->program, mailbox);
	search->s->running = bind_more;
	return STEP_AGAIN;
}

static enum step search_start(struct imap_session *s)
{
	struct search *search = s->work;
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_get(read, s->view->mailbox_id, &s->command_arena, mailbox);

	read_end(&read);
	if (err != ERR_OK && err != ERR_GONE)
		return search_fail(s, err);
	if (err == ERR_GONE)
		*mailbox = (struct mailbox){ 0 };
	search->view = s->view;
	return bind(search, mailbox);
}

/* Looks at the mailbox as it is now: not as a client that selected it knows it. */
static enum err open_other(struct search *search, struct read *read, uint64_t mailbox_id)
{
	struct mailbox *mailbox = arena_alloc(&search->mailbox_arena, sizeof(*mailbox));
	enum err err = mailbox_get(read, mailbox_id, &search->mailbox_arena, mailbox);
	if (err != ERR_OK)
		return err;
	if (!(acl_rights(read, search->s->account_id, mailbox->account_id, mailbox_id) &
	      RIGHT_READ))
		return ERR_GONE;
	access_rename(read, search->s->account_id, mailbox, &search->mailbox_arena);
	search->mailbox = mailbox;
	search->view = search->s->view;
	if (search->view && search->view->mailbox_id == mailbox_id)
		return ERR_OK;
	search->other = (struct imap_view){ .s = search->s,
					    .mailbox_id = mailbox_id,
					    .recent_from_uid = UINT32_MAX };
	message_uids(read, mailbox_id, 1, &search->other.uids);
	search->view = &search->other;
	return ERR_OK;
}

/* The next mailbox of an ESEARCH. One that has just been deleted is left out. */
static enum step search_mailboxes(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;
	forget_mailbox(search);
	if (search->next_mailbox == search->mailboxes->count)
		return imap_ok(s, "ESEARCH completed");
	uint64_t mailbox_id = search->mailboxes->ids[search->next_mailbox++];
	struct read *read = read_begin(s->back->store);
	enum err err = open_other(search, read, mailbox_id);
	/* Where rights cannot be read nobody has lost them. */
	if (read_failure(read) != ERR_OK)
		err = read_failure(read);
	read_end(&read);
	if (err == ERR_GONE || err == ERR_NOT_FOUND) {
		empty_saved(search); /* it was the selected one, then: nothing is found */
		s->running = search_mailboxes;
		return STEP_AGAIN;
	}
	if (err != ERR_OK)
		return search_fail(s, err);
	return bind(search, search->mailbox);
}

/* Which mailboxes these are, in turns. */
static enum step find_mailboxes(struct imap_session *s, struct cursor *in)
{
	struct search *search = s->work;
	struct read *read = read_begin(s->back->store);
	enum err err = search_mailboxes_find_on(search->mailboxes, read);
	read_end(&read);
	if (err != ERR_OK)
		return search_fail(s, err);
	if (search->mailboxes->is_whole)
		s->running = search_mailboxes;
	return STEP_AGAIN;
}

static struct search *search_new(struct imap_session *s, enum search_verb verb)
{
	struct search *search = arena_alloc(&s->command_arena, sizeof(*search));
	search->s = s;
	search->verb = verb;
	search->program.comparator = s->comparator;
	s->work = search;
	s->work_fini = search_fini;
	return search;
}

/* The last of the arguments. True: it is taken, and may be run; else `refusal_out` is the answer. */
static bool take_program(struct search *search, struct cursor *args, enum charset_form form,
			 enum step *refusal_out)
{
	struct imap_session *s = search->s;
	struct account_filters own = account_filters_of(s);
	search->program_text = cursor_rest(args);
	enum search_parsed parsed =
		take_search_program(args, form, &own.filters, &s->command_arena, &search->program);
	if (parsed != SEARCH_PARSED) {
		*refusal_out = search_refuse(s, parsed);
		return false;
	}
	bool has_seqnums = search_program_has_seqnums(&search->program);
	if (has_seqnums && imap_has(s, IMAP_ENABLED_UIDONLY)) {
		*refusal_out = imap_bad(s, IMAP_UID_REQUIRED_TEXT);
		return false;
	}
	/* In the UID form, too: RFC 7162 section 3.2.10.2. */
	s->reply.keeps_expunges = has_seqnums;
	if (search->program.has_modseq)
		imap_enable_condstore(s);
	return true;
}

static enum step search_begin(struct imap_session *s, struct cursor *args, enum charset_form form)
{
	enum step refusal;
	struct search *search = s->work;
	if ((search->options.returns & RETURN_UPDATE) && search_context_exists(s->view, s->tag))
		return imap_bad(s, "That tag is in use for updates");
	return take_program(search, args, form, &refusal) ? search_start(s) : refusal;
}

static enum charset_form charset_form(const struct imap_session *s)
{
	return imap_has(s, IMAP_ENABLED_UTF8) ? CHARSET_NONE : CHARSET_NAMED;
}

enum step imap_search(struct imap_session *s, struct cursor *args, bool uid)
{
	struct search *search = search_new(s, VERB_SEARCH);
	if (!take_search_options(args, &s->command_arena, &search->options))
		return imap_bad(s, "RETURN wants a list of known options");
	search->uses_esearch = search->options.returns != 0 || imap_is_rev2(s);
	if (search->options.returns == 0)
		search->options.returns = RETURN_ALL;
	return search_begin(s, args, charset_form(s));
}

enum step imap_sort(struct imap_session *s, struct cursor *args, bool uid)
{
	struct search *search = search_new(s, VERB_SORT);
	if (!take_search_options(args, &s->command_arena, &search->options))
		return imap_bad(s, "RETURN wants a list of known options");
	if (!take_sort_criteria(args, &search->criteria) || !take_space(args))
		return imap_bad(s, "SORT wants a list of criteria, a charset and search keys");
	search->uses_esearch = search->options.returns != 0;
	if (search->options.returns == 0)
		search->options.returns = RETURN_ALL;
	return search_begin(s, args, CHARSET_FIRST);
}

enum step imap_thread(struct imap_session *s, struct cursor *args, bool uid)
{
	struct search *search = search_new(s, VERB_THREAD);
	if (!take_thread_algorithm(args, &search->algorithm) || !take_space(args))
		return imap_bad(s, "THREAD wants an algorithm, a charset and search keys");
	search->options.returns = RETURN_ALL;
	return search_begin(s, args, CHARSET_FIRST);
}

/* esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program */
enum step imap_esearch(struct imap_session *s, struct cursor *args, bool uid)
{
	struct search *search = search_new(s, VERB_SEARCH);
	struct search_source *sources;
	enum step refusal;
	if (!take_search_sources(args, &s->command_arena, imap_speaks_utf8(s), &sources))
		return imap_bad(s, "IN wants a list of known sources");
	if (!take_search_options(args, &s->command_arena, &search->options))
		return imap_bad(s, "RETURN wants a list of known options");
	if (search_sources_have_selected(sources) && !s->view)
		return imap_bad(s, "No mailbox is selected");
	if ((search->options.returns & RETURN_SAVE) && !search_sources_are_selected(sources))
		return imap_bad(s, "SAVE is for the selected mailbox alone");
	if ((search->options.returns & RETURN_UPDATE) &&
	    (!s->view || search_context_exists(s->view, s->tag)))
		return imap_bad(s, "UPDATE is for the selected mailbox, with a tag of its own");
	search->uses_esearch = true;
	if (search->options.returns == 0)
		search->options.returns = RETURN_ALL;
	if (!take_program(search, args, charset_form(s), &refusal))
		return refusal;
	search->mailboxes = arena_alloc(&s->command_arena, sizeof(*search->mailboxes));
	*search->mailboxes = (struct search_mailboxes){
		.sources = sources,
		.account_id = s->account_id,
		.selected_id = s->view ? s->view->mailbox_id : 0,
		.selected_owner_id = s->view ? s->view->owner_id : 0,
		.arena = &s->command_arena,
	};
	s->running = find_mailboxes;
	return STEP_AGAIN;
}
