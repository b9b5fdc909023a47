/* admin/sendmail_socket.c - a program's message to the running server, over the socket of [listen]
 * sendmail (runtime/program_message.h): for users of the machine who have no access to the store. The
 * server knows by the kernel who they are, and says what became of each recipient. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/sendmail_priv.h"
#include "runtime/program_message.h"

enum { TIMEOUT_SECONDS = 300 };

static int connect_to(const char *path)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* One cut off would be another's socket. */
	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    sizeof(address.sun_path)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

/* -1: `why_out` says what is missing. */
static int connect_any(const struct config *config, const char **why_out)
{
	*why_out = "only root may send mail here, since [listen] sendmail of the configuration is "
		   "off";
	for (size_t i = 0; i < config->listen_count; i++) {
		if (config->listens[i].service != SERVICE_SENDMAIL)
			continue;
		int fd = connect_to(config->listens[i].address);
		if (fd >= 0)
			return fd;
		*why_out = "the server cannot be reached; does it run?";
	}
	return -1;
}

static bool send_all(int fd, struct slice octets)
{
	while (octets.len > 0) {
		ssize_t sent = send(fd, octets.ptr, octets.len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		octets = slice_sub(octets, (size_t)sent, octets.len);
	}
	return true;
}

static bool receive_all(int fd, uint8_t *octets, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t got = recv(fd, octets + at, len - at, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

static size_t count_good(const struct outgoing *outgoing)
{
	size_t count = 0;

	for (size_t i = 0; i < outgoing->recipient_count; i++)
		count += outgoing->recipients[i].status == EX_OK;
	return count;
}

static void add_head(const struct outgoing *outgoing, uint64_t size_octets, struct buffer *out)
{
	const struct program_message message = {
		.reverse_path = outgoing->reverse_path,
		.size_octets = size_octets,
		.recipient_count = (uint32_t)count_good(outgoing),
	};
	struct buffer head = { 0 };

	program_encode(&message, &head);
	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		const struct outgoing_recipient *recipient = &outgoing->recipients[i];
		const struct program_recipient to = { .forward_path = recipient->path,
						      .fallback = recipient->fallback };
		if (recipient->status == EX_OK)
			program_encode_recipient(&to, &head);
	}
	buffer_add_be32(out, (uint32_t)head.len);
	buffer_add(out, buffer_slice(&head));
	buffer_free(&head);
}

void sendmail_by_socket(struct outgoing *outgoing, struct slice message)
{
	const char *why;
	int fd = connect_any(outgoing->admin->config, &why);
	struct buffer head = { 0 };

	if (fd < 0) {
		sendmail_refuse_all(outgoing, EX_TEMPFAIL, why);
		return;
	}
	add_head(outgoing, message.len, &head);
	if (head.len - 4 > PROGRAM_HEAD_MAX_OCTETS) {
		sendmail_refuse_all(outgoing, EX_DATAERR, "too many recipients for one message");
		goto out;
	}
	size_t count = count_good(outgoing);
	uint8_t *outcomes = arena_alloc(&outgoing->admin->arena, count);
	/* Where it is refused by its head, the answer comes though not all was taken. */
	(void)(send_all(fd, buffer_slice(&head)) && send_all(fd, message));
	if (receive_all(fd, outcomes, count)) {
		for (size_t i = 0; i < outgoing->recipient_count; i++)
			if (outgoing->recipients[i].status == EX_OK)
				sendmail_tell(&outgoing->recipients[i], (enum err) * outcomes++);
	} else {
		sendmail_refuse_all(outgoing, EX_TEMPFAIL, "the server has hung up");
	}
out:
	buffer_free(&head);
	close(fd);
}
