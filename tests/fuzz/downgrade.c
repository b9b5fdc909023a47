/* tests/fuzz/downgrade.c - messages for servers that take less than there is in them: each part decodes
 * to what it was, and nothing is left that such a server may not be given.
 *
 * The first octet's lowest bit is the form; the others say how the result is read. */
#include "tests/unit/mail/downgraded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	downgraded_check(slice_of(data + 1, size - 1),
			 data[0] & 1 ? DOWNGRADE_TO_8BIT : DOWNGRADE_TO_7BIT,
			 1 + (size_t)(data[0] >> 1) * 16);
	return 0;
}
