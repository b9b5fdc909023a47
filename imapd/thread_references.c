/* imapd/thread_references.c - THREAD=REFERENCES. In the back, on a worker.
 *
 * RFC 5256 section 3; the steps' numbers are the RFC's. No table is hashed, since whoever sends
 * mail could choose what collides: Message-IDs and subjects become numbers by sorting. Nothing
 * recurses, since a thread may be as deep as the mailbox has messages. */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/collect_priv.h"

enum {
	ANCESTORS_MAX =
		1000, /* that are looked at for a loop; where there are more, no link is made */
};

struct node {
	struct collected *item; /* NULL: a dummy */
	struct node *parent;
	/* once threads are built */
	struct node *first_child, *next;
	struct node *top;  /* of a dummy: the real or topmost node that stands for it */
	size_t subject;	   /* number of the thread subject; 0: it is empty */
	size_t root;	   /* its place among the roots, in step 5 */
	bool has_children; /* while links are made: some node has it as its parent */
	bool is_merged;
};

/* A text and what bears it, to be sorted. */
struct named {
	struct slice name;
	size_t order; /* of equal names the first in the mailbox comes first */
	size_t *number_out;
};
static int compare_named(const void *x, const void *y)
{
	const struct named *a = x, *b = y;
	int order = slice_compare(a->name, b->name);
	return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Numbers the distinct names from 1 on; returns how many there are. */
static size_t number_names(struct named *names, size_t count)
{
	size_t numbers = 0;
	if (count > 0)
		qsort(names, count, sizeof(*names), compare_named);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !slice_eq(names[i].name, names[i - 1].name))
			numbers++;
		*names[i].number_out = numbers;
	}
	return numbers;
}

struct threader {
	struct collection *c;
	struct arena arena;
	size_t **ids;	     /* by item: the numbers of its ids; [0] its own, 0: none */
	struct node **by_id; /* by number */
	struct node *nodes;  /* by item */
	struct node **roots;
	size_t root_count;
};

/* ---- step 1: links ---- */

static void number_ids(struct threader *t)
{
	struct collection *c = t->c;
	size_t total = 0, at = 0;
	for (size_t i = 0; i < c->count; i++)
		total += c->items[i].id_count;
	struct named *names = heap_alloc_array(total + 1, sizeof(*names));
	t->ids = arena_alloc_array(&t->arena, c->count, sizeof(*t->ids));
	for (size_t i = 0; i < c->count; i++) {
		struct collected *item = &c->items[i];
		t->ids[i] = arena_alloc_array(&t->arena, item->id_count, sizeof(**t->ids));
		for (size_t k = 0; k < item->id_count; k++)
			if (item->ids[k].is_there)
				names[at++] =
					(struct named){ slice_of(item->ids[k].fingerprint,
								 sizeof(item->ids[k].fingerprint)),
							i, &t->ids[i][k] };
	}
	size_t count = number_names(names, at);
	free(names);
	t->by_id = arena_alloc_array(&t->arena, count + 1, sizeof(struct node *));
}

/* Of messages with the same Message-ID only the first has it. */
static void make_nodes(struct threader *t)
{
	t->nodes = arena_alloc_array(&t->arena, t->c->count, sizeof(*t->nodes));
	for (size_t i = 0; i < t->c->count; i++) {
		size_t id = t->ids[i][0];
		t->nodes[i].item = &t->c->items[i];
		if (id != 0 && !t->by_id[id])
			t->by_id[id] = &t->nodes[i];
	}
}

static struct node *node_of(struct threader *t, size_t id)
{
	if (!t->by_id[id])
		t->by_id[id] = arena_alloc(&t->arena, sizeof(struct node));
	return t->by_id[id];
}

static bool makes_loop(const struct node *parent, const struct node *child)
{
	unsigned steps = 0;
	if (parent == child)
		return true;
	if (!child->has_children)
		return false;
	for (const struct node *n = parent->parent; n; n = n->parent)
		if (n == child || ++steps == ANCESTORS_MAX)
			return true;
	return false;
}

static void set_parent(struct node *child, struct node *parent)
{
	child->parent = parent;
	parent->has_children = true;
}

static void link_references(struct threader *t, size_t i)
{
	struct node *self = &t->nodes[i], *before = NULL;
	for (size_t k = 1; k < t->c->items[i].id_count; k++) {
		struct node *reference = node_of(t, t->ids[i][k]);
		if (before && !reference->parent && !makes_loop(before, reference))
			set_parent(reference, before);
		before = reference;
	}
	/* 1.B: the last reference is the parent, whatever has been before. */
	self->parent = NULL;
	if (before && !makes_loop(before, self))
		set_parent(self, before);
}

/* ---- steps 2 and 3: roots, without dummies below them ---- */

/* The nearest real ancestor, or the topmost dummy; NULL: there is no ancestor. */
static struct node *ancestor_of(struct node *node)
{
	struct node *top = node->parent;
	while (top && !top->item && !top->top && top->parent)
		top = top->parent;
	if (top && top->top)
		top = top->top;
	for (struct node *n = node->parent; n && n != top && !n->item && !n->top; n = n->parent)
		n->top = top;
	return top;
}

static void add_child(struct node *parent, struct node *child)
{
	child->parent = parent;
	child->next = parent->first_child;
	parent->first_child = child;
}

/* All ancestors are found before any link is changed. */
static void build_trees(struct threader *t)
{
	size_t count = t->c->count;
	struct node **ancestors = arena_alloc_array(&t->arena, count, sizeof(*ancestors));
	for (size_t i = 0; i < count; i++)
		ancestors[i] = ancestor_of(&t->nodes[i]);
	t->roots = arena_alloc_array(&t->arena, count, sizeof(struct node *));
	for (size_t i = 0; i < count; i++) {
		struct node *parent = ancestors[i];
		if (!parent) {
			t->roots[t->root_count++] = &t->nodes[i];
			continue;
		}
		if (!parent->item && !parent->first_child)
			t->roots[t->root_count++] = parent;
		add_child(parent, &t->nodes[i]);
	}
	for (size_t i = 0; i < t->root_count; i++) {
		struct node *root = t->roots[i];
		if (!root->item && !root->first_child->next) {
			t->roots[i] = root->first_child;
			root = t->roots[i];
		}
		root->parent = NULL;
	}
}

/* ---- steps 4 and 6: order ---- */

/* A dummy's first child stands for it. */
static const struct collected *item_of(const struct node *node)
{
	return node->item ? node->item : node->first_child->item;
}

static int compare_nodes(const void *x, const void *y)
{
	return collected_compare_sent(item_of(*(struct node *const *)x),
				      item_of(*(struct node *const *)y));
}

static void sort_children(struct node *parent)
{
	size_t count = 0, at = 0;
	for (struct node *n = parent->first_child; n; n = n->next)
		count++;
	if (count < 2)
		return;
	struct node **children = heap_alloc_array(count, sizeof(struct node *));
	for (struct node *n = parent->first_child; n; n = n->next)
		children[at++] = n;
	qsort(children, count, sizeof(struct node *), compare_nodes);
	parent->first_child = NULL;
	while (at-- > 0)
		add_child(parent, children[at]);
	free(children);
}

static void sort_all(struct threader *t)
{
	for (size_t i = 0; i < t->c->count; i++)
		sort_children(&t->nodes[i]);
	for (size_t i = 0; i < t->root_count; i++)
		if (!t->roots[i]->item)
			sort_children(t->roots[i]);
	if (t->root_count > 1)
		qsort(t->roots, t->root_count, sizeof(struct node *), compare_nodes);
}

/* ---- step 5: threads of the same subject ---- */

static bool is_reply(const struct node *node)
{
	return node->item && node->item->is_reply;
}

/* 5.A and 5.B */
static struct node **make_subject_table(struct threader *t)
{
	struct named *names = arena_alloc_array(&t->arena, t->root_count, sizeof(*names));
	size_t count = 0;
	for (size_t i = 0; i < t->root_count; i++) {
		struct slice subject = item_of(t->roots[i])->subject;
		t->roots[i]->root = i;
		if (subject.len > 0)
			names[count++] = (struct named){ subject, i, &t->roots[i]->subject };
	}
	count = number_names(names, count);
	struct node **table = arena_alloc_array(&t->arena, count + 1, sizeof(struct node *));
	for (size_t i = 0; i < t->root_count; i++) {
		struct node *node = t->roots[i], **row = &table[node->subject];
		if (node->subject == 0)
			continue;
		if (!*row || ((*row)->item && (!node->item || (is_reply(*row) && !is_reply(node)))))
			*row = node;
	}
	return table;
}

/* A dummy takes the place of `node` among the roots, with it as its child. */
static struct node *put_dummy_above(struct threader *t, struct node *node)
{
	struct node *dummy = arena_alloc(&t->arena, sizeof(*dummy));
	*dummy = *node;
	dummy->item = NULL;
	dummy->first_child = NULL;
	t->roots[node->root] = dummy;
	add_child(dummy, node);
	return dummy;
}

/* 5.C */
static void merge(struct threader *t, struct node **row, struct node *node)
{
	struct node *into = *row;
	if (!into->item && !node->item) {
		while (node->first_child) {
			struct node *child = node->first_child;
			node->first_child = child->next;
			add_child(into, child);
		}
	} else if (!into->item || (is_reply(node) && !is_reply(into))) {
		add_child(into, node);
	} else {
		*row = into = put_dummy_above(t, into);
		add_child(into, node);
	}
	node->is_merged = true;
}

static void merge_subjects(struct threader *t)
{
	struct node **table = make_subject_table(t);
	for (size_t i = 0; i < t->root_count; i++) {
		struct node *node = t->roots[i];
		if (node->subject != 0 && table[node->subject] != node)
			merge(t, &table[node->subject], node);
	}
	size_t kept = 0;
	for (size_t i = 0; i < t->root_count; i++)
		if (!t->roots[i]->is_merged)
			t->roots[kept++] = t->roots[i];
	t->root_count = kept;
}

/* ---- the response ---- */

/* "(3 6 (4 23)(44 7 96))". Goes down by first_child; on the way up it closes what it opened:
 * an only child stands in its parent's list, siblings have one each. */
static void put_tree(struct buffer *out, const struct node *root)
{
	const struct node *node = root;
	buffer_add_byte(out, '(');
	for (;;) {
		if (node->item)
			buffer_add_u64(out, node->item->number);
		if (node->first_child) {
			if (node->item)
				buffer_add_byte(out, ' ');
			node = node->first_child;
			if (node->next)
				buffer_add_byte(out, '(');
			continue;
		}
		while (node != root && !node->next) {
			if (node->parent->first_child != node)
				buffer_add_byte(out, ')');
			node = node->parent;
		}
		if (node == root)
			break;
		buffer_add_cstr(out, ")(");
		node = node->next;
	}
	buffer_add_byte(out, ')');
}

void thread_references(struct collection *collection, struct buffer *out)
{
	struct threader t = { .c = collection };
	number_ids(&t);
	make_nodes(&t);
	for (size_t i = 0; i < collection->count; i++)
		link_references(&t, i);
	build_trees(&t);
	sort_all(&t);
	merge_subjects(&t);
	sort_all(&t); /* merging has added children and roots */
	for (size_t i = 0; i < t.root_count; i++)
		put_tree(out, t.roots[i]);
	arena_fini(&t.arena);
}
