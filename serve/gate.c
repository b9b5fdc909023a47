/* serve/gate.c - lets clients in: accepts, counts, refuses in the words of their protocol,
 * starts TLS where it comes first, and hands the stream to the protocol.
 * Runs in the front.
 *
 * RFC 5321 section 3.1 (a refused SMTP client gets a reply), RFC 9051 section 7.1.5 (BYE as a
 * greeting), RFC 1939 section 3 and RFC 3206 section 4 (POP3); RFC 8314 for TLS first. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "imapd/imapd.h"
#include "pop3d/pop3d.h"
#include "serve/front_priv.h"
#include "smtpd/smtpd.h"

enum {
	ACCEPTS_A_TURN = 64, /* then those who are in have their turn */
	PAUSE_MS = 100,
	HANDSHAKE_MS = 30 * 1000,
};

struct protocol {
	front_start start;
	bool tls_first;
	const char *refusal; /* NULL: none could be read before TLS */
};

#define SMTP_REFUSAL "421 4.7.0 Too many connections, try again later\r\n"
#define IMAP_REFUSAL "* BYE Too many connections, try again later\r\n"
#define POP3_REFUSAL "-ERR [SYS/TEMP] Too many connections, try again later\r\n"

static const struct protocol protocols[SERVICE_COUNT] = {
	[SERVICE_SMTP] = { smtpd_start, false, SMTP_REFUSAL },
	[SERVICE_SUBMISSION] = { smtpd_start, false, SMTP_REFUSAL },
	[SERVICE_SUBMISSIONS] = { smtpd_start, true, NULL },
	[SERVICE_IMAP] = { imapd_login_start, false, IMAP_REFUSAL },
	[SERVICE_IMAPS] = { imapd_login_start, true, NULL },
	[SERVICE_POP3] = { pop3d_login_start, false, POP3_REFUSAL },
	[SERVICE_POP3S] = { pop3d_login_start, true, NULL },
	[SERVICE_LMTP] = { smtpd_start, false, SMTP_REFUSAL },
	[SERVICE_SENDMAIL] = { NULL, false, NULL }, /* is not the front's */
};

/* A client that is in, from accept() until its stream is freed. */
struct guest {
	struct front_loop *owner;
	struct peer peer;
	bool counted;
	enum config_service service;
};

/* At most one a second: who knocks in vain must not fill the log. */
static void log_refusal(struct gate *gate, const struct peer *peer, const char *why)
{
	char text[PEER_TEXT_MAX];
	uint64_t now_ms = loop_now_ms(gate->owner->child_loop.loop);
	if (gate->told_ms != 0 && now_ms - gate->told_ms < 1000) {
		gate->untold++;
		return;
	}
	gate->told_ms = now_ms;
	peer_format(peer, text);
	const struct journal_event event = {
		.kind = JOURNAL_TURNED_AWAY,
		.service = slice_cstr(config_service_name(gate->service)),
		.peer = *peer,
		.why = slice_cstr(why),
	};
	link_note(gate->owner->front.link, &event);
	log_warning(NULL, EVENT("connection-refused"),
		    WORD("service", config_service_name(gate->service)), CSTR("peer", text),
		    WORD("why", why), NUM("more", gate->untold));
	gate->untold = 0;
}

/* A client that has just come reads this; whether it fits is the kernel's, and it does. */
static void refuse(const struct gate *gate, int fd)
{
	const char *text = protocols[gate->service].refusal;
	if (text) {
		ssize_t sent = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)sent;
	}
	close(fd);
}

static void on_freed(void *user)
{
	struct guest *guest = user;
	guest->owner->open--;
	if (guest->counted)
		connections_leave(guest->owner->connections, &guest->peer);
	free(guest);
}

/* ---- TLS before the first word ---- */

static void on_secured(struct stream *stream)
{
	struct guest *guest = stream_user(stream);
	protocols[guest->service].start(&guest->owner->front, stream, guest->service);
}

static void on_handshake_input(struct stream *stream, struct cursor *in)
{
	/* What came with the handshake's last octets waits for the protocol. */
}

static void on_handshake_drained(struct stream *stream)
{
}

static void on_handshake_timeout(struct stream *stream)
{
	stream_abort(stream);
}

static void on_handshake_ended(struct stream *stream, enum stream_end how)
{
	stream_abort(stream);
}

static const struct stream_events handshake_events = {
	.input = on_handshake_input,
	.drained = on_handshake_drained,
	.secured = on_secured,
	.timeout = on_handshake_timeout,
	.ended = on_handshake_ended,
};

/* ---- the gate ---- */

static void admit(struct gate *gate, int fd, const struct peer *peer, bool counted)
{
	const int on = 1;
	struct front_loop *owner = gate->owner;
	struct guest *guest = heap_alloc(sizeof(*guest));
	*guest = (struct guest){ owner, *peer, counted, gate->service };
	owner->open++;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	struct stream *stream = stream_new(owner->child_loop.loop, fd, &handshake_events, guest);
	stream_set_peer(stream, peer);
	stream_set_freed(stream, on_freed, guest);
	if (protocols[gate->service].tls_first) {
		stream_set_idle_ms(stream, HANDSHAKE_MS);
		stream_start_tls(stream, owner->front.tls);
	} else {
		protocols[gate->service].start(&owner->front, stream, gate->service);
	}
}

static void on_pause_over(void *user)
{
	struct gate *gate = user;
	if (gate->descriptor)
		descriptor_resume(gate->descriptor);
}

/* Clients wait in the kernel's queue meanwhile. */
static void pause_gate(struct gate *gate, int why)
{
	log_error(NULL, EVENT("accept-failed"), WORD("service", config_service_name(gate->service)),
		  ERRNO(why));
	descriptor_pause(gate->descriptor);
	timer_start(gate->pause, PAUSE_MS);
}

void gate_let_in(struct gate *gate, int fd, const struct peer *peer)
{
	struct limits *limits = gate->owner->front.limits;
	if (!limits_take(limits, peer, LIMIT_CONNECTIONS) ||
	    (gate->service == SERVICE_SMTP && !limits_has(limits, peer, LIMIT_ERRORS))) {
		log_refusal(gate, peer, "too-fast");
		refuse(gate, fd);
		return;
	}
	switch (connections_enter(gate->owner->connections, peer)) {
	case CONNECTION_EXEMPT: admit(gate, fd, peer, false); break;
	case CONNECTION_COUNTED: admit(gate, fd, peer, true); break;
	case CONNECTION_TOO_MANY:
		log_refusal(gate, peer, "too-many-connections");
		refuse(gate, fd);
		break;
	case CONNECTION_TOO_MANY_FROM_HIM:
		log_refusal(gate, peer, "too-many-of-this-address");
		refuse(gate, fd);
		break;
	}
}

/* False: nobody else waits, or descriptors have run out and the gate pauses. */
static bool accept_one(struct gate *gate)
{
	struct sockaddr_storage address;
	socklen_t address_octets = sizeof(address);
	struct peer peer;
	int fd = accept4(descriptor_fd(gate->descriptor), (struct sockaddr *)&address,
			 &address_octets, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		int why = errno;
		if (why == EAGAIN)
			return false;
		if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
			pause_gate(gate, why);
			return false;
		}
		return true; /* that client has gone already (accept(2), "Error handling") */
	}
	peer_from_sockaddr((struct sockaddr *)&address, &peer);
	if (descriptor_is_reserved(fd)) {
		log_refusal(gate, &peer, "no-descriptors");
		refuse(gate, fd);
		return true;
	}
	const struct config *config = gate->owner->front.config;
	if (networks_contain(config->proxies, config->proxy_count, &peer))
		proxied_begin(gate, fd, &peer);
	else
		gate_let_in(gate, fd, &peer);
	return true;
}

static void on_clients(void *user)
{
	struct gate *gate = user;
	for (unsigned i = 0; i < ACCEPTS_A_TURN && gate->descriptor; i++)
		if (!accept_one(gate))
			break;
}

void gate_open(struct gate *gate, struct front_loop *owner, enum config_service service, int fd)
{
	struct loop *loop = owner->child_loop.loop;
	gate->owner = owner;
	gate->service = service;
	gate->descriptor = descriptor_new(loop, fd, on_clients, gate);
	gate->pause = timer_new(loop, on_pause_over, gate);
}

void gate_shut(struct gate *gate)
{
	descriptor_free(&gate->descriptor);
	timer_free(&gate->pause);
}
