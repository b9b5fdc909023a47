/* imapd/search_options.c - RETURN (...). In the back.
 *
 * RFC 9051 section 6.4.4, RFC 4731, RFC 5182 (SAVE), RFC 9394 (PARTIAL), RFC 5267 (CONTEXT,
 * UPDATE), RFC 5465 section 7 (UPDATE with data items). */
#include "imapd/search_options_priv.h"

#include "base/attributes.h"
#include "base/buffer.h"
#include "imapd/fetch_items_priv.h"

bool take_partial_range(struct cursor *at, struct partial_range *range_out)
{
	struct cursor c = *at;
	struct partial_range range = { .from_end = next_is(&c, '-') };
	if (range.from_end && !take_byte(&c, '-'))
		return false;
	if (!take_nz_number(&c, &range.first) || !take_byte(&c, ':') ||
	    (range.from_end && !take_byte(&c, '-')) || !take_nz_number(&c, &range.last))
		return false;
	*range_out = range;
	*at = c;
	return true;
}

void respond_partial_range(struct buffer *out, const struct partial_range *range)
{
	const char *sign = range->from_end ? "-" : "";
	buffer_add_format(out, "%s%u:%s%u", sign, range->first, sign, range->last);
}

bool partial_range_clip(const struct partial_range *range, uint64_t total, uint64_t *first_out,
			uint64_t *last_out)
{
	uint64_t low = range->first < range->last ? range->first : range->last;
	uint64_t high = range->first < range->last ? range->last : range->first;
	if (low > total)
		return false;
	if (high > total)
		high = total;
	*first_out = range->from_end ? total - high + 1 : low;
	*last_out = range->from_end ? total - low + 1 : high;
	return true;
}

/* ["(" fetch-att *(SP fetch-att) ")"]; the examples have a space before it. */
static bool take_update_items(struct cursor *c, struct arena *arena, struct search_options *options)
{
	struct cursor ahead = *c;
	struct fetch_items items;
	(void)take_space(&ahead);
	if (!next_is(&ahead, '('))
		return true;
	const uint8_t *start = ahead.at;
	if (!take_fetch_list(&ahead, arena, &items))
		return false;
	options->update_items = slice_of(start, (size_t)(ahead.at - start));
	*c = ahead;
	return true;
}

static bool take_option(struct cursor *c, struct arena *arena, struct search_options *options)
{
	static const struct {
		const char *word;
		unsigned option;
	} words[] = {
		{ "MIN", RETURN_MIN },	       { "MAX", RETURN_MAX },	{ "ALL", RETURN_ALL },
		{ "COUNT", RETURN_COUNT },     { "SAVE", RETURN_SAVE }, { "UPDATE", RETURN_UPDATE },
		{ "CONTEXT", RETURN_CONTEXT },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!take_keyword(c, words[i].word))
			continue;
		options->returns |= words[i].option;
		return words[i].option != RETURN_UPDATE || take_update_items(c, arena, options);
	}
	if ((options->returns & RETURN_PARTIAL) || !take_keyword(c, "PARTIAL") || !take_space(c) ||
	    !take_partial_range(c, &options->partial))
		return false;
	options->returns |= RETURN_PARTIAL;
	return true;
}

bool take_search_options(struct cursor *at, struct arena *arena, struct search_options *options_out)
{
	struct cursor c = *at;
	struct search_options options = { 0 };
	*options_out = options;
	if (!take_keyword(&c, "RETURN"))
		return true;
	if (!take_space(&c) || !take_byte(&c, '('))
		return false;
	if (!next_is(&c, ')'))
		do {
			if (!take_option(&c, arena, &options))
				return false;
		} while (take_space(&c));
	/* One of the two: RFC 9394 section 3.1. */
	if ((options.returns & RETURN_PARTIAL) && (options.returns & RETURN_ALL))
		return false;
	if (!take_byte(&c, ')') || !take_space(&c))
		return false;
	if ((options.returns & ~(unsigned)RETURN_CONTEXT) == 0)
		options.returns |= RETURN_ALL;
	*options_out = options;
	*at = c;
	return true;
}
