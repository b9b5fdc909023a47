/* admin/sendmail.c - bode sendmail, also as a program named sendmail: how cron and programs of this
 * machine send mail. Options as Sendmail 8 and Postfix have them; those that change nothing here are
 * taken in silence, as programs give them without need. Exit codes are those of sysexits.h.
 *
 * Who may write to the store (root, the store's owner) files the message there, with or without a
 * running server. Everybody else hands it to the running server, over the socket of [listen] sendmail,
 * where the kernel says who he is. Nothing is kept where neither works: the program hears of it by
 * EX_TEMPFAIL.
 *
 * Names without a domain get [addresses] origin. One that is no address here but a user of the
 * machine, as root and www-data are, stands for the postmaster.
 *
 * Left out: a queue of its own, and the daemons and tests of -bd and -bt. */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/sendmail_priv.h"
#include "base/heap.h"
#include "mail/header.h"
#include "mda/sender.h"

struct wishes {
	const char *sender;    /* -f; NULL: the user */
	const char *full_name; /* -F; NULL: the user's */
	bool from_header;      /* -t: the recipients as well */
	bool dots_are_text;    /* -i: a line of one dot ends nothing */
	bool is_dialog;	       /* -bs */
	bool is_done;	       /* nothing is to be sent: -bi */
	bool is_listing;       /* -bp */
};

void sendmail_refused(struct outgoing_recipient *recipient, int status, const char *format, ...)
{
	va_list args;

	recipient->status = status;
	fprintf(stderr, "sendmail: %.*s: ", SLICE_ARG(recipient->path));
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void sendmail_refuse_all(struct outgoing *outgoing, int status, const char *why)
{
	for (size_t i = 0; i < outgoing->recipient_count; i++)
		if (outgoing->recipients[i].status == EX_OK)
			sendmail_refused(&outgoing->recipients[i], status, "%s", why);
}

/* ---- addresses ---- */

static struct slice qualify(struct admin *admin, struct slice local, struct slice domain)
{
	struct address address = { local, domain };
	if (domain.len == 0)
		address.domain = slice_cstr(sender_origin(admin->config));
	else if (!domain_normalise(domain, &admin->arena, &address.domain))
		address.domain = domain; /* the server will say what is wrong with it */
	return address_format(&address, &admin->arena);
}

/* Of a name without a domain, as users of the machine have. */
static bool is_name_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' || c == '.' ||
	       c == '+';
}

static void add_one(struct outgoing *outgoing, struct slice local, struct slice domain)
{
	struct admin *admin = outgoing->admin;
	struct outgoing_recipient recipient = { .path = qualify(admin, local, domain) };

	for (size_t i = 0; i < outgoing->recipient_count; i++)
		if (slice_eq(outgoing->recipients[i].path, recipient.path))
			return;
	if (domain.len == 0 && getpwnam(arena_string(&admin->arena, local)))
		recipient.fallback = slice_cstr(
			arena_format(&admin->arena, "postmaster@%s", admin->config->hostname));
	if (outgoing->recipient_count == outgoing->recipient_cap) {
		outgoing->recipient_cap = outgoing->recipient_cap ? 2 * outgoing->recipient_cap : 8;
		outgoing->recipients =
			heap_resize(outgoing->recipients,
				    outgoing->recipient_cap * sizeof(*outgoing->recipients));
	}
	outgoing->recipients[outgoing->recipient_count++] = recipient;
}

bool outgoing_add_path(struct outgoing *outgoing, struct cursor *path)
{
	struct cursor c = *path;
	struct address address;
	struct slice name;

	if (take_forward_path(&c, &outgoing->admin->arena, &address)) {
		add_one(outgoing, address.local, address.domain);
	} else if (take_byte(&c, '<') && take_while(&c, is_name_octet, &name) &&
		   take_byte(&c, '>')) {
		add_one(outgoing, name, SLICE(""));
	} else {
		return false;
	}
	*path = c;
	return true;
}

/* Adds those of an address list (RFC 5322 section 3.4); names without a domain get ours. */
static void outgoing_add(struct outgoing *outgoing, struct slice list)
{
	size_t count;
	const struct header_address *addresses =
		address_list_parse(list, &outgoing->admin->arena, &count);

	for (size_t i = 0; i < count; i++)
		if (addresses[i].host.ptr && addresses[i].mailbox.len > 0)
			add_one(outgoing, addresses[i].mailbox, addresses[i].host);
}

void outgoing_reset(struct outgoing *outgoing)
{
	free(outgoing->recipients);
	outgoing->recipients = NULL;
	outgoing->recipient_count = outgoing->recipient_cap = 0;
}

/* -f ADDRESS, "name", "<>" or "". What is neither is seen at the end, by outgoing_send(). */
static struct slice reverse_path_of(struct admin *admin, const char *text)
{
	struct slice trimmed = slice_trim(slice_cstr(text));
	size_t count;
	const struct header_address *list = address_list_parse(trimmed, &admin->arena, &count);

	if (slice_eq(trimmed, SLICE("<>")))
		return SLICE("");
	return count > 0 && list[0].mailbox.len > 0 ? qualify(admin, list[0].mailbox, list[0].host)
						    : trimmed;
}

static struct slice user_address(struct admin *admin)
{
	const struct passwd *user = getpwuid(getuid());
	const char *name = user ? user->pw_name
				: arena_format(&admin->arena, "uid%lu", (unsigned long)getuid());
	return qualify(admin, arena_copy(&admin->arena, slice_cstr(name)), SLICE(""));
}

/* ---- the message ---- */

/* CRLF at the end of every line, also of a last one that had none. */
static void add_lines(struct slice text, struct buffer *lines)
{
	for (size_t i = 0; i < text.len; i++) {
		bool is_end = text.ptr[i] == '\n' || text.ptr[i] == '\r';
		if (text.ptr[i] == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n')
			i++;
		if (is_end)
			buffer_add_cstr(lines, "\r\n");
		else
			buffer_add_byte(lines, text.ptr[i]);
	}
	if (text.len > 0 && text.ptr[text.len - 1] != '\n' && text.ptr[text.len - 1] != '\r')
		buffer_add_cstr(lines, "\r\n");
}

/* The first line makes the difference: words that are no field are the body. */
static bool has_header(struct slice text)
{
	size_t end = slice_find_byte(text, 0, '\n');
	return header_line_kind(slice_sub(text, 0, end + 1)) == HEADER_LINE_FIELD;
}

static struct slice without_mbox_line(struct slice text)
{
	if (text.len >= 5 && memcmp(text.ptr, "From ", 5) == 0)
		return slice_sub(text, slice_find_byte(text, 0, '\n') + 1, text.len);
	return text;
}

struct slice outgoing_author(const struct outgoing *outgoing)
{
	return outgoing->reverse_path.len > 0 ? outgoing->reverse_path
					      : user_address(outgoing->admin);
}

static const char *full_name; /* of a From that is missing; NULL: none */

/* With the full name, which nobody else knows. */
static void add_from(struct outgoing *outgoing, struct buffer *message)
{
	buffer_add_cstr(message, "From: \"");
	for (const char *c = full_name; *c; c++) {
		if (*c == '"' || *c == '\\')
			buffer_add_byte(message, '\\');
		if (!iscntrl((unsigned char)*c))
			buffer_add_byte(message, (uint8_t)*c);
	}
	buffer_add_cstr(message, "\" <");
	buffer_add(message, outgoing_author(outgoing));
	buffer_add_cstr(message, ">\r\n");
}

/* As it is handed over: header and body told apart, with CRLF. */
static void prepare(struct outgoing *outgoing, struct slice text, struct buffer *message)
{
	struct header_field field;

	text = without_mbox_line(text);
	bool is_headed = has_header(text);
	if (full_name && full_name[0] && (!is_headed || !header_find(text, SLICE("From"), &field)))
		add_from(outgoing, message);
	if (!is_headed && !(text.len > 0 && (text.ptr[0] == '\n' || text.ptr[0] == '\r')))
		buffer_add_cstr(message, "\r\n");
	add_lines(text, message);
}

static bool is_address(struct outgoing *outgoing, struct slice path)
{
	struct address address;
	return address_parse(path, &outgoing->admin->arena, &address);
}

/* Nothing that is no address gets into an envelope. False: nobody is left to write to. */
static bool check_addresses(struct outgoing *outgoing)
{
	size_t good_count = 0;

	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		struct outgoing_recipient *recipient = &outgoing->recipients[i];
		recipient->status = EX_OK;
		if (is_address(outgoing, recipient->path))
			good_count++;
		else
			sendmail_refused(recipient, EX_DATAERR, "this is no mail address");
	}
	if (outgoing->reverse_path.len > 0 && !is_address(outgoing, outgoing->reverse_path)) {
		fputs("sendmail: the sender is no mail address; write -f name@domain\n", stderr);
		return false;
	}
	return good_count > 0;
}

int outgoing_send(struct outgoing *outgoing, struct slice text)
{
	struct buffer message = { 0 };
	int status = EX_OK;

	if (!check_addresses(outgoing))
		return EX_DATAERR;
	prepare(outgoing, text, &message);
	if (sendmail_may_store(outgoing->admin))
		sendmail_by_store(outgoing, buffer_slice(&message));
	else
		sendmail_by_socket(outgoing, buffer_slice(&message));
	buffer_free(&message);
	/* Who may try again shall, even if that cannot help all. */
	for (size_t i = 0; i < outgoing->recipient_count; i++)
		if (status == EX_OK || outgoing->recipients[i].status == EX_TEMPFAIL)
			status = outgoing->recipients[i].status;
	return status;
}

/* Standard input to its end, or to a line of one dot. */
static int read_message(const struct wishes *wishes, uint64_t size_max_octets, struct buffer *text)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int status = EX_OK;

	while (status == EX_OK && (len = getline(&line, &cap, stdin)) > 0) {
		if (!wishes->dots_are_text && line[0] == '.' &&
		    (len == 1 || line[1] == '\n' || line[1] == '\r'))
			break;
		buffer_add(text, slice_of(line, (size_t)len));
		if (text->len > size_max_octets) {
			fputs("sendmail: the message is larger than [limits] message_size\n",
			      stderr);
			status = EX_DATAERR;
		}
	}
	if (ferror(stdin)) {
		fprintf(stderr, "sendmail: standard input cannot be read: %s\n", strerror(errno));
		status = EX_NOINPUT;
	}
	free(line);
	return status;
}

static void add_header_recipients(struct outgoing *outgoing, struct slice text)
{
	struct cursor c = cursor_of(without_mbox_line(text));
	struct header_field field;

	if (!has_header(cursor_rest(&c)))
		return;
	while (take_header_field(&c, &field))
		if (slice_eq_nocase(field.name, SLICE("To")) ||
		    slice_eq_nocase(field.name, SLICE("Cc")) ||
		    slice_eq_nocase(field.name, SLICE("Bcc")))
			outgoing_add(outgoing, field.value);
}

/* ---- the command ---- */

/* -oi and the like: "i" is -i, others say how a daemon should behave. */
static int take_mode(struct wishes *wishes, const char *mode)
{
	switch (mode[0]) {
	case 'm': return EX_OK;
	case 's': wishes->is_dialog = true; return EX_OK;
	case 'i': wishes->is_done = true; return EX_OK; /* newaliases: they are at once */
	case 'p': wishes->is_listing = true; return EX_OK;
	default: fprintf(stderr, "sendmail: there is no -b%s here\n", mode); return EX_USAGE;
	}
}

static int take_options(struct admin *admin, int argc, char **argv, struct wishes *wishes)
{
	int option, status = EX_OK;

	opterr = 0;
	optind = 0;
	while (status == EX_OK && (option = getopt(argc, argv,
						   "+A:B:C:D:F:GIL:N:O:R:UV:X:b:d:e:f:h:im"
						   "no:p:q::r:tvx")) != -1) {
		switch (option) {
		case 'C': admin->config_path = optarg; break;
		case 'F': wishes->full_name = optarg; break;
		case 'I': wishes->is_done = true; break;
		case 'b': status = take_mode(wishes, optarg); break;
		case 'f':
		case 'r': wishes->sender = optarg; break;
		case 'i': wishes->dots_are_text = true; break;
		case 'o': wishes->dots_are_text |= optarg[0] == 'i' && optarg[1] == '\0'; break;
		case 't': wishes->from_header = true; break;
		case 'q':
			fputs("sendmail: the server runs its queue by itself\n", stderr);
			status = EX_USAGE;
			break;
		case '?':
			fprintf(stderr, "sendmail: -%c is not understood\n", optopt);
			status = EX_USAGE;
			break;
		default: break; /* of no consequence here */
		}
	}
	return status;
}

/* mailq: as `bode queue list` has it. */
static int list_queue(struct admin *admin)
{
	char name[] = "list";
	char *argv[] = { name, NULL };

	if (!sendmail_may_store(admin)) {
		fputs("sendmail: only root may see what waits to be sent\n", stderr);
		return EX_NOPERM;
	}
	optind = 0;
	return admin_queue_list(admin, 1, argv) == EXIT_SUCCESS ? EX_OK : EX_UNAVAILABLE;
}

static int send_message(struct outgoing *outgoing, const struct wishes *wishes, int argc,
			char **argv)
{
	struct buffer text = { 0 };

	for (int i = optind; i < argc; i++)
		outgoing_add(outgoing, slice_cstr(argv[i]));
	if (!wishes->from_header && outgoing->recipient_count == 0) {
		fputs("sendmail: there are no recipients: name them, or give -t to take them from "
		      "the header\n",
		      stderr);
		return EX_USAGE;
	}
	int status = read_message(wishes, outgoing->admin->config->message_size_octets, &text);
	if (status == EX_OK && wishes->from_header)
		add_header_recipients(outgoing, buffer_slice(&text));
	if (status == EX_OK && outgoing->recipient_count == 0) {
		fputs("sendmail: the header names no recipients\n", stderr);
		status = EX_DATAERR;
	}
	if (status == EX_OK)
		status = outgoing_send(outgoing, buffer_slice(&text));
	buffer_free(&text);
	return status;
}

int admin_sendmail(struct admin *admin, int argc, char **argv)
{
	struct wishes wishes = { 0 };
	struct outgoing outgoing = { .admin = admin };
	int status = take_options(admin, argc, argv, &wishes);
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];

	wishes.is_listing |= strcmp(name, "mailq") == 0;
	wishes.is_done |= strcmp(name, "newaliases") == 0;
	if (status != EX_OK || wishes.is_done)
		return status;
	if (!admin_read_config(admin))
		return EX_CONFIG;
	if (wishes.is_listing)
		return list_queue(admin);
	full_name = wishes.full_name;
	outgoing.reverse_path =
		wishes.sender ? reverse_path_of(admin, wishes.sender) : user_address(admin);
	status = wishes.is_dialog ? sendmail_dialog(&outgoing, admin->config->message_size_octets)
				  : send_message(&outgoing, &wishes, argc, argv);
	outgoing_reset(&outgoing);
	return status;
}
