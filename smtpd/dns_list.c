/* smtpd/dns_list.c - DNS block and allow lists as data (RFC 5782 sections 2.1 and 2.3). Runs in
 * the front.
 *
 * A list that will not answer a public resolver, or one that asks too often, says so by an answer
 * that would be taken for "listed" by who does not look: 127.255.255.x (Spamhaus and others),
 * 127.0.0.255 (DNSWL), 127.0.0.1 (URIBL; no list may use it for more, since RFC 5782 section 5
 * wants it never listed). A zone that was given up often answers everything with the address of
 * some web server. */
#include "smtpd/dns_list_priv.h"

#include "base/cursor.h"

static const struct network all_answers = { .address = { 127 }, .family = 4, .prefix_bits = 8 };

static bool take_list(struct slice word, struct dns_list *list_out)
{
	size_t colon = slice_find_byte(word, 0, ':');
	size_t equals = slice_find_byte(slice_sub(word, 0, colon), 0, '=');
	struct slice weight = slice_sub(word, colon + 1, word.len);
	struct dns_list list = { slice_sub(word, 0, equals), all_answers, 1 };
	uint64_t number;

	if (weight.len > 0) {
		bool is_good = weight.ptr[0] == '-';
		if (!slice_to_u64(slice_sub(weight, is_good, weight.len), 1000, &number))
			return false;
		list.weight = is_good ? -(int)number : (int)number;
	}
	if (equals < colon &&
	    !network_parse(slice_sub(word, equals + 1, colon - equals - 1), &list.answers))
		return false;
	*list_out = list;
	return dns_name_is_valid(list.zone);
}

bool dns_list_next(struct slice *rest, struct dns_list *list_out)
{
	while ((*rest = slice_trim(*rest)).len > 0) {
		size_t len = slice_find_byte(*rest, 0, ' '), tab = slice_find_byte(*rest, 0, '\t');
		struct slice word = slice_sub(*rest, 0, len < tab ? len : tab);
		*rest = slice_sub(*rest, word.len, rest->len);
		if (take_list(word, list_out))
			return true;
	}
	return false;
}

static bool is_refusal(const uint8_t *a)
{
	if (a[0] != 127 || (a[1] == 255 && a[2] == 255))
		return true;
	return a[1] == 0 && a[2] == 0 && (a[3] == 1 || a[3] == 255);
}

enum dns_list_meaning dns_list_meaning(const struct dns_list *list,
				       const struct dns_record *records, size_t count)
{
	enum dns_list_meaning meaning = DNS_LIST_SAYS_NO;

	for (size_t i = 0; i < count; i++) {
		if (records[i].address.family != 4)
			continue;
		if (is_refusal(records[i].address.address))
			return DNS_LIST_REFUSES_US;
		if (network_contains(&list->answers, &records[i].address))
			meaning = DNS_LIST_SAYS_YES;
	}
	return meaning;
}
