/* tests/fuzz/channel.c - a channel reads what a hostile peer sends, cut into pieces by the first
 * octet, with a descriptor here and there. None may stay open, none may arrive unannounced. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/channel.h"

static bool closed;

static void on_message(struct channel *channel, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	/* Every octet is ours to read. */
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < payload.len; i++)
		sum = (uint8_t)(sum + payload.ptr[i]);
	if (fd >= 0 && close(fd) != 0)
		abort();
	channel_send(channel, type, conversation, payload, -1); /* so that both directions work */
}

static void on_closed(struct channel *channel)
{
	closed = true;
	channel_free(channel_user(channel));
}

static const struct channel_events events = { .message = on_message, .closed = on_closed };

static void send_piece(int socket, const uint8_t *octets, size_t len, bool with_fd)
{
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	uint8_t copy[256];
	memcpy(copy, octets, len);
	struct iovec part = { copy, len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (with_fd) {
		message.msg_control = control.octets;
		message.msg_controllen = sizeof(control.octets);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		int fd = STDERR_FILENO; /* any; its own end would keep the channel from ending */
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	int pair[2];
	if (len < 1)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		abort(); /* a descriptor has leaked */
	struct loop *loop = loop_new(0);
	struct channel *channel = NULL;
	closed = false;
	channel = channel_new(loop, pair[0], &events, &channel);
	size_t piece = (size_t)octets[0] + 1;
	for (size_t at = 1; at < len && !closed; at += piece) {
		size_t part = piece < len - at ? piece : len - at;
		send_piece(pair[1], octets + at, part, octets[at] % 3 == 1);
		loop_run_once(loop, 0);
	}
	close(pair[1]);
	for (unsigned i = 0; i < 1000 && !closed; i++)
		loop_run_once(loop, 0);
	if (!closed)
		abort();
	loop_free(loop);
	return 0;
}
