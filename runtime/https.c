/* runtime/https.c - GET and POST over a stream: the host's addresses are looked up and raced, the
 * answer is read by http_parser, which knows nothing of TLS. Runs in the front.
 *
 * Of a document only a complete answer with status 200 counts; for what is given, its header says
 * enough. Whatever the server does, it is over when the time is. The host's name comes from strangers,
 * as does the path, so what DNS says of it must not lead to a server inside the network that we are in,
 * which may do what it is told for being asked from there. */
#include "runtime/https.h"

#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/race.h"
#include "runtime/stream.h"

struct https_call {
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
	bool has_private; /* addresses, which are none of these */
	struct race *race;
	struct stream *stream;
	http_parser parser;
	struct buffer header, value, body;
	bool is_value; /* of the header field that is being read */
	bool has_type, is_complete, is_too_large;
	unsigned status; /* of the answer, once its header is there */
	char why[160];
};

static void finish(struct https_call *call, const char *why, bool is_tls)
{
	const struct https_answer answer = { .why = why,
					     .is_tls = is_tls,
					     .body = buffer_slice(&call->body) };
	resolver_cancel(&call->question);
	race_cancel(&call->race);
	timer_free(&call->timer);
	if (call->stream)
		stream_close(call->stream);
	call->answered(call->user, &answer);
	tls_context_release(&call->request.tls);
	buffer_free(&call->header);
	buffer_free(&call->value);
	buffer_free(&call->body);
	arena_fini(&call->arena);
	free(call);
}

/* ---- the answer ---- */

/* What stands in front of parameters, as "text/plain" in "text/plain; charset=utf-8". */
static void end_field(struct https_call *call)
{
	if (slice_eq_nocase(buffer_slice(&call->header), SLICE("content-type"))) {
		struct slice type = buffer_slice(&call->value);
		type = slice_trim(slice_sub(type, 0, slice_find_byte(type, 0, ';')));
		call->has_type = call->request.media_type &&
				 slice_eq_nocase(type, slice_cstr(call->request.media_type));
	}
	buffer_clear(&call->header);
	buffer_clear(&call->value);
	call->is_value = false;
}

/* http_parser bounds the header as a whole. */
static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct https_call *call = parser->data;
	if (call->status != 0) /* behind the content (RFC 9110 section 6.5.1) */
		return 0;
	if (call->is_value)
		end_field(call);
	buffer_add(&call->header, slice_of(at, len));
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct https_call *call = parser->data;
	if (call->status != 0)
		return 0;
	call->is_value = true;
	buffer_add(&call->value, slice_of(at, len));
	return 0;
}

/* "Continue" and its like announce another answer (RFC 9110 section 15.2). */
static bool is_interim(const http_parser *parser)
{
	return parser->status_code / 100 == 1;
}

static int on_headers(http_parser *parser)
{
	struct https_call *call = parser->data;
	end_field(call);
	if (is_interim(parser))
		call->has_type = false;
	else
		call->status = parser->status_code;
	call->is_complete = !call->request.media_type && call->status != 0;
	return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
	struct https_call *call = parser->data;
	if (!call->request.media_type)
		return 0;
	call->is_too_large = len > call->request.answer_max_octets - call->body.len;
	if (call->is_too_large)
		return 1;
	buffer_add(&call->body, slice_of(at, len));
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct https_call *call = parser->data;
	call->is_complete |= !is_interim(parser);
	return 0;
}

static void judge(struct https_call *call)
{
	bool is_given = call->request.body_type && call->status / 100 == 2;
	if (!is_given && call->status != 200) {
		snprintf(call->why, sizeof(call->why), "the web server answered %u", call->status);
		finish(call, call->why, false);
		return;
	}
	bool is_good = !call->request.media_type || call->has_type;
	finish(call, is_good ? NULL : "the web server's answer is of another type", false);
}

/* True: it is over. */
static bool parse(struct https_call *call, struct slice octets)
{
	static const http_parser_settings settings = {
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_headers,
		.on_body = on_body,
		.on_message_complete = on_complete,
	};
	size_t taken =
		http_parser_execute(&call->parser, &settings, (const char *)octets.ptr, octets.len);
	if (call->is_complete)
		judge(call);
	else if (call->is_too_large)
		finish(call, "the web server's answer is too large", false);
	else if (taken != octets.len || HTTP_PARSER_ERRNO(&call->parser) != HPE_OK)
		finish(call, "the web server does not speak HTTP", false);
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
	struct https_call *call = stream_user(stream);
	const struct https_request *request = &call->request;
	struct buffer out = { 0 };
	buffer_add_format(&out, "%s %s HTTP/1.1\r\nHost: %.*s", request->body_type ? "POST" : "GET",
			  request->path, SLICE_ARG(request->host));
	if (request->port != 443)
		buffer_add_format(&out, ":%u", request->port);
	buffer_add_format(&out, "\r\nUser-Agent: Bode/" BODE_VERSION "\r\nAccept: %s\r\n",
			  request->media_type ? request->media_type : "*/*");
	if (request->body_type)
		buffer_add_format(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
				  request->body_type, request->body.len);
	buffer_add_cstr(&out, "Connection: close\r\n\r\n");
	stream_write(stream, buffer_slice(&out));
	stream_write(stream, request->body);
	buffer_free(&out);
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct https_call *call = stream_user(stream);
	enum tls_refusal kind;
	const char *refusal = how == STREAM_TLS ? stream_tls_refusal(stream, &kind) : NULL;
	/* An answer may end with the connection, if that is a clean end. */
	if (how == STREAM_EOF && parse(call, SLICE(""))) {
		return;
	} else if (refusal) {
		snprintf(call->why, sizeof(call->why),
			 "the web server's certificate was refused: %s", refusal);
		finish(call, call->why, true);
	} else if (how == STREAM_TLS) {
		finish(call, "the encryption of the connection to the web server failed", true);
	} else {
		finish(call, "the web server closed the connection", false);
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
	struct https_call *call = user;
	call->race = NULL;
	if (result->fd < 0) {
		snprintf(call->why, sizeof(call->why), "the web server could not be reached (%s)",
			 log_errno_name(result->error));
		finish(call, call->why, false);
		return;
	}
	call->stream = stream_new(call->loop, result->fd, &events, call);
	stream_start_tls_client(
		call->stream, call->request.tls,
		&(struct tls_demand){ .host = (const char *)call->request.host.ptr });
}

static void add_addresses(struct https_call *call, const struct dns_answer *answer)
{
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->count; i++) {
		struct peer address = answer->records[i].address;
		if (peer_is_private(&address) && !call->request.may_stay_inside) {
			call->has_private = true;
			continue;
		}
		if (call->address_count == RACE_ADDRESSES_MAX)
			continue;
		address.port = call->request.port;
		call->addresses[call->address_count++] = address;
	}
}

static void ask(struct https_call *call, enum dns_type type);

static void on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct https_call *call = CONTAINER_OF(question, struct https_call, question);
	add_addresses(call, answer);
	if (call->asking == DNS_AAAA)
		ask(call, DNS_A);
	else if (call->address_count == 0)
		finish(call,
		       call->has_private ? "all addresses of the web server are private ones, "
					   "which are not gone to"
					 : "DNS knows no address of the web server",
		       false);
	else
		call->race = race_new(call->loop, call->addresses, call->address_count,
				      call->request.timeout_ms, on_raced, call);
}

static void ask(struct https_call *call, enum dns_type type)
{
	call->asking = type;
	call->question = (struct dns_question){ .answered = on_answer };
	resolver_ask(call->request.resolver, call->loop, &call->question, type, call->request.host,
		     call->request.timeout_ms);
}

static void on_timer(void *user)
{
	finish(user, "the web server did not answer in time", false);
}

struct https_call *https_call_new(struct loop *loop, const struct https_request *request,
				  void (*answered)(void *user, const struct https_answer *answer),
				  void *user)
{
	struct https_call *call = heap_alloc(sizeof(*call));
	call->loop = loop;
	call->request = *request;
	call->request.tls = tls_context_hold(request->tls);
	call->request.host = slice_cstr(arena_string(&call->arena, request->host));
	call->request.path = arena_string(&call->arena, slice_cstr(request->path));
	if (request->media_type)
		call->request.media_type =
			arena_string(&call->arena, slice_cstr(request->media_type));
	if (request->body_type)
		call->request.body_type =
			arena_string(&call->arena, slice_cstr(request->body_type));
	call->request.body = arena_copy(&call->arena, request->body);
	call->answered = answered;
	call->user = user;
	http_parser_init(&call->parser, HTTP_RESPONSE);
	call->parser.data = call;
	call->timer = timer_new(loop, on_timer, call);
	timer_start(call->timer, request->timeout_ms);
	ask(call, DNS_AAAA);
	return call;
}
