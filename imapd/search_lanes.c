/* imapd/search_lanes.c - a search on the worker pool: two workers, some milliseconds at a time.
 *
 * Each lane takes a stretch of the messages that are left, a long one at first, then shorter and
 * shorter ones, so both end together though one worker may be slower. Which stretch is whose is
 * settled on the loop, so lanes share nothing while they are out but the limit of what they keep. After
 * some slices they come home: the session hears there whether its client has left, and nothing goes out
 * again then. Runs in the back. */
#include "imapd/progress_priv.h"
#include "imapd/search_priv.h"

/* Fewer messages are not worth a second worker, or a way home: a quarter of a millisecond for those that
 * are looked at in the digest, some of them for bodies. */
static uint64_t stretch_min(const struct search *search)
{
	return search->program.root->cost == COST_BODY ? 64 : 512;
}

void search_lanes_begin(struct search *search)
{
	struct imap_view *view = search->view;
	struct search_lane *lanes = search->lanes;
	search_candidates(&search->program, &view->uids, &search->left);
	search->candidates = ranges_total(&search->left);
	search->collected.max_octets = COLLECTION_MAX_OCTETS;
	for (unsigned i = 0; i < SEARCH_LANES; i++) {
		lanes[i].search = search;
		lanes[i].collection = (struct collection){
			.view_uids = search_tells_uids(search) ? NULL : &view->uids,
			.criteria = &search->criteria,
			.algorithm = search->algorithm,
			.comparator = search->program.comparator,
			.limit = &search->collected,
		};
		search_scan_init(&lanes[i].scan, search->s->back->store, view->mailbox_id,
				 &search->program);
		if (search->verb != VERB_SEARCH)
			lanes[i].scan.collection = &lanes[i].collection;
	}
	lanes[0].scan.first_only =
		search->verb == VERB_SEARCH && search->options.returns == RETURN_MIN;
	search->lane_count = search_scan_is_heavy(&lanes[0].scan) && !lanes[0].scan.first_only &&
					     search->candidates > stretch_min(search)
				     ? SEARCH_LANES
				     : 1;
}

void search_lanes_fini(struct search *search)
{
	for (unsigned i = 0; i < search->lane_count; i++) {
		search_scan_fini(&search->lanes[i].scan);
		collection_fini(&search->lanes[i].collection);
	}
	search->lane_count = 0;
	search->failure = ERR_OK;
	ranges_free(&search->left);
}

/* Gives a lane that has nothing to look at its next stretch. False: there is none. */
static bool has_work(struct search *search, struct search_lane *lane)
{
	struct search_scan *scan = &lane->scan;
	if (scan->failure != ERR_OK)
		search->failure = scan->failure;
	if (search->failure != ERR_OK)
		return false;
	if (scan->is_over && search->left.count > 0) {
		uint64_t count = ranges_total(&search->left), min = stretch_min(search);
		if (search->lane_count > 1)
			count /= 2 * SEARCH_LANES;
		search_scan_take(scan, &search->left, count < min ? min : count);
	}
	return !scan->is_over;
}

static void lane_run(struct work *work)
{
	search_scan_slice(&CONTAINER_OF(work, struct search_lane, work)->scan);
}

static void lane_done(struct work *work);

static void send_lane_out(struct search_lane *lane)
{
	lane->slices++;
	lane->work = (struct work){ .run = lane_run, .done = lane_done };
	pool_submit(lane->search->s->session.loop, &lane->work);
}

/* The other lane may still be out, and is not looked at. */
static void lane_done(struct work *work)
{
	struct search_lane *lane = CONTAINER_OF(work, struct search_lane, work);
	struct search *search = lane->search;
	struct session *session = &search->s->session;
	bool goes_on = lane->slices < SEARCH_LANE_SLICES && !session->closing &&
		       !progress_is_due(search->s);
	if (goes_on && has_work(search, lane)) {
		send_lane_out(lane);
	} else if (--search->lanes_out == 0) {
		search->came_home = true;
		session_job_end(session);
	}
}

void search_lanes_send_out(struct search *search)
{
	session_job_begin(&search->s->session);
	for (unsigned i = 0; i < search->lane_count; i++) {
		search->lanes[i].slices = 0;
		if (!has_work(search, &search->lanes[i]))
			continue;
		search->lanes_out++;
		send_lane_out(&search->lanes[i]);
	}
}

bool search_lanes_are_over(struct search *search)
{
	bool more = false;
	for (unsigned i = 0; i < search->lane_count; i++)
		more = has_work(search, &search->lanes[i]) || more;
	return !more || search->failure != ERR_OK;
}

static void join_found(struct search *search, const struct search_scan *scan)
{
	if (scan->highest_modseq > search->highest_modseq)
		search->highest_modseq = scan->highest_modseq;
	ranges_join(&search->found, &scan->found);
}

void search_lanes_join(struct search *search)
{
	for (unsigned i = 0; i < search->lane_count; i++) {
		join_found(search, &search->lanes[i].scan);
		if (i > 0)
			collection_join(&search->lanes[0].collection, &search->lanes[i].collection);
	}
}
