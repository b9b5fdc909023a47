/* runtime/resolver.c - libunbound, asked from any loop. Runs in the front.
 *
 * libunbound works in its own thread (ub_ctx_async) and says on a descriptor that it has answers;
 * the home loop takes them and posts each to the loop that asked. A question that was cancelled or
 * has waited long enough is forgotten by its asker; its lookup goes on to its end, so the cache
 * has the answer for who asks next, and their number is bounded.
 *
 * Debian's libunbound is built on nettle: nothing of OpenSSL comes with it. */
#include "runtime/resolver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/line.h"
#include "base/log.h"
#include "base/octets.h"
#include "runtime/descriptor.h"
#include "runtime/loop_priv.h"

enum {
	LOOKUPS_MAX = 1024, /* libunbound takes about 20 KiB for each */
	/* Of them, those that strangers cause: fewer than there are sockets (outgoing-range), so that
	 * zones that answer nothing never keep our own questions waiting. */
	STRANGERS_MAX = 384,
	STRANGERS_OWN_MAX = 256,    /* of these, to zones that may be theirs, */
	STRANGERS_NETWORK_MAX = 64, /* and because of one network, */
	STRANGERS_ADDRESS_MAX = 16, /* or one address: it has neighbours */
	CLASS_IN = 1,
	RCODE_NXDOMAIN = 3,
};

/* The root's keys of 2017 and 2024 (IANA, https://data.iana.org/root-anchors/). */
static const char root_anchors[] =
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

/* Bounds of memory and of what is on the way. The default of 16 sockets would let a burst of
 * questions fail; a negative answer is as welcome as a positive one. */
static const char *const options_always[][2] = {
	{ "msg-cache-size:", "2m" },	       { "rrset-cache-size:", "4m" },
	{ "key-cache-size:", "512k" },	       { "neg-cache-size:", "256k" },
	{ "infra-cache-numhosts:", "2000" },   { "outgoing-range:", "512" },
	{ "num-queries-per-thread:", "1024" }, { "cache-max-negative-ttl:", "900" },
	{ "qname-minimisation:", "yes" },
};
/* Who forwards has a resolver that knows its own network: questions about it go there, too. */
static const char *const options_forward[][2] = {
	{ "do-not-query-localhost:", "no" },
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
};

static const char *const zones_forward[] = { "127.in-addr.arpa.", "test." };

struct resolver {
	struct ub_ctx *ctx;
	struct descriptor *descriptor; /* readable: the thread has answers */
	pthread_mutex_t mutex;
	struct lookup *newest;	 /* under the mutex: those that the thread has */
	unsigned open_count;	 /* likewise; */
	unsigned stranger_count; /* and of them, those for strangers, */
	unsigned list_count;	 /* and of these, those to lists */
	unsigned references;	 /* likewise: ours, and one for each lookup */
};

struct lookup {
	struct task task; /* to the loop that asked */
	struct deadline deadline;
	struct resolver *resolver; /* NULL: it was never asked */
	struct loop *loop;
	struct dns_question *question; /* NULL: nobody waits any more. The asking loop's. */
	enum dns_type type;
	bool is_for_stranger, is_to_list;
	uint64_t network, address; /* the stranger's */
	struct ub_result *result;  /* NULL: failed */
	struct lookup *newer, *older;
};

/* ---- lookups ---- */

static void list_add(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;
	lookup->older = resolver->newest;
	if (lookup->older)
		lookup->older->newer = lookup;
	resolver->newest = lookup;
	resolver->open_count++;
	resolver->stranger_count += lookup->is_for_stranger;
	resolver->list_count += lookup->is_for_stranger && lookup->is_to_list;
	resolver->references++;
}

static void list_remove(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;
	if (lookup->newer)
		lookup->newer->older = lookup->older;
	else
		resolver->newest = lookup->older;
	if (lookup->older)
		lookup->older->newer = lookup->newer;
	lookup->newer = lookup->older = NULL;
	resolver->open_count--;
	resolver->stranger_count -= lookup->is_for_stranger;
	resolver->list_count -= lookup->is_for_stranger && lookup->is_to_list;
}

/* The last one to leave frees it: a lookup may be on its way to a loop still. */
static void let_go(struct resolver *resolver)
{
	pthread_mutex_lock(&resolver->mutex);
	bool is_last = --resolver->references == 0;
	pthread_mutex_unlock(&resolver->mutex);
	if (!is_last)
		return;
	pthread_mutex_destroy(&resolver->mutex);
	free(resolver);
}

static void lookup_free(struct lookup *lookup)
{
	deadline_clear(lookup->loop, &lookup->deadline);
	if (lookup->result)
		ub_resolve_free(lookup->result);
	if (lookup->resolver)
		let_go(lookup->resolver);
	free(lookup);
}

/* ---- answers ---- */

static struct slice canonical_name(const struct ub_result *result, struct arena *arena)
{
	struct slice name = slice_cstr(result->canonname);
	struct slice asked = slice_cstr(result->qname);
	if (name.len > 1 && name.ptr[name.len - 1] == '.')
		name.len--;
	if (asked.len > 1 && asked.ptr[asked.len - 1] == '.')
		asked.len--;
	if (!dns_name_is_valid(name) || slice_eq_nocase(name, asked))
		return SLICE_NONE;
	return arena_copy(arena, name);
}

static void decode(const struct lookup *lookup, struct arena *arena, struct dns_answer *answer)
{
	const struct ub_result *result = lookup->result;
	*answer = (struct dns_answer){ .outcome = DNS_FAILED };
	if (!result)
		return;
	answer->why = result->why_bogus;
	answer->secure = result->secure && !result->bogus;
	answer->ttl_seconds = result->ttl > 0 ? (uint32_t)result->ttl : 0;
	if (result->bogus) {
		answer->outcome = DNS_BOGUS;
	} else if (result->nxdomain || result->rcode == RCODE_NXDOMAIN) {
		answer->outcome = DNS_NXDOMAIN;
	} else if (result->rcode == 0) {
		struct dns_record *records =
			arena_alloc_array(arena, DNS_RECORDS_MAX, sizeof(*records));
		answer->outcome = result->havedata ? DNS_FOUND : DNS_NODATA;
		answer->canonical = canonical_name(result, arena);
		for (size_t i = 0; result->havedata && result->data[i]; i++) {
			struct slice rdata = slice_of(result->data[i], (size_t)result->len[i]);
			if (answer->count < DNS_RECORDS_MAX &&
			    dns_record_decode(lookup->type, rdata, arena, &records[answer->count]))
				answer->count++;
		}
		answer->records = records;
	}
}

static void tell(struct lookup *lookup, const struct dns_answer *answer)
{
	struct dns_question *question = lookup->question;
	lookup->question = NULL;
	question->lookup = NULL;
	question->answered(question, answer);
}

/* On the loop that asked. */
static void on_home(struct task *task)
{
	struct lookup *lookup = CONTAINER_OF(task, struct lookup, task);
	if (lookup->question) {
		struct arena arena = { NULL };
		struct dns_answer answer;
		decode(lookup, &arena, &answer);
		tell(lookup, &answer);
		arena_fini(&arena);
	}
	lookup_free(lookup);
}

static void on_patience_over(struct deadline *deadline)
{
	struct lookup *lookup = CONTAINER_OF(deadline, struct lookup, deadline);
	const struct dns_answer answer = { .outcome = DNS_FAILED };
	if (lookup->question)
		tell(lookup, &answer);
}

/* On the home loop, from ub_process(). */
static void on_resolved(void *user, int failed, struct ub_result *result)
{
	struct lookup *lookup = user;
	lookup->result = failed ? NULL : result;
	pthread_mutex_lock(&lookup->resolver->mutex);
	list_remove(lookup);
	pthread_mutex_unlock(&lookup->resolver->mutex);
	loop_post(lookup->loop, &lookup->task);
}

static void on_readable(void *user)
{
	struct resolver *resolver = user;
	int failed = ub_process(resolver->ctx);
	if (failed)
		log_error(NULL, EVENT("resolver-failed"), CSTR("why", ub_strerror(failed)));
}

/* ---- asking ---- */

static uint64_t network_of(const struct peer *peer)
{
	uint8_t octets[8] = { peer->family };
	memcpy(octets + 1, peer->address, peer->family == 4 ? 3 : 6);
	return get_be64(octets);
}

/* Of IPv6 the /64, as who has one address there has all. */
static uint64_t address_of(const struct peer *peer)
{
	return peer->family == 4 ? get_be32(peer->address) : get_be64(peer->address);
}

/* Whether neither the stranger's network nor he himself has as many as they may. */
static bool has_share_of_network(const struct resolver *resolver, const struct lookup *lookup)
{
	unsigned of_network = 0, of_address = 0;
	for (const struct lookup *l = resolver->newest; l; l = l->older) {
		if (!l->is_for_stranger || l->is_to_list || l->network != lookup->network)
			continue;
		of_network++;
		of_address += l->address == lookup->address;
	}
	return of_network < STRANGERS_NETWORK_MAX && of_address < STRANGERS_ADDRESS_MAX;
}

/* Whose zones answer nothing has his own questions fail, and not those that tell of him. */
static bool has_share(const struct resolver *resolver, const struct lookup *lookup)
{
	if (!lookup->is_for_stranger)
		return true;
	if (resolver->stranger_count >= STRANGERS_MAX)
		return false;
	return lookup->is_to_list ||
	       (resolver->stranger_count - resolver->list_count < STRANGERS_OWN_MAX &&
		has_share_of_network(resolver, lookup));
}

/* What libunbound holds of one question is bounded by its own time-outs; how many there are, here. */
static bool hand_over(struct resolver *resolver, struct lookup *lookup, const char *name)
{
	pthread_mutex_lock(&resolver->mutex);
	bool has_room = resolver->open_count < LOOKUPS_MAX && has_share(resolver, lookup);
	if (has_room) {
		lookup->resolver = resolver;
		list_add(lookup);
	}
	pthread_mutex_unlock(&resolver->mutex);
	if (!has_room) {
		log_debug(NULL, EVENT("question-refused"), CSTR("name", name),
			  NUM("for-stranger", lookup->is_for_stranger));
		return false;
	}
	int id;
	int failed = ub_resolve_async(resolver->ctx, name, (int)lookup->type, CLASS_IN, lookup,
				      on_resolved, &id);
	if (!failed)
		return true;
	log_error(NULL, EVENT("resolver-failed"), CSTR("why", ub_strerror(failed)));
	pthread_mutex_lock(&resolver->mutex);
	list_remove(lookup);
	pthread_mutex_unlock(&resolver->mutex);
	return false;
}

void resolver_ask(struct resolver *resolver, struct loop *loop, struct dns_question *question,
		  enum dns_type type, struct slice name, uint64_t timeout_ms)
{
	char text[DNS_NAME_MAX_OCTETS + 2];
	struct lookup *lookup = heap_alloc(sizeof(*lookup));
	assert(!question->lookup);
	lookup->task.run = on_home;
	lookup->deadline.passed = on_patience_over;
	lookup->loop = loop;
	lookup->type = type;
	lookup->is_for_stranger = question->stranger != NULL;
	lookup->is_to_list = question->is_to_list;
	if (question->stranger) {
		lookup->network = network_of(question->stranger);
		lookup->address = address_of(question->stranger);
	}
	lookup->question = question;
	question->lookup = lookup;
	if (!resolver || !dns_name_is_valid(name)) {
		loop_later(loop, &lookup->task);
		return;
	}
	/* Before the other thread knows of it. */
	deadline_set(loop, &lookup->deadline, loop_now_ms(loop) + timeout_ms);
	/* The dot keeps it from being taken for a name in a local domain. */
	snprintf(text, sizeof(text), "%.*s.", SLICE_ARG(name));
	if (!hand_over(resolver, lookup, text))
		loop_later(loop, &lookup->task);
}

void resolver_cancel(struct dns_question *question)
{
	struct lookup *lookup = question->lookup;
	if (!lookup)
		return;
	question->lookup = NULL;
	lookup->question = NULL;
	deadline_clear(lookup->loop, &lookup->deadline);
}

/* ---- setting up ---- */

static int set_options(struct ub_ctx *ctx, const char *const (*options)[2], size_t count)
{
	int failed = 0;
	for (size_t i = 0; i < count && !failed; i++)
		failed = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	return failed;
}

/* "192.0.2.1:53" and "[::1]:53" as libunbound writes it, "::1@53". */
static int set_forward(struct ub_ctx *ctx, const char *forward)
{
	char text[PEER_TEXT_MAX + 8];
	struct slice given = slice_cstr(forward);
	size_t colon = given.len;
	while (colon > 0 && given.ptr[colon - 1] != ':')
		colon--;
	struct slice host = slice_sub(given, 0, colon > 0 ? colon - 1 : 0);
	if (host.len >= 2 && host.ptr[0] == '[')
		host = slice_sub(host, 1, host.len - 2);
	snprintf(text, sizeof(text), "%.*s@%s", SLICE_ARG(host), forward + colon);
	int failed = set_options(ctx, options_forward, ARRAY_LEN(options_forward));
	return failed ? failed : ub_ctx_set_fwd(ctx, text);
}

/* A line each; comments and empty ones are skipped. */
static int add_anchors(struct ub_ctx *ctx, struct slice text)
{
	int failed = 0;
	while (text.len > 0 && !failed) {
		size_t len = slice_find_byte(text, 0, '\n');
		struct slice line = slice_sub(text, 0, len);
		text = slice_sub(text, len + 1, text.len);
		line = slice_trim(slice_sub(line, 0, slice_find_byte(line, 0, ';')));
		if (line.len == 0)
			continue;
		char *anchor = heap_string(line);
		failed = ub_ctx_add_ta(ctx, anchor);
		free(anchor);
	}
	return failed;
}

static int set_up(struct ub_ctx *ctx, const struct resolver_options *options)
{
	int failed = 0;
	/* Its own complaints are not in our log's form; outcomes say enough. */
	ub_ctx_debugout(ctx, NULL);
	/* First: later it would fail, and a process be forked instead. */
	if ((failed = ub_ctx_async(ctx, 1)) != 0 ||
	    (failed = set_options(ctx, options_always, ARRAY_LEN(options_always))) != 0)
		return failed;
	if (options->forward && (failed = set_forward(ctx, options->forward)) != 0)
		return failed;
	struct slice anchors =
		options->trust_anchor ? *options->trust_anchor : slice_cstr(root_anchors);
	if ((failed = add_anchors(ctx, anchors)) != 0)
		return failed;
	/* It reads what was set only with its first use, which this is, so that a mistake shows at
	 * the start. Without a forwarder there is no such zone to be removed. */
	if (!options->forward)
		return ub_ctx_zone_remove(ctx, "none.invalid.");
	for (size_t i = 0; i < ARRAY_LEN(zones_forward) && !failed; i++)
		failed = ub_ctx_zone_remove(ctx, zones_forward[i]);
	return failed;
}

struct resolver *resolver_new(struct loop *home, const struct resolver_options *options)
{
	struct resolver *resolver = heap_alloc(sizeof(*resolver));
	int failed = UB_NOMEM;
	resolver->ctx = ub_ctx_create();
	if (resolver->ctx)
		failed = set_up(resolver->ctx, options);
	int fd = failed ? -1 : fcntl(ub_fd(resolver->ctx), F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		log_error(NULL, EVENT("resolver-failed"),
			  CSTR("why", failed ? ub_strerror(failed) : log_errno_name(errno)));
		ub_ctx_delete(resolver->ctx);
		free(resolver);
		return NULL;
	}
	pthread_mutex_init(&resolver->mutex, NULL);
	resolver->references = 1;
	resolver->descriptor = descriptor_new(home, fd, on_readable, resolver);
	return resolver;
}

void resolver_free(struct resolver **at)
{
	struct resolver *resolver = *at;
	*at = NULL;
	if (!resolver)
		return;
	descriptor_free(&resolver->descriptor);
	ub_ctx_delete(resolver->ctx); /* ends the thread */
	struct lookup *older;
	for (struct lookup *lookup = resolver->newest; lookup; lookup = older) {
		older = lookup->older;
		assert(!lookup->question);
		free(lookup);
		resolver->references--;
	}
	let_go(resolver);
}
