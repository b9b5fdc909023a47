/* tests/unit/mda/alias_graph.c - random graphs of aliases, loops and all: the walk ends, and finds
 * exactly what can be reached, each account and each address elsewhere once. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mda/recipient.h"
#include "storage/queue.h"

enum { NODES_MAX = 400, TARGETS_MAX = 6, GRAPHS = 3000 };

/* Node i stands at n<i>@example.org. */
struct node {
	enum { NODE_ALIAS, NODE_ACCOUNT, NODE_REMOTE, NODE_GONE } kind;
	unsigned targets[TARGETS_MAX];
	unsigned target_count;
};
static struct node nodes[NODES_MAX];
static unsigned node_count, lookups;
static uint64_t seed;

static unsigned below(unsigned limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((seed >> 33) % limit);
}

static struct slice name_of(unsigned i, struct arena *arena)
{
	return slice_cstr(arena_format(
		arena, nodes[i].kind == NODE_REMOTE ? "n%u@elsewhere.example" : "n%u@example.org",
		i));
}

enum err address_find(struct read *read, struct slice local, struct slice domain,
		      struct arena *arena, struct address_record *record_out)
{
	uint64_t i = NODES_MAX;
	lookups++;
	if (local.len < 2 || !slice_to_u64(slice_sub(local, 1, local.len), NODES_MAX, &i) ||
	    i >= node_count || nodes[i].kind == NODE_GONE)
		return ERR_NOT_FOUND;
	*record_out = (struct address_record){ 0 };
	if (nodes[i].kind == NODE_ACCOUNT) {
		record_out->account_id = (uint32_t)i + 1;
		return ERR_OK;
	}
	record_out->target_count = nodes[i].target_count;
	record_out->targets = arena_alloc_array(arena, TARGETS_MAX, sizeof(struct slice));
	for (unsigned t = 0; t < nodes[i].target_count; t++)
		record_out->targets[t] = name_of(nodes[i].targets[t], arena);
	return ERR_OK;
}

enum err read_failure(const struct read *read)
{
	return ERR_OK;
}

bool queue_secret(struct read *read, uint8_t secret_out[QUEUE_SECRET_OCTETS])
{
	memset(secret_out, 7, QUEUE_SECRET_OCTETS);
	return true;
}

bool domain_is_local(struct read *read, struct slice domain)
{
	return slice_eq(domain, SLICE("example.org"));
}

enum err domain_get(struct read *read, struct slice domain, struct arena *arena,
		    struct domain_record *record_out)
{
	*record_out = (struct domain_record){ .senders = SENDERS_OWN };
	return ERR_OK;
}

bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out)
{
	return false;
}

bool account_next(struct read *read, uint32_t *account_id, struct arena *arena,
		  struct account *account_out)
{
	return false;
}

static void make_graph(unsigned count)
{
	node_count = count;
	for (unsigned i = 0; i < count; i++) {
		unsigned dice = below(10);
		nodes[i].kind = dice < 6   ? NODE_ALIAS
				: dice < 8 ? NODE_ACCOUNT
				: dice < 9 ? NODE_REMOTE
					   : NODE_GONE;
		nodes[i].target_count = 1 + below(TARGETS_MAX);
		for (unsigned t = 0; t < nodes[i].target_count; t++)
			nodes[i].targets[t] = below(count);
	}
	nodes[0].kind = NODE_ALIAS;
}

/* What can be reached from node 0, in the simplest way there is. */
static void reach(bool reached[NODES_MAX])
{
	bool grew = true;
	memset(reached, 0, NODES_MAX * sizeof(*reached));
	reached[0] = true;
	while (grew) {
		grew = false;
		for (unsigned i = 0; i < node_count; i++)
			for (unsigned t = 0;
			     reached[i] && nodes[i].kind == NODE_ALIAS && t < nodes[i].target_count;
			     t++) {
				grew |= !reached[nodes[i].targets[t]];
				reached[nodes[i].targets[t]] = true;
			}
	}
}

static void check_graph(void)
{
	static struct config config = { .hostname = NULL };
	const struct sender sender = { .config = &config };
	const struct address address = { SLICE("n0"), SLICE("example.org") };
	struct arena arena = { 0 };
	struct destinations found = { 0 };
	bool reached[NODES_MAX];
	size_t accounts = 0, remotes = 0;

	reach(reached);
	lookups = 0;
	enum err err = recipient_resolve(NULL, &sender, &address, &arena, &found);
	assert_true(lookups <= 3 * node_count);
	for (unsigned i = 0; i < node_count; i++) {
		if (reached[i] && nodes[i].kind == NODE_ACCOUNT)
			accounts++;
		if (reached[i] && nodes[i].kind == NODE_REMOTE)
			remotes++;
	}
	/* Longer ways than any person makes are refused as a whole. */
	if (err == ERR_LIMIT && node_count > RECIPIENT_ALIAS_DEPTH_MAX) {
		assert_int_equal(found.account_count + found.remote_count, 0);
		goto out;
	}
	assert_int_equal(err, accounts + remotes > 0 ? ERR_OK : ERR_NOT_FOUND);
	assert_int_equal(found.account_count, accounts);
	assert_int_equal(found.remote_count, remotes);
	for (size_t i = 0; i < found.account_count; i++) {
		assert_true(i == 0 || found.account_ids[i - 1] < found.account_ids[i]);
		assert_true(reached[found.account_ids[i] - 1]);
	}
	for (size_t i = 0; i < found.remote_count; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(slice_eq(found.remotes[i].address, found.remotes[k].address));
out:
	arena_fini(&arena);
}

static void random_graphs_end_and_lead_where_they_should(void **state)
{
	for (uint64_t i = 0; i < GRAPHS; i++) {
		seed = i;
		make_graph(i % 3 ? 1 + below(RECIPIENT_ALIAS_DEPTH_MAX) : 1 + below(NODES_MAX));
		check_graph();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_graphs_end_and_lead_where_they_should),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
