/* serve/proxied.c - connections from a load balancer: the PROXY header in front of everything, TLS
 * too, says who the client is. Runs in the front.
 *
 * The header is read octet for octet, so that what follows it stays in the socket for the protocol.
 * Who is expected to send one and does not is closed without a word: whether to expect it cannot be
 * guessed, or clients could say who they are themselves. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/proxy.h"
#include "serve/front_priv.h"

enum { HEADER_MS = 10 * 1000 };

struct proxied {
	struct gate *gate;
	struct peer peer; /* the balancer; then the client */
	struct descriptor *descriptor;
	struct timer *timer;
	size_t len;
	uint8_t header[PROXY_HEADER_MAX_OCTETS];
};

/* Gives the connection back. */
static int release(struct proxied *proxied)
{
	int fd = descriptor_release(&proxied->descriptor);
	proxied->gate->owner->open--;
	timer_free(&proxied->timer);
	free(proxied);
	return fd;
}

static void drop(struct proxied *proxied, const char *why)
{
	char text[PEER_TEXT_MAX];

	peer_format(&proxied->peer, text);
	log_warning(NULL, EVENT("proxy-header-refused"),
		    WORD("service", config_service_name(proxied->gate->service)),
		    CSTR("peer", text), WORD("why", why));
	close(release(proxied));
}

static void on_timeout(void *user)
{
	drop(user, "timeout");
}

static void on_readable(void *user)
{
	struct proxied *proxied = user;

	for (;;) {
		size_t more = 0;
		struct peer peer = proxied->peer;
		switch (proxy_header_take(slice_of(proxied->header, proxied->len), &more, &peer)) {
		case PROXY_BROKEN: drop(proxied, "broken"); return;
		case PROXY_WHOLE:
			if (!proxied->gate->descriptor) { /* the server stops */
				drop(proxied, "shutdown");
			} else {
				struct gate *gate = proxied->gate;
				gate_let_in(gate, release(proxied), &peer);
			}
			return;
		case PROXY_PARTIAL: break;
		}
		ssize_t got = recv(descriptor_fd(proxied->descriptor),
				   proxied->header + proxied->len, more, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			drop(proxied, "closed");
			return;
		}
		proxied->len += (size_t)got;
	}
}

void proxied_begin(struct gate *gate, int fd, const struct peer *balancer)
{
	struct loop *loop = gate->owner->child_loop.loop;
	struct proxied *proxied = heap_alloc(sizeof(*proxied));

	gate->owner->open++;
	proxied->gate = gate;
	proxied->peer = *balancer;
	proxied->descriptor = descriptor_new(loop, fd, on_readable, proxied);
	proxied->timer = timer_new(loop, on_timeout, proxied);
	timer_start(proxied->timer, HEADER_MS);
}
