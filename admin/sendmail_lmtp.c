/* admin/sendmail_lmtp.c - a program's message to the running server, by LMTP (RFC 2033): for users of
 * the machine who have no access to the store. The server says what it takes, recipient by recipient. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/sendmail_priv.h"
#include "runtime/dial.h"

enum { TIMEOUT_SECONDS = 300, REPLY_MAX_OCTETS = 4096 };

struct lmtp {
	FILE *stream;
	char text[REPLY_MAX_OCTETS]; /* of the last reply's last line, with its code */
};

static int connect_local(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* To the first that answers. False: `why_out` says what is missing. */
static bool lmtp_connect(struct lmtp *lmtp, const struct config *config, const char **why_out)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
	int fd = -1;

	*why_out = "only root may send mail here, since [listen] lmtp of the configuration is off";
	for (size_t i = 0; fd < 0 && i < config->listen_count; i++) {
		const struct config_listen *listen = &config->listens[i];
		if (listen->service != SERVICE_LMTP)
			continue;
		*why_out = "the server cannot be reached; does it run?";
		const char *ignored;
		fd = listen->port == 0 ? connect_local(listen->address)
				       : dial_tcp(listen->address, listen->port, 10000, &ignored);
	}
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	lmtp->stream = fdopen(fd, "r+");
	return lmtp->stream != NULL;
}

/* The code of the next reply; 0: the connection is gone. */
static int read_reply(struct lmtp *lmtp)
{
	do {
		if (!fgets(lmtp->text, sizeof(lmtp->text), lmtp->stream) ||
		    strlen(lmtp->text) < 4) {
			snprintf(lmtp->text, sizeof(lmtp->text), "the server has hung up");
			return 0;
		}
	} while (lmtp->text[3] == '-');
	lmtp->text[strcspn(lmtp->text, "\r\n")] = '\0';
	fseek(lmtp->stream, 0, SEEK_CUR); /* between reading and writing */
	return atoi(lmtp->text);
}

static int say(struct lmtp *lmtp, const char *format, ...) PRINTF_LIKE(2, 3);
static int say(struct lmtp *lmtp, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(lmtp->stream, format, args);
	va_end(args);
	fputs("\r\n", lmtp->stream);
	return fflush(lmtp->stream) == 0 ? read_reply(lmtp) : 0;
}

static int status_of(const struct lmtp *lmtp, int code)
{
	if (code >= 200 && code < 300)
		return EX_OK;
	if (code == 0 || code < 500)
		return EX_TEMPFAIL;
	return strncmp(lmtp->text, "550 5.1.1", 9) == 0 ? EX_NOUSER : EX_UNAVAILABLE;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 0x80)
			return false;
	return true;
}

static void refuse(struct lmtp *lmtp, struct outgoing_recipient *recipient, int code)
{
	sendmail_refused(recipient, status_of(lmtp, code), "%s", lmtp->text);
}

static void refuse_rest(struct lmtp *lmtp, struct outgoing *outgoing, int code)
{
	for (size_t i = 0; i < outgoing->recipient_count; i++)
		if (outgoing->recipients[i].status == EX_OK)
			refuse(lmtp, &outgoing->recipients[i], code);
}

/* Dots doubled (RFC 5321 section 4.5.2). */
static void write_content(FILE *stream, struct slice message)
{
	for (size_t at = 0; at < message.len;) {
		size_t end = slice_find_byte(message, at, '\n');
		if (message.ptr[at] == '.')
			fputc('.', stream);
		end = end < message.len ? end + 1 : end;
		fwrite(message.ptr + at, 1, end - at, stream);
		at = end;
	}
	fputs(".\r\n", stream);
}

static void transact(struct lmtp *lmtp, struct outgoing *outgoing, struct slice message)
{
	const char *hostname = outgoing->admin->config->hostname;
	bool has_utf8 = !is_ascii(outgoing->reverse_path);
	size_t accepted = 0;
	int code;

	for (size_t i = 0; i < outgoing->recipient_count; i++)
		has_utf8 |= !is_ascii(outgoing->recipients[i].path);
	code = read_reply(lmtp);
	if (code == 220)
		code = say(lmtp, "LHLO %s", hostname);
	if (code == 250)
		code = say(lmtp, "MAIL FROM:<%.*s>%s%s", SLICE_ARG(outgoing->reverse_path),
			   is_ascii(message) ? "" : " BODY=8BITMIME", has_utf8 ? " SMTPUTF8" : "");
	if (code != 250) {
		refuse_rest(lmtp, outgoing, code);
		return;
	}
	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		struct outgoing_recipient *recipient = &outgoing->recipients[i];
		code = say(lmtp, "RCPT TO:<%.*s>", SLICE_ARG(recipient->path));
		if (code >= 500 && recipient->fallback.len > 0)
			code = say(lmtp, "RCPT TO:<%.*s>", SLICE_ARG(recipient->fallback));
		if (code / 100 == 2)
			accepted++;
		else
			refuse(lmtp, recipient, code);
	}
	if (accepted == 0)
		return;
	code = say(lmtp, "DATA");
	if (code != 354) {
		refuse_rest(lmtp, outgoing, code);
		return;
	}
	write_content(lmtp->stream, message);
	fflush(lmtp->stream);
	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		if (outgoing->recipients[i].status != EX_OK)
			continue;
		code = read_reply(lmtp);
		if (code / 100 != 2)
			refuse(lmtp, &outgoing->recipients[i], code);
	}
	say(lmtp, "QUIT");
}

void sendmail_by_lmtp(struct outgoing *outgoing, struct slice message)
{
	struct lmtp lmtp = { .stream = NULL };
	const char *why;

	if (lmtp_connect(&lmtp, outgoing->admin->config, &why)) {
		transact(&lmtp, outgoing, message);
		fclose(lmtp.stream);
		return;
	}
	snprintf(lmtp.text, sizeof(lmtp.text), "%s", why);
	refuse_rest(&lmtp, outgoing, 0);
}
