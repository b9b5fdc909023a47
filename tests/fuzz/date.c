/* tests/fuzz/date.c - a date that is understood comes back from its own text. */
#include <assert.h>

#include "mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int64_t moment)
{
	char text[DATE_TEXT_OCTETS];
	int64_t back;
	int32_t day;
	date_format(moment, text);
	/* A zone may carry a date of the first or last year beyond it. */
	if (moment >= -2208988800 && moment <= 253402300799) {
		assert(date_parse(slice_cstr(text), &back) && back == moment);
		assert(date_parse_day(slice_cstr(text), &day) && day == date_day(moment));
	}
	imap_date_format(moment, text);
	struct cursor c = cursor_of(slice_cstr(text));
	assert(take_imap_date_time(&c, &back) && at_end(&c));
	if (moment >= -62167219200 && moment <= 253402300799)
		assert(back == moment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	int64_t moment;
	int32_t day;
	if (date_parse(text, &moment)) {
		assert(date_parse_day(text, &day));
		check(moment);
	}
	struct cursor c = cursor_of(text);
	if (take_imap_date_time(&c, &moment))
		check(moment);
	else
		assert(c.at == text.ptr);
	c = cursor_of(text);
	if (!take_imap_date(&c, &day))
		assert(c.at == text.ptr);
	if (size >= 8) {
		memcpy(&moment, data, 8);
		check(moment);
	}
	return 0;
}
