/* tests/fuzz/header.c - fields cover a header without gaps, parameters hold what was there. */
#include "mail/header.h"
#include "tests/unit/mail/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_value(struct slice value)
{
	struct arena arena = { 0 };
	size_t count;
	struct slice text = header_unfold(value, &arena);
	assert(text.ptr && text.len <= value.len);
	structure_check_text(text);
	struct mime_parameter *list = mime_parameters_parse(text, &arena, &count);
	assert(count <= MIME_MAX_PARAMETERS);
	for (size_t i = 0; i < count; i++) {
		assert(list[i].name.len > 0);
		structure_check_text(list[i].name);
		structure_check_text(list[i].value);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_of(data, size);
	size_t end = header_end(message);
	assert(end <= size);
	/* Cut off there, the header ends there again. */
	struct slice header = slice_sub(message, 0, end);
	assert(header_end(header) == end);
	struct cursor c = cursor_of(message), alone = cursor_of(header);
	struct header_field field, same;
	while (take_header_field(&c, &field)) {
		assert(take_header_field(&alone, &same) && slice_eq(field.whole, same.whole));
		assert(field.name.len > 0 && field.name.ptr == field.whole.ptr);
		assert(field.whole.ptr + field.whole.len == c.at);
		assert(field.value.ptr + field.value.len == c.at);
		assert(header_find(header, field.name, &same) && same.whole.ptr <= field.whole.ptr);
		try_value(field.value);
	}
	assert(!take_header_field(&alone, &same));
	try_value(message);
	return 0;
}
