/* tests/fuzz/sasl.c - SASL exchanges: the first octet chooses the mechanism, the lines that follow
 * are the client's responses, in base64 or (second octet odd) as they are. */
#include <assert.h>

#include "auth/password.h"
#include "auth/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_complete(const struct sasl *sasl)
{
	assert(sasl->login.len > 0 && sasl->login.len <= 255);
	assert(sasl->authorize_as.len <= 255);
	assert(sasl->password.len > 0 && sasl->password.len <= PASSWORD_MAX_OCTETS);
	assert(slice_find_byte(sasl->login, 0, '\0') == sasl->login.len);
	assert(slice_find_byte(sasl->password, 0, '\0') == sasl->password.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { NULL };
	struct sasl sasl;
	if (size < 2)
		return 0;
	sasl_begin(&sasl, data[0] & 1 ? SASL_PLAIN : SASL_LOGIN);
	bool plain_text = data[1] & 1;
	struct slice rest = slice_of(data + 2, size - 2);
	enum sasl_step step = SASL_CHALLENGE;
	for (unsigned rounds = 0; step == SASL_CHALLENGE; rounds++) {
		struct slice challenge;
		size_t end = slice_find_byte(rest, 0, '\n');
		struct slice response = slice_sub(rest, 0, end);
		rest = slice_sub(rest, end + 1, rest.len);
		step = plain_text ? sasl_answer(&sasl, response, &arena, &challenge)
				  : sasl_answer_base64(&sasl, response, &arena, &challenge);
		assert(rounds < 2);
		if (step == SASL_COMPLETE)
			check_complete(&sasl);
		else if (step == SASL_MALFORMED)
			assert(sasl.mechanism == SASL_NONE && sasl.password.len == 0);
	}
	arena_wipe(&arena);
	return 0;
}
