/* serve/control.c - the control socket, at both ends. Runs in the supervisor, which binds it,
 * and in the admin's process; the back reads from it. */
#include "serve/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/octets.h"
#include "serve/control_priv.h"

/* False: the path is too long for a socket's address. */
static bool control_address(const char *state_dir, struct sockaddr_un *address_out)
{
	*address_out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int len = snprintf(address_out->sun_path, sizeof(address_out->sun_path), "%s/control",
			   state_dir);
	return len > 0 && (size_t)len < sizeof(address_out->sun_path);
}

int control_bind(const char *state_dir, const struct sandbox_user *owner)
{
	struct sockaddr_un address;
	int fd = -1;
	if (!control_address(state_dir, &address)) {
		errno = ENAMETOOLONG;
		goto out;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto out;
	unlink(address.sun_path);
	mode_t mask = umask(0177);
	int failed = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (!failed && owner->uid != 0)
		failed = lchown(address.sun_path, owner->uid, owner->gid);
	if (failed) {
		int why = errno;
		close(fd);
		fd = -1;
		errno = why;
	}
out:
	if (fd < 0)
		log_warning(NULL, EVENT("no-control-socket"), CSTR("state_dir", state_dir),
			    ERRNO(errno));
	return fd;
}

void control_unbind(const char *state_dir)
{
	struct sockaddr_un address;
	if (control_address(state_dir, &address))
		unlink(address.sun_path);
}

static void send_to_server(const char *state_dir, enum control_kind kind, uint32_t account_id)
{
	struct sockaddr_un address;
	uint8_t octets[CONTROL_OCTETS] = { (uint8_t)kind };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	put_be32(octets + 1, account_id);
	if (control_address(state_dir, &address)) {
		ssize_t sent = sendto(fd, octets, sizeof(octets), MSG_NOSIGNAL,
				      (struct sockaddr *)&address, sizeof(address));
		(void)sent; /* nobody may be there to hear it */
	}
	close(fd);
}

void control_notify_account(const char *state_dir, uint32_t account_id)
{
	send_to_server(state_dir, CONTROL_ACCOUNT, account_id);
}

void control_notify_rights(const char *state_dir, uint32_t account_id)
{
	send_to_server(state_dir, CONTROL_RIGHTS, account_id);
}

void control_notify_queue(const char *state_dir)
{
	send_to_server(state_dir, CONTROL_QUEUE, 0);
}

bool control_is_served(const char *state_dir)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* A socket whose process has ended refuses. */
	bool is = fd >= 0 && control_address(state_dir, &address) &&
		  connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return is;
}
