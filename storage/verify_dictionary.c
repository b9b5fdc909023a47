/* storage/verify_dictionary.c - each dictionary stands in the store twice. One without a good copy takes
 * all texts with it that were compressed with it: they would seem to be damaged one by one, and a repair
 * would put them all aside, so the check ends there. Runs in the admin's process. */
#include "storage/dictionary_priv.h"
#include "storage/verify_priv.h"

static enum err mend(struct write *write, struct fix *fix)
{
	return dictionary_mend(write, (uint16_t)fix->number);
}

static void lost(struct verify *v, uint16_t number)
{
	struct verify_place nowhere = { 0 };
	verify_tell(
		v, LOST_DICTIONARY, &nowhere, NULL,
		"dictionary %u is lost, without which the texts of many messages cannot be read",
		number);
	v->err = ERR_DAMAGED;
}

void verify_lost_dictionary(struct verify *v, uint16_t number)
{
	if (v->lost_dictionary == number)
		lost(v, number);
	v->lost_dictionary = number;
}

static void check(struct verify *v, uint16_t number)
{
	bool good[DICTIONARY_COPIES];
	struct dictionary_row row;
	struct verify_place nowhere = { 0 };
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++)
		good[copy] = dictionary_copy_is_good(verify_read(v), number, copy, &row);
	if (good[0] && good[1])
		return;
	if (read_failure(verify_read(v)) != ERR_OK) {
		v->err = read_failure(verify_read(v));
	} else if (good[0] || good[1]) {
		struct fix fix = { .run = mend, .number = number };
		verify_tell(v, WRONG_DICTIONARY, &nowhere, &fix,
			    "one of the two copies of dictionary %u is damaged", number);
	} else {
		verify_tell(
			v, LOST_DICTIONARY, &nowhere, NULL,
			"dictionary %u is lost, without which the texts of many messages cannot "
			"be read",
			number);
		v->err = ERR_DAMAGED;
	}
}

void verify_dictionaries(struct verify *v)
{
	struct dictionary_row last;
	uint16_t count = dictionary_last(verify_read(v), &last);
	for (uint16_t number = 1; number <= count && v->err == ERR_OK; number++)
		check(v, number);
}
