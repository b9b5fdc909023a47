/* tests/fuzz/smtp_session.c - an SMTP or LMTP session, with a back that answers as the input says.
 *
 * The first octet says which service it is, whether a PROXY header comes first, and whether there are
 * limits and a resolver. The rest is cut at octets of 0x80 and above: each tells what happens before
 * the next piece is fed (an answer of the back or of DNS, credit, news), all others are what the
 * client sends; 0x1f and the octet behind it are one that has its high bit set.
 *
 * Whatever is said, the back never gets a message to commit in which a CR or LF is not part of a
 * CRLF, but for the body of one that was announced as binary. */
#include <assert.h>

#include "runtime/proxy.h"

#include "tests/unit/smtpd/fake_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct front front;
static struct smtp_session *session;
static struct buffer unread;
static enum step last_step;

static void drive(void)
{
	struct cursor in = cursor_of(buffer_slice(&unread));
	size_t left = cursor_left(&in);

	last_step = session_drive(&session->session, &in);
	buffer_drop_front(&unread, left - cursor_left(&in));
	assert(last_step != STEP_AGAIN);
	/* Waiting has a reason that goes away: a job, or output to be sent. */
	assert(last_step != STEP_WAIT || session->session.job_out ||
	       session_out_is_full(&session->session));
	buffer_clear(&session->session.out);
	if (session->session.wants_tls) {
		session->session.wants_tls = false;
		session_wake_news(&session->session, NEWS_SECURED);
	}
}

static void on_woken(struct session *s)
{
	drive();
}

/* No program that reads it can see another end in it than we did. */
static void check_content(void)
{
	struct transaction_message message;
	struct slice content = buffer_slice(&fake.content);

	assert(transaction_decode(buffer_slice(&fake.envelope), &message));
	if (message.envelope.body == ENVELOPE_BINARYMIME)
		return;
	for (size_t i = 0; i < content.len; i++) {
		if (content.ptr[i] == '\r')
			assert(i + 1 < content.len && content.ptr[i + 1] == '\n');
		if (content.ptr[i] == '\n')
			assert(i > 0 && content.ptr[i - 1] == '\r');
	}
}

static void answer(uint8_t how)
{
	if (fake.asked == MESSAGE_TRANSACTION && fake.is_committed)
		check_content();
	switch (fake.asked) {
	case MESSAGE_RECIPIENT:
		fake_verdict((enum recipient_verdict)(how % RECIPIENT_VERDICT_COUNT));
		break;
	case MESSAGE_AUTHENTICATE: fake_authenticated(how % 3 ? ERR_DENIED : ERR_OK); break;
	default:
		if (how % 4 == 0)
			fake_filed((enum err)(how / 4 % (ERR_VERSION + 1)));
		else if (fake.unanswered_octets > 0)
			fake_credit((uint32_t)fake.unanswered_octets);
		break;
	}
}

/* ---- DNS: questions wait here until the input answers them ---- */

enum { QUESTIONS_MAX = 64 };
static struct {
	struct dns_question *question;
	enum dns_type type;
} asked[QUESTIONS_MAX];
static size_t asked_count;

void resolver_ask(struct resolver *resolver, struct loop *loop, struct dns_question *question,
		  enum dns_type type, struct slice name, uint64_t timeout_ms)
{
	assert(resolver && name.len <= 1000 && timeout_ms > 0);
	assert(asked_count < QUESTIONS_MAX);
	for (size_t i = 0; i < asked_count; i++)
		assert(asked[i].question != question);
	asked[asked_count].question = question;
	asked[asked_count++].type = type;
}

static void forget_question(size_t at)
{
	for (asked_count--; at < asked_count; at++)
		asked[at] = asked[at + 1];
}

void resolver_cancel(struct dns_question *question)
{
	for (size_t i = 0; i < asked_count; i++)
		if (asked[i].question == question) {
			forget_question(i);
			return;
		}
}

/* The first or the last of those that wait. */
static void answer_dns(uint8_t how)
{
	static const enum dns_outcome outcomes[] = { DNS_FOUND, DNS_NODATA, DNS_NXDOMAIN,
						     DNS_FAILED };
	size_t at = (how & 8) ? asked_count - 1 : 0;
	struct dns_question *question = asked[at].question;
	struct dns_record record = {
		.address = { .address = { 127, 0, 0, 2 }, .family = 4 },
		.name = (how & 4) ? SLICE("") : SLICE("mail.client.example"),
		.data = SLICE("because\x01 of \xff"),
	};
	struct dns_answer answer = { .outcome = outcomes[how & 3] };

	/* The client's own, so that its name is confirmed. */
	if (asked[at].type == DNS_A && (how & 4))
		memcpy(record.address.address, session->client.peer.address, 4);
	if (answer.outcome == DNS_FOUND) {
		answer.records = &record;
		answer.count = 1;
	}
	forget_question(at);
	question->answered(question, &answer);
}

static void happen(uint8_t what)
{
	fake.is_away = false;
	if (what >= 0xe0 && what < 0xf0 && asked_count > 0) {
		answer_dns(what & 0x0f);
		return;
	}
	if (what == 0xff)
		fake_die();
	else if (what == 0xfe)
		session_wake_news(&session->session, NEWS_TIMEOUT);
	else if (what == 0xfd)
		session_wake_news(&session->session, NEWS_SHUTDOWN);
	else if (fake.question)
		answer(what & 0x3f);
}

static void prepare(void)
{
	static const char text[] = "[server]\nhostname = mx.example.org\nstate_dir = /nowhere\n"
				   "[limits]\nmessage_size = 64 KiB\nrecipients = 100\n"
				   "unknown_recipients_per_hour = 3\nerrors_per_hour = 8\n"
				   "messages_per_minute = 3\ncommands_per_minute = 40\n"
				   "[smtp]\nxclient = 192.0.2.0/24\ngreet_wait = 0\n"
				   "dns_lists = bl.example wl.example=127.0.0.2/31:-3\n";
	if (front.config)
		return;
	log_set_level(LOG_ERROR);
	front.config = config_parse("fuzz", slice_cstr(text), stderr);
	assert(front.config);
}

/* The client's octets up to the next event. */
static size_t take_said(const uint8_t *data, size_t at, size_t size)
{
	for (; at < size && data[at] < 0x80; at++) {
		uint8_t octet = data[at];
		if (octet == 0x1f && at + 1 < size)
			octet = data[++at] | 0x80;
		buffer_add_byte(&unread, octet);
	}
	return at;
}

/* As serve/ does it: the header, and nothing behind it. False: no session. */
static bool take_proxy_header(const uint8_t *data, size_t *at, size_t size, struct peer *peer)
{
	size_t from = *at, more = 0;

	for (;;) {
		struct slice header = slice_of(data + from, *at - from);
		enum proxy_header result = proxy_header_take(header, &more, peer);
		if (result != PROXY_PARTIAL)
			return result == PROXY_WHOLE;
		if (*at == size)
			return false;
		*at += more < size - *at ? more : size - *at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum config_service services[] = { SERVICE_SMTP, SERVICE_SUBMISSION,
							SERVICE_SUBMISSIONS, SERVICE_LMTP };
	struct peer peer = { .address = { 192, 0, 2, 7 }, .family = 4 };
	size_t at = 1;

	prepare();
	if (size == 0 || ((data[0] & 0x40) && !take_proxy_header(data, &at, size, &peer)))
		return 0;
	/* As before there was LMTP, so that old findings stay what they were. */
	enum config_service service = services[(data[0] & 0x20) ? 3 : data[0] % 3];
	front.limits = (data[0] & 0x08) ? limits_new(front.config, 16) : NULL;
	/* Only asked whether it is there. */
	front.resolver = (data[0] & 0x10) ? (struct resolver *)&front : NULL;
	session = smtp_session_new(&front, service, &peer, service == SERVICE_SUBMISSIONS);
	session->session.woken = on_woken;
	/* Only asked whether it is there. */
	session->session.tls = (struct tls_context *)&front;
	last_step = STEP_INPUT;
	drive();
	for (; at < size && last_step != STEP_CLOSE; at++) {
		at = take_said(data, at, size);
		drive();
		if (at < size && last_step != STEP_CLOSE)
			happen(data[at]);
	}
	/* The client leaves; a job comes home first, of the back or of DNS. */
	session->session.woken = NULL;
	while (session->session.job_out && asked_count > 0)
		answer_dns(3);
	if (session->session.job_out)
		fake_die();
	buffer_free(&session->session.out);
	session->session.class->free(&session->session);
	assert(!fake.question && asked_count == 0);
	limits_free(&front.limits);
	buffer_free(&unread);
	fake_reset();
	return 0;
}
