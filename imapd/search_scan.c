/* imapd/search_scan.c - a search over one mailbox, message by message.
 *
 * Read transactions are short even where a message is large: between two of its pieces one
 * may end and another begin, since a blob never changes. A message that is gone or damaged
 * does not match; the store has logged the damage. Runs in the back, on a loop or a worker. */
#include "imapd/search_scan_priv.h"

enum {
	LIGHT_SLICE_OCTETS = 1024 * 1024,     /* on the loop: about a millisecond */
	HEAVY_SLICE_OCTETS = 8 * 1024 * 1024, /* on a worker: some ten milliseconds */
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

/* The view's UIDs, less what a sequence set at the top leaves out. */
static void choose_candidates(struct search_scan *scan, const struct ranges *uids)
{
	const struct search_key *key = scan->program->root->first_child;
	ranges_copy(uids, &scan->candidates);
	for (; key; key = key->next) {
		struct ranges both = { 0 };
		if (key->kind != SEARCH_UIDS)
			continue;
		ranges_intersect(&scan->candidates, &key->numbers.uids, &both);
		ranges_free(&scan->candidates);
		scan->candidates = both;
	}
}

void search_scan_init(struct search_scan *scan, struct store *store, uint64_t mailbox_id,
		      const struct search_program *program, const struct ranges *uids)
{
	*scan = (struct search_scan){ .store = store,
				      .mailbox_id = mailbox_id,
				      .program = program,
				      .next_uid = 1,
				      .source = { scan_read, scan_digest } };
	choose_candidates(scan, uids);
	matcher_init(&scan->matcher, program);
}

void search_scan_split(struct search_scan *scan, struct search_scan *rest)
{
	uint64_t total = ranges_total(&scan->candidates);
	uint32_t middle = ranges_at_rank(&scan->candidates, (uint32_t)(total / 2));
	search_scan_init(rest, scan->store, scan->mailbox_id, scan->program, &scan->candidates);
	ranges_remove(&rest->candidates, 0, middle);
	if (middle < UINT32_MAX)
		ranges_remove(&scan->candidates, middle + 1, UINT32_MAX);
}

uint64_t search_scan_done(const struct search_scan *scan)
{
	struct ranges done = { 0 }, all = { 0 };
	if (scan->is_over)
		return ranges_total(&scan->candidates);
	if (scan->next_uid > 1)
		ranges_add(&all, 1, scan->next_uid - 1);
	ranges_intersect(&scan->candidates, &all, &done);
	uint64_t count = ranges_total(&done);
	ranges_free(&done);
	ranges_free(&all);
	return count;
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
		if (scan->first_modseq == 0)
			scan->first_modseq = entry.modseq;
		scan->last_modseq = entry.modseq;
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
