/* serve/orders.c - the orders as octets. Runs in all three processes. */
#include "serve/orders_priv.h"

#include "base/octets.h"

void start_order_encode(const struct start_order *order, struct buffer *out)
{
	buffer_add_be32(out, order->user.uid);
	buffer_add_be32(out, order->user.gid);
	buffer_add_be16(out, (uint16_t)order->loops);
	buffer_add_byte(out, order->kill_violators);
}

bool start_order_decode(struct slice payload, struct start_order *order_out)
{
	struct cursor c = cursor_of(payload);
	uint32_t uid, gid;
	uint16_t loops;
	uint8_t kill_violators;
	if (!take_be32(&c, &uid) || !take_be32(&c, &gid) || !take_be16(&c, &loops) ||
	    !take_u8(&c, &kill_violators) || !at_end(&c) || loops == 0)
		return false;
	*order_out = (struct start_order){
		.user = { uid, gid },
		.loops = loops,
		.kill_violators = kill_violators != 0,
	};
	return true;
}

void listener_order_encode(unsigned loop, enum config_service service, struct buffer *out)
{
	buffer_add_be16(out, (uint16_t)loop);
	buffer_add_byte(out, (uint8_t)service);
}

bool listener_order_decode(struct slice payload, unsigned *loop_out,
			   enum config_service *service_out)
{
	struct cursor c = cursor_of(payload);
	uint16_t loop;
	uint8_t service;
	if (!take_be16(&c, &loop) || !take_u8(&c, &service) || !at_end(&c) ||
	    service >= SERVICE_COUNT)
		return false;
	*loop_out = loop;
	*service_out = (enum config_service)service;
	return true;
}

void program_order_encode(uint32_t uid, struct slice user, struct buffer *out)
{
	buffer_add_be32(out, uid);
	buffer_add(out, user);
}

bool program_order_decode(struct slice payload, uint32_t *uid_out, struct slice *user_out)
{
	struct cursor c = cursor_of(payload);
	if (!take_be32(&c, uid_out))
		return false;
	*user_out = cursor_rest(&c);
	return true;
}

void link_order_encode(unsigned loop, struct buffer *out)
{
	buffer_add_be16(out, (uint16_t)loop);
}

bool link_order_decode(struct slice payload, unsigned *loop_out)
{
	struct cursor c = cursor_of(payload);
	uint16_t loop;
	if (!take_be16(&c, &loop) || !at_end(&c))
		return false;
	*loop_out = loop;
	return true;
}
