/* smtpd/relay/posts.c - which report is given to which web server, and when again. Runs in the back.
 *
 * What waits is a few octets: the report is made from what the store has counted whenever it is sent,
 * and the store keeps that for longer than anything waits here. */
#include "smtpd/relay/posts_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "base/random.h"
#include "runtime/messages.h"
#include "runtime/report_message.h"

enum {
	POSTS_MAX = 1000,
	AT_ONCE_MAX = 8,
	FIRST_WAIT_MS = 5 * 60 * 1000, /* four times as long before each further attempt */
	WAIT_FACTOR = 4,
	TRIED_MS = 24 * 3600 * 1000, /* section 5.5 */
};

struct post {
	struct post *next;
	struct arena arena;
	uint32_t day;
	struct slice domain;
	struct remote_place before;
	struct slice host, path;
	uint16_t port;
	uint64_t since_ms, due_ms, wait_ms;
	unsigned attempts;
	uint32_t conversation; /* 0: not under way */
};

struct posts {
	struct back *back;
	struct timer *timer;
	struct channel *channel;
	struct post *first;
	size_t count, under_way;
	uint32_t last_conversation;
	bool is_stopped;
};

static void start_due(struct posts *posts);

static void forget(struct posts *posts, struct post *post)
{
	struct post **at = &posts->first;
	while (*at != post)
		at = &(*at)->next;
	*at = post->next;
	posts->count--;
	arena_fini(&post->arena);
	free(post);
}

static void note_trouble(const struct post *post, const char *event, struct slice why)
{
	log_warning(NULL, WORD("event", event), TEXT("domain", post->domain),
		    TEXT("to", post->host), NUM("attempt", post->attempts), TEXT("why", why));
}

/* Section 5.5. It is gone where a day is over since the first attempt. */
static void fail(struct posts *posts, struct post *post, struct slice why)
{
	uint64_t now_ms = loop_now_ms(posts->back->loop);
	uint64_t wait_ms = post->wait_ms + random_u32() % (post->wait_ms / 10);
	post->wait_ms *= WAIT_FACTOR;
	if (now_ms + wait_ms > post->since_ms + TRIED_MS) {
		note_trouble(post, "tls-report-not-posted", why);
		forget(posts, post);
		return;
	}
	note_trouble(post, "tls-report-put-off", why);
	post->due_ms = now_ms + wait_ms;
}

/* Its report, as the store has it. ERR_NOT_FOUND: it has none any more. ERR_LIMIT: it is too large. */
static enum err make_body(struct posts *posts, struct post *post, struct buffer *body)
{
	struct tls_report report;
	struct arena arena = { 0 };
	struct remote_place place = post->before;
	struct read *read = read_begin(posts->back->store);
	bool found = tls_report_next(read, post->day, &place, &arena, &report) &&
		     slice_eq(report.domain, post->domain);
	enum err err = read_failure(read);
	read_end(&read);
	if (err == ERR_OK && !found)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		tls_report_set_submitter(&report, posts->back->config, &arena);
		tls_report_pack(&report, body);
	}
	arena_fini(&arena);
	return err == ERR_OK && body->len > REPORT_BODY_MAX_OCTETS ? ERR_LIMIT : err;
}

static void start(struct posts *posts, struct post *post)
{
	struct buffer body = { 0 }, payload = { 0 };
	post->attempts++;
	enum err err = make_body(posts, post, &body);
	if (err != ERR_OK) {
		buffer_free(&body);
		if (err != ERR_NOT_FOUND && err != ERR_LIMIT) {
			fail(posts, post, SLICE("the store cannot be read"));
			return;
		}
		note_trouble(post, "tls-report-not-posted",
			     SLICE("there is none, or it is too large"));
		forget(posts, post);
		return;
	}
	do
		posts->last_conversation++;
	while (posts->last_conversation == 0);
	post->conversation = posts->last_conversation;
	posts->under_way++;
	report_message_encode(&(struct report_message){ .host = post->host,
							.port = post->port,
							.path = post->path,
							.body = buffer_slice(&body) },
			      &payload);
	channel_send(posts->channel, MESSAGE_REPORT, post->conversation, buffer_slice(&payload),
		     -1);
	buffer_free(&body);
	buffer_free(&payload);
}

static void start_due(struct posts *posts)
{
	uint64_t now_ms = loop_now_ms(posts->back->loop), next_ms = UINT64_MAX;
	struct post *next;
	if (posts->is_stopped || !posts->channel)
		return;
	/* At most so many; one that ends comes here again. */
	for (struct post *post = posts->first; post && posts->under_way < AT_ONCE_MAX;
	     post = next) {
		next = post->next;
		if (post->conversation == 0 && post->due_ms <= now_ms)
			start(posts, post);
	}
	for (struct post *post = posts->first; post; post = post->next)
		if (post->conversation == 0 && post->due_ms > now_ms && post->due_ms < next_ms)
			next_ms = post->due_ms;
	if (next_ms != UINT64_MAX)
		timer_start(posts->timer, next_ms - now_ms);
}

static void on_timer(void *user)
{
	start_due(user);
}

/* ---- from outside ---- */

struct posts *posts_new(struct back *back)
{
	struct posts *posts = heap_alloc(sizeof(*posts));
	posts->back = back;
	posts->timer = timer_new(back->loop, on_timer, posts);
	return posts;
}

void posts_add(struct posts *posts, const struct tls_report *report,
	       const struct remote_place *before, const struct tlsrpt_uri *uri)
{
	bool has_slash = uri->path.len > 0 && uri->path.ptr[0] == '/';
	if (posts->count == POSTS_MAX) {
		log_warning(NULL, EVENT("tls-report-not-posted"), TEXT("domain", report->domain),
			    TEXT("to", uri->host), WORD("why", "too-many-wait"));
		return;
	}
	struct post *post = heap_alloc(sizeof(*post));
	post->day = report->day;
	post->domain = arena_copy(&post->arena, report->domain);
	post->before.key = arena_copy(&post->arena, before->key);
	post->host = arena_copy(&post->arena, uri->host);
	post->path = slice_cstr(
		arena_format(&post->arena, "%s%.*s", has_slash ? "" : "/", SLICE_ARG(uri->path)));
	post->port = uri->port;
	post->since_ms = post->due_ms = loop_now_ms(posts->back->loop);
	post->wait_ms = FIRST_WAIT_MS;
	post->next = posts->first;
	posts->first = post;
	posts->count++;
	start_due(posts);
}

void posts_set_channel(struct posts *posts, struct channel *channel)
{
	struct post *next;
	if (channel == posts->channel)
		return;
	posts->channel = channel;
	posts->under_way = 0;
	for (struct post *post = posts->first; post; post = next) {
		next = post->next;
		if (post->conversation == 0)
			continue;
		post->conversation = 0;
		fail(posts, post, SLICE("the sending process ended in the middle of it"));
	}
	start_due(posts);
}

bool posts_message(struct posts *posts, struct channel *channel, uint32_t conversation,
		   struct slice payload)
{
	struct reported_message reported;
	struct post *post = posts->first;
	if (!reported_message_decode(payload, &reported))
		return false;
	while (post && post->conversation != conversation)
		post = post->next;
	/* Not of this channel, or of one that was given up. */
	if (!post || conversation == 0 || channel != posts->channel)
		return true;
	post->conversation = 0;
	posts->under_way--;
	if (reported.is_taken) {
		log_info(NULL, EVENT("tls-report-posted"), TEXT("domain", post->domain),
			 TEXT("to", post->host), NUM("attempt", post->attempts));
		forget(posts, post);
	} else {
		fail(posts, post, reported.why);
	}
	start_due(posts);
	return true;
}

void posts_stop(struct posts *posts)
{
	posts->is_stopped = true;
	timer_stop(posts->timer);
}

void posts_free(struct posts **at)
{
	struct posts *posts = *at;
	*at = NULL;
	if (!posts)
		return;
	while (posts->first)
		forget(posts, posts->first);
	timer_free(&posts->timer);
	free(posts);
}
