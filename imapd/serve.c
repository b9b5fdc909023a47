/* imapd/serve.c - binds a session to its stream. In the back. */
#include "imapd/imapd.h"

#include "imapd/session_priv.h"
#include "runtime/way_back.h"

/* session_start() gives the stream its own events before the loop turns. */
static const struct stream_events no_events;

void imapd_session_start(struct back *back, int fd, const struct session_message *message,
			 uint32_t account_id, struct way_back *way_back, uint32_t conversation)
{
	struct session *session = imap_session_new(back, message, account_id);
	struct imap_session *s = CONTAINER_OF(session, struct imap_session, session);
	s->way_back = way_back_hold(way_back);
	s->conversation = conversation;
	struct stream *stream = stream_new(back->loop, fd, &no_events, NULL);
	stream_set_peer(stream, &message->client.peer);
	stream_set_idle_ms(stream, (uint64_t)back->config->idle_imap_seconds * 1000);
	log_info(&session->log, EVENT("imap-session"), NUM("account", account_id),
		 WORD("tls", message->client.secure ? "yes" : "no"));
	session_start(session, stream, NULL);
}
