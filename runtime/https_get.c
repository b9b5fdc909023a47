/* runtime/https_get.c - GET over a stream: the host's addresses are looked up and raced, the answer
 * is read by http_parser, which knows nothing of TLS. Runs in the front.
 *
 * Only a complete answer with status 200 counts. Whatever the server does, it is over when the time
 * is. */
#include "runtime/https_get.h"

#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/race.h"
#include "runtime/stream.h"

struct https_get {
	struct loop *loop;
	struct arena arena;
	struct https_request request;
	void (*answered)(void *user, const struct https_answer *answer);
	void *user;
	struct timer *timer;
	struct dns_question question;
	enum dns_type asking;
	struct peer addresses[RACE_ADDRESSES_MAX];
	size_t address_count;
	struct race *race;
	struct stream *stream;
	http_parser parser;
	struct buffer header, value, body;
	bool is_value; /* of the header field that is being read */
	bool has_type, is_complete, is_too_large;
	char why[160];
};

static void finish(struct https_get *get, const char *why, bool is_tls)
{
	const struct https_answer answer = { .why = why,
					     .is_tls = is_tls,
					     .body = buffer_slice(&get->body) };
	resolver_cancel(&get->question);
	race_cancel(&get->race);
	timer_free(&get->timer);
	if (get->stream)
		stream_close(get->stream);
	get->answered(get->user, &answer);
	tls_context_release(&get->request.tls);
	buffer_free(&get->header);
	buffer_free(&get->value);
	buffer_free(&get->body);
	arena_fini(&get->arena);
	free(get);
}

/* ---- the answer ---- */

/* What stands in front of parameters, as "text/plain" in "text/plain; charset=utf-8". */
static void end_field(struct https_get *get)
{
	if (slice_eq_nocase(buffer_slice(&get->header), SLICE("content-type"))) {
		struct slice type = buffer_slice(&get->value);
		type = slice_trim(slice_sub(type, 0, slice_find_byte(type, 0, ';')));
		get->has_type = slice_eq_nocase(type, slice_cstr(get->request.media_type));
	}
	buffer_clear(&get->header);
	buffer_clear(&get->value);
	get->is_value = false;
}

/* http_parser bounds the header as a whole. */
static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct https_get *get = parser->data;
	if (get->is_value)
		end_field(get);
	buffer_add(&get->header, slice_of(at, len));
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct https_get *get = parser->data;
	get->is_value = true;
	buffer_add(&get->value, slice_of(at, len));
	return 0;
}

static int on_headers(http_parser *parser)
{
	end_field(parser->data);
	return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
	struct https_get *get = parser->data;
	get->is_too_large = len > get->request.body_max_octets - get->body.len;
	if (get->is_too_large)
		return 1;
	buffer_add(&get->body, slice_of(at, len));
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct https_get *get = parser->data;
	get->is_complete = true;
	return 0;
}

static void judge(struct https_get *get)
{
	if (get->parser.status_code != 200) {
		snprintf(get->why, sizeof(get->why), "the web server answered %u",
			 get->parser.status_code);
		finish(get, get->why, false);
		return;
	}
	finish(get, get->has_type ? NULL : "the web server's answer is of another type", false);
}

/* True: it is over. */
static bool parse(struct https_get *get, struct slice octets)
{
	static const http_parser_settings settings = {
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_headers,
		.on_body = on_body,
		.on_message_complete = on_complete,
	};
	size_t taken =
		http_parser_execute(&get->parser, &settings, (const char *)octets.ptr, octets.len);
	if (get->is_complete)
		judge(get);
	else if (get->is_too_large)
		finish(get, "the web server's answer is too large", false);
	else if (taken != octets.len || HTTP_PARSER_ERRNO(&get->parser) != HPE_OK)
		finish(get, "the web server does not speak HTTP", false);
	else
		return false;
	return true;
}

/* ---- the stream ---- */

static void on_input(struct stream *stream, struct cursor *in)
{
	struct slice octets = cursor_rest(in);
	in->at = in->end;
	parse(stream_user(stream), octets);
}

static void on_nothing(struct stream *stream)
{
	(void)stream;
}

static void on_secured(struct stream *stream)
{
	struct https_get *get = stream_user(stream);
	struct buffer out = { 0 };
	buffer_add_format(&out, "GET %s HTTP/1.1\r\nHost: %.*s", get->request.path,
			  SLICE_ARG(get->request.host));
	if (get->request.port != 443)
		buffer_add_format(&out, ":%u", get->request.port);
	buffer_add_format(&out,
			  "\r\nUser-Agent: Bode/" BODE_VERSION "\r\nAccept: %s\r\n"
			  "Connection: close\r\n\r\n",
			  get->request.media_type);
	stream_write(stream, buffer_slice(&out));
	buffer_free(&out);
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct https_get *get = stream_user(stream);
	enum tls_refusal kind;
	const char *refusal = how == STREAM_TLS ? stream_tls_refusal(stream, &kind) : NULL;
	/* An answer may end with the connection, if that is a clean end. */
	if (how == STREAM_EOF && parse(get, SLICE(""))) {
		return;
	} else if (refusal) {
		snprintf(get->why, sizeof(get->why), "the web server's certificate was refused: %s",
			 refusal);
		finish(get, get->why, true);
	} else if (how == STREAM_TLS) {
		finish(get, "the encryption of the connection to the web server failed", true);
	} else {
		finish(get, "the web server closed the connection", false);
	}
}

/* ---- the way there ---- */

static void on_raced(void *user, const struct race_result *result)
{
	static const struct stream_events events = {
		.input = on_input,
		.drained = on_nothing,
		.secured = on_secured,
		.timeout = on_nothing,
		.ended = on_ended,
	};
	struct https_get *get = user;
	get->race = NULL;
	if (result->fd < 0) {
		snprintf(get->why, sizeof(get->why), "the web server could not be reached (%s)",
			 log_errno_name(result->error));
		finish(get, get->why, false);
		return;
	}
	get->stream = stream_new(get->loop, result->fd, &events, get);
	stream_start_tls_client(
		get->stream, get->request.tls,
		&(struct tls_demand){ .host = (const char *)get->request.host.ptr });
}

static void add_addresses(struct https_get *get, const struct dns_answer *answer)
{
	static const uint8_t zeros[16];
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->count; i++) {
		struct peer address = answer->records[i].address;
		if (get->address_count == RACE_ADDRESSES_MAX ||
		    (peer_is_loopback(&address) && !get->request.may_loop) ||
		    memcmp(address.address, zeros, sizeof(zeros)) == 0)
			continue;
		address.port = get->request.port;
		get->addresses[get->address_count++] = address;
	}
}

static void ask(struct https_get *get, enum dns_type type);

static void on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct https_get *get = CONTAINER_OF(question, struct https_get, question);
	add_addresses(get, answer);
	if (get->asking == DNS_AAAA)
		ask(get, DNS_A);
	else if (get->address_count == 0)
		finish(get, "DNS knows no address of the web server", false);
	else
		get->race = race_new(get->loop, get->addresses, get->address_count,
				     get->request.timeout_ms, on_raced, get);
}

static void ask(struct https_get *get, enum dns_type type)
{
	get->asking = type;
	get->question = (struct dns_question){ .answered = on_answer };
	resolver_ask(get->request.resolver, get->loop, &get->question, type, get->request.host,
		     get->request.timeout_ms);
}

static void on_timer(void *user)
{
	finish(user, "the web server did not answer in time", false);
}

struct https_get *https_get_new(struct loop *loop, const struct https_request *request,
				void (*answered)(void *user, const struct https_answer *answer),
				void *user)
{
	struct https_get *get = heap_alloc(sizeof(*get));
	get->loop = loop;
	get->request = *request;
	get->request.tls = tls_context_hold(request->tls);
	get->request.host = slice_cstr(arena_string(&get->arena, request->host));
	get->request.path = arena_string(&get->arena, slice_cstr(request->path));
	get->request.media_type = arena_string(&get->arena, slice_cstr(request->media_type));
	get->answered = answered;
	get->user = user;
	http_parser_init(&get->parser, HTTP_RESPONSE);
	get->parser.data = get;
	get->timer = timer_new(loop, on_timer, get);
	timer_start(get->timer, request->timeout_ms);
	ask(get, DNS_AAAA);
	return get;
}
