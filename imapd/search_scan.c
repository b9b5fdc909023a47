/* imapd/search_scan.c - a search over one mailbox, message by message.
 *
 * Read transactions are short even where a message is large: between two of its pieces one
 * may end and another begin, since a blob never changes. A message that is gone or damaged
 * does not match; the store has logged the damage. Runs in the back, on a loop or a worker. */
#include "imapd/search_scan_priv.h"

enum {
	LIGHT_SLICE_OCTETS = 1024 * 1024,     /* on the loop: about a millisecond */
	HEAVY_SLICE_OCTETS = 4 * 1024 * 1024, /* on a worker: some milliseconds */
	READ_OCTETS_MAX = 4 * 1024 * 1024,    /* of bodies in one read transaction */
};

static enum err scan_read(struct content_source *source, uint64_t offset, uint64_t len,
			  struct buffer *out)
{
	struct search_scan *scan = CONTAINER_OF(source, struct search_scan, source);
	if (scan->read_octets > READ_OCTETS_MAX) {
		walk_end(&scan->walk);
		if (read_failure(scan->read) != ERR_OK)
			scan->failure = read_failure(scan->read);
		read_end(&scan->read);
		scan->read = read_begin(scan->store);
		scan->walk = walk_begin(scan->read, scan->mailbox_id);
		scan->read_octets = 0;
		content_blob_set(&scan->blob, scan->read, scan->blob.blob_id);
	}
	scan->read_octets += len;
	return scan->blob.source.read(&scan->blob.source, offset, len, out);
}

static enum err scan_digest(struct content_source *source, struct arena *arena,
			    struct slice *record_out)
{
	struct search_scan *scan = CONTAINER_OF(source, struct search_scan, source);
	return scan->blob.source.digest(&scan->blob.source, arena, record_out);
}

static bool scan_glance(struct content_source *source, struct slice *record_out)
{
	struct search_scan *scan = CONTAINER_OF(source, struct search_scan, source);
	return scan->blob.source.digest_glance(&scan->blob.source, record_out);
}

void search_candidates(const struct search_program *program, const struct ranges *uids,
		       struct ranges *candidates_out)
{
	const struct search_key *key = program->root->first_child;
	ranges_copy(uids, candidates_out);
	for (; key; key = key->next) {
		struct ranges both = { 0 };
		if (key->kind != SEARCH_UIDS)
			continue;
		ranges_intersect(candidates_out, &key->numbers.uids, &both);
		ranges_free(candidates_out);
		*candidates_out = both;
	}
}

void search_scan_init(struct search_scan *scan, struct store *store, uint64_t mailbox_id,
		      const struct search_program *program)
{
	*scan = (struct search_scan){ .store = store,
				      .mailbox_id = mailbox_id,
				      .program = program,
				      .next_uid = 1,
				      .is_over = true,
				      .source = { scan_read, scan_digest, scan_glance } };
	matcher_init(&scan->matcher, program);
}

/* How many members of the set are not above `uid`. */
static uint64_t count_through(const struct ranges *set, uint32_t uid)
{
	struct range run = { 0, uid };
	const struct ranges all = { .runs = &run, .count = 1 };
	struct ranges through = { 0 };
	ranges_intersect(set, &all, &through);
	uint64_t count = ranges_total(&through);
	ranges_free(&through);
	return count;
}

void search_scan_take(struct search_scan *scan, struct ranges *left, uint64_t count)
{
	uint32_t last = count < ranges_total(left) ? ranges_at_rank(left, (uint32_t)count)
						   : ranges_last(left);
	struct range run = { 0, last };
	const struct ranges through = { .runs = &run, .count = 1 };
	scan->earlier += ranges_total(&scan->candidates);
	ranges_free(&scan->candidates);
	ranges_intersect(left, &through, &scan->candidates);
	ranges_remove(left, 0, last);
	scan->is_over = scan->candidates.count == 0;
}

uint64_t search_scan_done(const struct search_scan *scan)
{
	return scan->earlier + (scan->is_over
					? ranges_total(&scan->candidates)
					: count_through(&scan->candidates, scan->next_uid - 1));
}

bool search_scan_is_heavy(const struct search_scan *scan)
{
	return scan->collection || scan->program->root->cost > COST_ENTRY;
}

static void scan_one(struct search_scan *scan)
{
	struct message_entry entry = scan->walk.entry; /* the walk may begin anew meanwhile */
	bool matches = false;

	content_blob_set(&scan->blob, scan->read, entry.blob_id);
	enum err err = matcher_match(&scan->matcher, &entry, &scan->source, &matches);
	if (err == ERR_OK && matches && scan->collection)
		err = collect(scan->collection, &scan->matcher, &entry);
	if (err == ERR_LIMIT)
		scan->failure = err;
	if (err == ERR_OK && matches) {
		ranges_add(&scan->found, entry.uid, entry.uid);
		if (entry.modseq > scan->highest_modseq)
			scan->highest_modseq = entry.modseq;
		scan->is_over = scan->first_only;
	}
	if (entry.uid == UINT32_MAX)
		scan->is_over = true;
	else
		scan->next_uid = entry.uid + 1;
}

void search_scan_slice(struct search_scan *scan)
{
	uint64_t budget = search_scan_is_heavy(scan) ? HEAVY_SLICE_OCTETS : LIGHT_SLICE_OCTETS;
	bool missing = false;

	scan->read = read_begin(scan->store);
	scan->walk = walk_begin(scan->read, scan->mailbox_id);
	scan->read_octets = 0;
	scan->matcher.spent = 0;
	while (!scan->is_over && scan->matcher.spent < budget) {
		if (walk_next(&scan->walk, &scan->candidates, scan->next_uid, &missing))
			scan_one(scan);
		else
			scan->is_over = true;
		scan->is_over = scan->is_over || scan->failure != ERR_OK;
	}
	walk_end(&scan->walk);
	if (read_failure(scan->read) != ERR_OK)
		scan->failure = read_failure(scan->read);
	read_end(&scan->read);
	scan->is_over = scan->is_over || scan->failure != ERR_OK;
}

void search_scan_fini(struct search_scan *scan)
{
	ranges_free(&scan->candidates);
	ranges_free(&scan->found);
	content_blob_fini(&scan->blob);
	matcher_fini(&scan->matcher);
}
