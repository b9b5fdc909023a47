/* imapd/notify_feed.c - the news of one account, on their way from the store to the client of a NOTIFY:
 * taken from its watch before what they tell of is read, so that the reading knows all of it.
 * In the back. */
#include "imapd/notify_priv.h"

static void account_changed(struct watch *watch)
{
	struct notify_feed *feed = CONTAINER_OF(watch, struct notify_feed, watch);
	feed->has_news = true;
	notify_wake(feed->notify);
}

void notify_feed_begin(struct notify_feed *feed, struct notify *notify, uint32_t account_id)
{
	feed->notify = notify;
	feed->watch = (struct watch){ .changed = account_changed,
				      .loop = notify->s->session.loop,
				      .account_id = account_id,
				      .keeps_news = true,
				      .same_as = &notify->own.watch };
	watch_begin(notify->s->back->store, &feed->watch);
	feed->is_begun = true;
}

void notify_feed_end(struct notify_feed *feed)
{
	if (!feed->is_begun)
		return;
	watch_end(feed->notify->s->back->store, &feed->watch);
	buffer_free(&feed->news);
	*feed = (struct notify_feed){ 0 };
}

static unsigned kinds_of(struct slice records)
{
	struct watch_news news;
	struct cursor at = cursor_of(records);
	unsigned kinds = 0;
	while (watch_news_next(&at, &news))
		kinds |= news.kinds;
	return kinds;
}

unsigned notify_feed_take(struct notify_feed *feed)
{
	if (!feed->has_news)
		return 0;
	if (!notify_feed_is_told(feed)) {
		feed->notify->has_news = true; /* later: it stays in the watch, within its bounds */
		return 0;
	}
	feed->has_news = false;
	buffer_free(&feed->news);
	feed->told_octets = 0;
	watch_take_news(feed->notify->s->back->store, &feed->watch, &feed->news);
	return kinds_of(buffer_slice(&feed->news));
}

bool notify_feed_is_told(const struct notify_feed *feed)
{
	return feed->told_octets == feed->news.len;
}

bool notify_feed_next(struct notify_feed *feed, struct watch_news *news_out)
{
	struct slice untold =
		slice_sub(buffer_slice(&feed->news), feed->told_octets, feed->news.len);
	struct cursor at = cursor_of(untold);
	if (!watch_news_next(&at, news_out)) {
		buffer_free(&feed->news);
		feed->told_octets = 0;
		return false;
	}
	feed->told_octets = feed->news.len - cursor_left(&at);
	return true;
}
