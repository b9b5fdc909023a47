/* smtpd/serve.c - binds SMTP sessions to their streams. Runs in the front. */
#include "smtpd/smtpd.h"

#include "smtpd/session_priv.h"

void smtpd_start(struct front *front, struct stream *stream, enum config_service service)
{
	bool secure = stream_is_secure(stream);
	struct smtp_session *s = smtp_session_new(front, service, stream_peer(stream), secure);
	char peer[PEER_TEXT_MAX];

	peer_format(&s->client.peer, peer);
	log_info(&s->session.log, EVENT("connected"), CSTR("peer", peer),
		 WORD("service", config_service_name(service)));
	stream_set_idle_ms(stream, front->config->idle_smtp_seconds * UINT64_C(1000));
	session_start(&s->session, stream, front->tls);
}
