/* smtpd/sender.c - does the sender's domain take mail, so that somebody can be told of a failure?
 * (RFC 5321 section 5.1 says where mail for it would go, RFC 7505 what "nowhere" looks like.) Runs
 * in the front.
 *
 * Only what DNS says for certain counts, and it is told with 4xx: a name may be missing for an
 * hour. Where DNS fails nobody is refused. */
#include "mail/address.h"
#include "smtpd/session_priv.h"

enum { PATIENCE_MS = 10 * 1000 };

static void ask(struct smtp_session *s, enum dns_type type)
{
	struct smtp_sender *sender = &s->sender;
	sender->asked = type;
	sender->question.stranger = &s->client.peer;
	resolver_ask(s->front->resolver, s->front->loop, &sender->question, type, sender->domain,
		     PATIENCE_MS);
}

static bool is_null_mx(const struct dns_answer *answer)
{
	return answer->count == 1 && answer->records[0].name.len == 0;
}

static void on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct smtp_session *s = CONTAINER_OF(question, struct smtp_session, sender.question);
	struct smtp_sender *sender = &s->sender;

	switch (answer->outcome) {
	case DNS_FOUND:
		if (sender->asked == DNS_MX && is_null_mx(answer))
			sender->refusal = REPLY_SENDER_TAKES_NONE;
		break;
	case DNS_NODATA:
		if (sender->asked != DNS_AAAA) {
			ask(s, sender->asked == DNS_MX ? DNS_A : DNS_AAAA);
			return;
		}
		sender->refusal = REPLY_SENDER_UNRESOLVED;
		break;
	case DNS_NXDOMAIN: sender->refusal = REPLY_SENDER_UNRESOLVED; break;
	case DNS_BOGUS:
	case DNS_FAILED: break;
	}
	session_job_end(&s->session); /* may free s */
}

bool smtp_sender_ask(struct smtp_session *s, struct slice domain)
{
	struct smtp_sender *sender = &s->sender;

	*sender = (struct smtp_sender){ .question.answered = on_answer, .refusal = REPLY_NONE };
	if (s->front->config->sender_domain == SENDER_DOMAIN_ANY || !s->front->resolver ||
	    s->service != SERVICE_SMTP || limits_trusts(s->front->limits, &s->client.peer) ||
	    !domain_normalise(domain, &s->transaction.arena, &sender->domain))
		return false;
	ask(s, DNS_MX);
	return true;
}
