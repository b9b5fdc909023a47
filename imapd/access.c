/* imapd/access.c - mailboxes of others: their names here, and who may do what. In the back.
 *
 * RFC 4314 section 4; RFC 2342 and RFC 9051 section 6.3.10 (namespaces). What others have shared is
 * found by an index (storage/acl.h), so LIST costs nothing where nothing is shared. A mailbox of
 * which one may not know is answered as one that does not exist. Left out: groups of users as
 * identifiers; \Seen of one's own in another's mailbox: flags are shared, as section 5.2 allows. */
#include "imapd/access_priv.h"

#include <stdlib.h>

#include "mail/text.h"
#include "storage/account.h"
#include "storage/mailbox.h"
#include "storage/message.h"

/* '/' separates levels, so it stands in no account's name here; ':' is in few. */
enum { SEPARATOR_IN_LOGIN = ':' };

static const struct slice others = SLICE(NAMESPACE_OTHERS), shared = SLICE(NAMESPACE_SHARED);
static const struct slice inbox = SLICE("INBOX");

/* ---- names ---- */

/* "Other Users/bob@example.org"; empty where the account cannot be named. */
static struct slice prefix_of(const struct account *account, struct arena *arena)
{
	struct slice login = account->login;
	if (slice_find_byte(login, 0, SEPARATOR_IN_LOGIN) < login.len)
		return SLICE_NONE;
	struct slice top = account->flags & ACCOUNT_IS_SHARED ? shared : others;
	char *prefix = arena_format(arena, "%.*s/%.*s", SLICE_ARG(top), SLICE_ARG(login));
	for (char *at = prefix + top.len + 1; *at; at++)
		if (*at == MAILBOX_SEPARATOR)
			*at = SEPARATOR_IN_LOGIN;
	return slice_cstr(prefix);
}

static struct slice name_below(struct slice prefix, struct slice name, struct arena *arena)
{
	if (slice_eq(name, inbox))
		return prefix;
	return slice_cstr(arena_format(arena, "%.*s/%.*s", SLICE_ARG(prefix), SLICE_ARG(name)));
}

/* "Other Users/" login ["/" name], or "Shared/". */
static bool split(struct slice name, struct arena *arena, bool *is_shared_out,
		  struct slice *login_out, struct slice *rest_out)
{
	if (!mailbox_name_is_others(name))
		return false;
	size_t top = slice_find_byte(name, 0, MAILBOX_SEPARATOR);
	*is_shared_out = slice_eq(slice_sub(name, 0, top), shared);
	size_t end = slice_find_byte(name, top + 1, MAILBOX_SEPARATOR);
	struct slice level = text_compose(slice_sub(name, top + 1, end - top - 1), arena);
	char *login = arena_string(arena, level);
	for (char *at = login; *at; at++)
		if (*at == SEPARATOR_IN_LOGIN)
			*at = MAILBOX_SEPARATOR;
	*login_out = slice_of((const uint8_t *)login, level.len);
	*rest_out = end < name.len ? slice_sub(name, end + 1, name.len) : SLICE_NONE;
	return true;
}

enum err access_place_of(struct read *read, uint32_t account_id, struct slice name,
			 struct arena *arena, struct access_place *place_out)
{
	bool is_shared;
	struct slice login, rest;
	struct account account;
	*place_out = (struct access_place){ account_id, name };
	if (!split(name, arena, &is_shared, &login, &rest))
		return ERR_OK;
	/* One's own of that name, from a time before there were namespaces, is not to be lost. */
	struct mailbox *own = arena_alloc(arena, sizeof(*own));
	enum err err = mailbox_find(read, account_id, name, arena, own);
	if (err != ERR_NOT_FOUND)
		return err;
	err = account_find(read, login, arena, &account);
	if (err != ERR_OK)
		return err;
	/* Each mailbox has one name: none through another name of a domain, or of one's own. */
	if (account.account_id == account_id || !slice_eq(account.login, login) ||
	    is_shared != ((account.flags & ACCOUNT_IS_SHARED) != 0) || slice_eq(rest, inbox))
		return ERR_NOT_FOUND;
	place_out->owner_id = account.account_id;
	place_out->name = rest.len > 0 ? rest : inbox;
	return ERR_OK;
}

void access_rename(struct read *read, uint32_t account_id, struct mailbox *mailbox,
		   struct arena *arena)
{
	struct account account;
	if (mailbox->account_id == account_id ||
	    account_get(read, mailbox->account_id, arena, &account) != ERR_OK)
		return;
	mailbox->name = name_below(prefix_of(&account, arena), mailbox->name, arena);
}

/* ---- rights ---- */

enum err access_judge(unsigned rights, unsigned needs)
{
	if (needs == 0 ? (rights & RIGHTS_TO_KNOW) != 0 : (rights & needs) == needs)
		return ERR_OK;
	return rights & RIGHT_LOOKUP ? ERR_DENIED : ERR_NOT_FOUND;
}

enum err access_find(struct read *read, uint32_t account_id, struct slice name, unsigned needs,
		     struct arena *arena, struct mailbox *mailbox_out, unsigned *rights_out)
{
	struct access_place place;
	unsigned rights = 0;
	enum err err = access_place_of(read, account_id, name, arena, &place);
	if (err == ERR_OK)
		err = mailbox_find(read, place.owner_id, place.name, arena, mailbox_out);
	if (err == ERR_OK) {
		rights = acl_rights(read, account_id, place.owner_id, mailbox_out->mailbox_id);
		err = access_judge(rights, needs);
		if (slice_eq(mailbox_out->name, place.name))
			mailbox_out->name = name;
		else
			access_rename(read, account_id, mailbox_out, arena);
	}
	if (rights_out)
		*rights_out = rights;
	return err;
}

bool access_may_create(struct read *read, uint32_t account_id, const struct access_place *place)
{
	struct arena arena = { 0 };
	struct mailbox *above = arena_alloc(&arena, sizeof(*above));
	enum err err = ERR_NOT_FOUND;
	bool may = place->owner_id == account_id;
	struct slice name = place->name;
	while (!may && err == ERR_NOT_FOUND && !slice_eq(name, inbox)) {
		size_t end = name.len;
		while (end > 0 && name.ptr[end - 1] != MAILBOX_SEPARATOR)
			end--;
		/* As others see it, INBOX is above all. */
		name = end > 0 ? slice_sub(name, 0, end - 1) : inbox;
		err = mailbox_find(read, place->owner_id, name, &arena, above);
	}
	if (!may && err == ERR_OK)
		may = acl_rights(read, account_id, place->owner_id, above->mailbox_id) &
		      RIGHT_CREATE;
	arena_fini(&arena);
	return may;
}

struct flags_withheld access_withheld(unsigned rights)
{
	const uint8_t others_flags = FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT;
	return (struct flags_withheld){
		.flags = (uint8_t)((rights & RIGHT_SEEN ? 0 : FLAG_SEEN) |
				   (rights & RIGHT_DELETE_MESSAGES ? 0 : FLAG_DELETED) |
				   (rights & RIGHT_WRITE ? 0 : others_flags)),
		.keywords = !(rights & RIGHT_WRITE),
	};
}

/* ---- what is shared ---- */

static int compare_rows(const void *a, const void *b)
{
	const struct access_row *left = a, *right = b;
	return slice_compare(left->name, right->name);
}

/* Rows come in order of owner: this is the next one. */
static enum access_wanted begin_owner(struct access_gathering *g, struct read *read,
				      uint32_t owner_id)
{
	struct account account;
	enum access_wanted wanted = ACCESS_WANTED;
	arena_reset(&g->of_owner);
	g->owner_id = owner_id;
	g->looked_of_owner = 0;
	g->prefix = SLICE_NONE;
	if (account_get(read, owner_id, &g->of_owner, &account) == ERR_OK)
		g->prefix = prefix_of(&account, &g->of_owner);
	if (g->prefix.len > 0 && g->wants_owner)
		wanted = g->wants_owner(g, read, owner_id, g->prefix);
	if (wanted == ACCESS_NOT_WANTED)
		g->prefix = SLICE_NONE;
	if (wanted == ACCESS_WANTED_LATER)
		g->owner_id = 0; /* nobody's: it is asked again */
	return wanted;
}

static void list_add(struct access_gathering *g, const struct access_row *row)
{
	struct access_list *list = &g->list;
	if (list->count == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 16;
		struct access_row *rows = arena_alloc_array(g->arena, g->cap, sizeof(*rows));
		if (list->count > 0)
			memcpy(rows, list->rows, list->count * sizeof(*rows));
		list->rows = rows;
	}
	list->rows[list->count++] = *row;
}

static void look_at_row(struct access_gathering *g, struct read *read)
{
	struct access_row row = { .owner_id = g->at.owner_id, .mailbox_id = g->at.mailbox_id };
	row.rights = acl_rights(read, g->account_id, row.owner_id, row.mailbox_id);
	if (!(row.rights & g->rights))
		return;
	arena_reset(&g->scratch);
	struct mailbox *mailbox = arena_alloc(&g->scratch, sizeof(*mailbox));
	if (mailbox_get(read, row.mailbox_id, &g->scratch, mailbox) != ERR_OK)
		return;
	row.name = arena_copy(g->arena, name_below(g->prefix, mailbox->name, &g->scratch));
	list_add(g, &row);
}

enum err access_gather_on(struct access_gathering *g, struct read *read)
{
	enum { ROWS_AT_A_TIME = 64 };
	for (unsigned i = 0; i < ROWS_AT_A_TIME && !g->is_whole; i++) {
		struct acl_shared next;
		if (g->looked == ACCESS_LIST_MAX ||
		    !acl_shared_next(read, g->account_id, &g->at, &next)) {
			g->is_whole = true;
			break;
		}
		if (next.owner_id != g->owner_id &&
		    begin_owner(g, read, next.owner_id) == ACCESS_WANTED_LATER)
			break;
		g->at = next;
		g->looked++;
		if (g->prefix.len > 0 && ++g->looked_of_owner <= ACCESS_LIST_MAX_OF_OWNER)
			look_at_row(g, read);
		else
			g->at.mailbox_id = UINT64_MAX; /* on to the next one's */
	}
	if (g->is_whole && g->list.count > 0)
		qsort(g->list.rows, g->list.count, sizeof(*g->list.rows), compare_rows);
	return read_failure(read);
}

void access_gathering_fini(struct access_gathering *g)
{
	arena_fini(&g->scratch);
	arena_fini(&g->of_owner);
}

/* How many rows there are up to `name`, with it. */
static size_t count_up_to(const struct access_list *list, struct slice name)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_compare(list->rows[middle].name, name) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct access_row *access_list_next(const struct access_list *list, struct slice after)
{
	size_t at = count_up_to(list, after);
	return at < list->count ? &list->rows[at] : NULL;
}

const struct access_row *access_list_find(const struct access_list *list, struct slice name)
{
	size_t at = count_up_to(list, name);
	return at > 0 && slice_eq(list->rows[at - 1].name, name) ? &list->rows[at - 1] : NULL;
}
