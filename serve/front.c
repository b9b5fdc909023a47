/* serve/front.c - the role of the front: gates, TLS contexts and links on each loop.
 * Runs in the front. */
#include "serve/front_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/relay.h"
#include "runtime/sandbox.h"
#include "runtime/session.h"
#include "runtime/tls_verify.h"

enum {
	GOODBYE_MS = 1000, /* for clients to close their side, after the last session */
	/* Addresses and networks whose use is remembered; about 1 MB. */
	LIMITS_ENTRIES = 16 * 1024,
};

static struct front_loop *front_loop_of(struct child_loop *loop)
{
	return CONTAINER_OF(loop, struct front_loop, child_loop);
}

static struct tls_context *make_tls(struct child *child)
{
	const char *why = NULL;
	struct tls_context *tls = tls_server_context(buffer_slice(&child->texts[TEXT_CERTIFICATE]),
						     buffer_slice(&child->texts[TEXT_KEY]), &why);
	if (!tls)
		log_error(NULL, EVENT("certificate-refused"), CSTR("why", why));
	return tls;
}

static struct resolver *make_resolver(struct child *child)
{
	struct slice anchor = buffer_slice(&child->texts[TEXT_TRUST_ANCHOR]);
	const struct resolver_options options = {
		.forward = child->config->dns_forward,
		.trust_anchor = child->config->dns_trust_anchor ? &anchor : NULL,
	};
	return resolver_new(child->loops[0]->loop, &options);
}

/* What all loops share. */
struct commons {
	struct connections *connections;
	struct limits *limits;
	struct resolver *resolver;
	struct relay_trust trust;
};

static void loop_set_up(struct front_loop *loop, const struct commons *commons,
			struct tls_context *tls)
{
	struct child *child = loop->child_loop.child;
	size_t count = 0;
	loop->connections = commons->connections;
	loop->front = (struct front){
		.loop = loop->child_loop.loop,
		.link = link_new(loop->child_loop.loop),
		.tls = tls_context_hold(tls),
		.config = child->config,
		.limits = commons->limits,
		.resolver = commons->resolver,
	};
	link_set_limits(loop->front.link, commons->limits);
	loop->sender = relay_sender_new(&loop->front, &commons->trust);
	relay_sender_set_password(loop->sender,
				  buffer_slice(&child->texts[TEXT_SMARTHOST_PASSWORD]));
	loop->gates = heap_alloc_array(child->listener_count, sizeof(struct gate));
	for (size_t i = 0; i < child->listener_count; i++) {
		const struct child_listener *listener = &child->listeners[i];
		if (listener->loop == loop_index(loop->child_loop.loop))
			gate_open(&loop->gates[count++], loop, listener->service, listener->fd);
	}
	loop->gate_count = count;
}

static struct tls_context *read_authorities(const char *path)
{
	const char *why;
	struct tls_context *context = tls_client_context(path, &why);
	if (!context)
		log_warning(NULL, EVENT("no-authorities"), CSTR("file", path), CSTR("why", why));
	return context;
}

/* Read before the sandbox is shut; without authorities, who needs one is not sent to. */
static bool make_trust(const struct config *config, struct relay_trust *trust)
{
	trust->opportunistic = tls_opportunistic_context();
	trust->authorities = read_authorities(config->relay_authorities);
	trust->smarthost = config->smarthost_ca ? read_authorities(config->smarthost_ca)
						: tls_context_hold(trust->authorities);
	return trust->opportunistic != NULL;
}

static bool front_start_role(struct child *child)
{
	struct tls_context *tls = make_tls(child);
	struct commons *commons = heap_alloc(sizeof(*commons));
	if (!tls || !make_trust(child->config, &commons->trust) ||
	    sandbox_front(&child->order.user) != ERR_OK)
		return false;
	commons->connections = connections_new(child->config);
	commons->limits = limits_new(child->config, LIMITS_ENTRIES);
	commons->resolver = make_resolver(child);
	if (!commons->resolver)
		return false;
	child->role = commons;
	for (unsigned i = 0; i < child->order.loops; i++)
		loop_set_up(front_loop_of(child->loops[i]), commons, tls);
	tls_context_release(&tls);
	return true;
}

static void front_link(struct child_loop *loop, int fd)
{
	link_connect(front_loop_of(loop)->front.link, fd);
}

/* ---- reload ---- */

struct renewal {
	const struct config *config;
	struct tls_context *tls;
	struct buffer password;
};

static void run_renewal(struct child_loop *child_loop, void *data)
{
	struct renewal *renewal = data;
	struct front *front = &front_loop_of(child_loop)->front;
	front->config = renewal->config;
	relay_sender_set_password(front_loop_of(child_loop)->sender,
				  buffer_slice(&renewal->password));
	buffer_wipe(&renewal->password);
	if (renewal->tls) {
		/* Connections under way hold the old one themselves. */
		tls_context_release(&front->tls);
		front->tls = renewal->tls;
	}
	free(renewal);
}

static void front_reload(struct child *child)
{
	struct tls_context *tls = make_tls(child); /* NULL: the old one stays */
	struct commons *commons = child->role;
	connections_set_limits(commons->connections, child->config);
	limits_set(commons->limits, child->config);
	for (unsigned i = 0; i < child->order.loops; i++) {
		struct renewal *renewal = heap_alloc(sizeof(*renewal));
		renewal->config = child->config;
		buffer_add(&renewal->password,
			   buffer_slice(&child->texts[TEXT_SMARTHOST_PASSWORD]));
		renewal->tls = tls ? tls_context_hold(tls) : NULL;
		child_post(child->loops[i], run_renewal, renewal);
	}
	tls_context_release(&tls);
}

/* ---- stop ---- */

static void front_stop(struct child_loop *child_loop)
{
	struct front_loop *loop = front_loop_of(child_loop);
	for (size_t i = 0; i < loop->gate_count; i++)
		gate_shut(&loop->gates[i]);
	session_shutdown_all(child_loop->loop);
	relay_sender_stop(loop->sender);
}

/* The back says goodbye to those who are signed in: their relays end by that. */
static bool front_is_drained(struct child_loop *child_loop)
{
	struct front_loop *loop = front_loop_of(child_loop);
	if (session_count(child_loop->loop) > 0 || relay_count(child_loop->loop) > 0 ||
	    relay_sender_count(loop->sender) > 0)
		return false;
	uint64_t now_ms = loop_now_ms(child_loop->loop);
	if (loop->empty_ms == 0)
		loop->empty_ms = now_ms;
	return loop->open == 0 || now_ms - loop->empty_ms >= GOODBYE_MS;
}

const struct child_class front_class = {
	.name = "front",
	.loop_octets = sizeof(struct front_loop),
	.start = front_start_role,
	.link = front_link,
	.reload = front_reload,
	.stop = front_stop,
	.is_drained = front_is_drained,
};
