/* mail/downgrade.c - what has to be done to a message before a server takes it that has no 8BITMIME or
 * BINARYMIME: the tree of parts gone through, each body looked at, each step noted (RFC 6152 section 3,
 * RFC 3030 section 3, RFC 2045 section 6, RFC 2046 section 5). Runs in the back.
 *
 *   a body that fits        stays as it is, and is labelled for what it is
 *   a text                  quoted-printable, or base64 where that is shorter or it has NUL
 *   anything else           base64
 *   what is encoded, badly  decoded and encoded anew: an encoding is never put around another
 *   multipart, message      labelled anew, and gone into: they may not be encoded themselves
 *   message/global          encoded as a whole where something in it cannot be converted (RFC 6532
 *                           section 3.7), such as its header
 *   multipart/signed        what is signed stays as it is, or nothing goes (RFC 1847 section 2.1)
 *   preamble, epilogue      left out where they do not fit; nobody is to read them
 *
 * Whether a body fits is asked of its octets, not of its label. Left out: header fields in UTF-8 made
 * ASCII (RFC 6857 does that for POP3 and IMAP alone), and the length of their lines. */
#include "mail/downgrade_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "mail/header.h"
#include "mail/mime_priv.h"

enum {
	BOUNDARY_MAX_OCTETS = 900, /* of one that is written anew; RFC 2046 allows 70 */
	/* An encoded body of so many octets has at least this part of them when it is decoded. */
	NOTHING_ABOVE_OCTETS = 64 * 1024,
	NOTHING_FACTOR = 16,
};

struct planner {
	struct downgrade *plan;
	const struct downgrade_source *source;
	enum downgrade_form form;
	enum err err;
	enum downgrade_verdict verdict; /* DOWNGRADE_PLANNED while nothing speaks against it */
	uint64_t at;			/* what lies before has its steps */
	uint64_t size_octets;		/* of what they give */
	size_t encoded;
	bool is_changed; /* by more than labels "8bit" */
	bool leaves_header;
	bool is_cut;	   /* parts beyond MIME_MAX_PARTS may lie in an epilogue */
	bool is_in_global; /* the message/global around it will be encoded, if need be */
	struct slice open[MIME_MAX_DEPTH]; /* boundaries of the multiparts around it */
	int open_count;
	struct buffer header; /* of the part that is looked at */
	struct buffer text;   /* that a step makes */
};

static bool plan_part(struct planner *p, const struct mime_part *part, bool in_digest,
		      bool is_message, int depth);

static bool fail(struct planner *p, enum downgrade_verdict verdict)
{
	p->verdict = verdict;
	return false;
}

static bool fail_err(struct planner *p, enum err err)
{
	p->err = err;
	return false;
}

/* ---- looking ---- */

static bool get(struct planner *p, uint64_t at, uint64_t max, struct slice *piece_out)
{
	enum err err = chunk_reader_get(&p->plan->reader, p->source, at, max, piece_out);
	return err == ERR_OK || fail_err(p, err);
}

static bool scan_stretch(struct planner *p, uint64_t end, struct scan *scan_out)
{
	struct slice piece;
	*scan_out = (struct scan){ .line_octets = 0 };
	for (uint64_t at = p->at; at < end; at += piece.len) {
		if (!get(p, at, end - at, &piece))
			return false;
		scan_octets(scan_out, piece);
	}
	scan_end(scan_out);
	return true;
}

static bool fits(const struct planner *p, const struct scan *scan)
{
	return !scan->has_nul && !scan->has_bare && !scan->has_long &&
	       !(scan->has_8bit && p->form != DOWNGRADE_TO_8BIT);
}

static bool read_header(struct planner *p, const struct mime_part *part, struct scan *scan_out)
{
	struct slice piece;
	buffer_clear(&p->header);
	*scan_out = (struct scan){ .line_octets = 0 };
	if (part->body_start - p->at > MIME_MAX_HEADER_OCTETS)
		return fail(p, DOWNGRADE_LIMIT);
	for (uint64_t at = p->at; at < part->body_start; at += piece.len) {
		if (!get(p, at, part->body_start - at, &piece))
			return false;
		buffer_add(&p->header, piece);
	}
	scan_octets(scan_out, buffer_slice(&p->header));
	scan_end(scan_out);
	return true;
}

/* ---- steps ---- */

static struct step *add_step(struct planner *p, enum step_kind kind, uint64_t end)
{
	struct downgrade *plan = p->plan;
	if (plan->step_count == plan->step_cap) {
		plan->step_cap = plan->step_cap ? plan->step_cap * 2 : 16;
		plan->steps = heap_resize(plan->steps, plan->step_cap * sizeof(*plan->steps));
	}
	assert(plan->steps);
	struct step *step = &plan->steps[plan->step_count++];
	*step = (struct step){ .start = p->at, .end = end, .kind = (uint8_t)kind };
	p->at = end;
	return step;
}

static void add_copy(struct planner *p, uint64_t end)
{
	struct downgrade *plan = p->plan;
	struct step *last = plan->step_count > 0 ? &plan->steps[plan->step_count - 1] : NULL;
	p->size_octets += end - p->at;
	if (last && last->kind == STEP_COPY) {
		last->end = end;
		p->at = end;
	} else if (end > p->at) {
		add_step(p, STEP_COPY, end);
	}
}

/* p->header, from p->at on. */
static void add_header(struct planner *p, uint64_t end, enum label label, bool is_message,
		       bool is_foul, bool is_open)
{
	if (label == LABEL_AS_IT_IS && !is_foul && !is_open) {
		add_copy(p, end);
		return;
	}
	struct step *step = add_step(p, STEP_HEADER, end);
	step->label = (uint8_t)label;
	step->is_message = is_message;
	step->is_open = is_open;
	buffer_clear(&p->text);
	downgrade_header(buffer_slice(&p->header), step, &p->text);
	p->size_octets += p->text.len;
	p->is_changed |= is_foul;
}

/* Where what is planned can be taken back to. */
struct mark {
	size_t step_count;
	struct step last;
	uint64_t at, size_octets;
	size_t encoded;
	int open_count;
	bool is_changed;
};

static struct mark set_mark(const struct planner *p)
{
	const struct downgrade *plan = p->plan;
	struct mark mark = { .step_count = plan->step_count,
			     .at = p->at,
			     .size_octets = p->size_octets,
			     .encoded = p->encoded,
			     .open_count = p->open_count,
			     .is_changed = p->is_changed };
	if (plan->step_count > 0)
		mark.last = plan->steps[plan->step_count - 1];
	return mark;
}

static void go_back(struct planner *p, const struct mark *mark)
{
	p->plan->step_count = mark->step_count;
	if (mark->step_count > 0)
		p->plan->steps[mark->step_count - 1] = mark->last;
	p->at = mark->at;
	p->size_octets = mark->size_octets;
	p->encoded = mark->encoded;
	p->open_count = mark->open_count;
	p->is_changed = mark->is_changed;
	p->verdict = DOWNGRADE_PLANNED;
}

/* ---- bodies ---- */

/* What is there fits; its label may say more than is true. "8bit" does no harm, and stays where nothing else
 * changes; "binary" is not valid where no transport takes it (RFC 2045 section 6.2, RFC 3030 section 3). */
static enum label lesser_label(struct planner *p, const struct mime_part *part)
{
	bool is_binary = slice_eq(part->encoding, SLICE("binary"));
	p->is_changed |= is_binary;
	if (p->form == DOWNGRADE_TO_8BIT)
		return is_binary ? LABEL_8BIT : LABEL_AS_IT_IS;
	return is_binary || slice_eq(part->encoding, SLICE("8bit")) ? LABEL_7BIT : LABEL_AS_IT_IS;
}

/* Of an encoding that is not known nobody knows what it stands for (RFC 2045 section 6.4). Some write the
 * names of none in their own way. */
static bool is_foreign(struct slice encoding)
{
	static const char *const names[] = {
		"7bit",	 "8bit",  "binary", "base64", "quoted-printable",
		"7-bit", "8-bit", "7",	    "8",      "none"
	};
	bool is_known = encoding.len == 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		is_known |= slice_eq_nocase(encoding, slice_cstr(names[i]));
	return !is_known;
}

/* Header and body, encoded anew. */
static bool plan_encoded(struct planner *p, const struct mime_part *part, bool is_message,
			 bool is_foul)
{
	struct measure measure;
	enum transfer_encoding from = transfer_encoding_of(part->encoding);
	bool is_text = slice_eq(part->type, SLICE("text")) ||
		       slice_eq(part->type, SLICE("message")) ||
		       slice_eq(part->type, SLICE("multipart"));
	enum err err = measure_body(&p->plan->reader, p->source, part->body_start, part->body_end,
				    from, &measure);
	if (err != ERR_OK)
		return fail_err(p, err);
	/* Next to nothing comes out of it, so it is not what its label says; and whoever reads it slice by
	 * slice would go through all of it for one. */
	uint64_t body_octets = part->body_end - part->body_start;
	if (body_octets > NOTHING_ABOVE_OCTETS && measure.octets < body_octets / NOTHING_FACTOR)
		return fail(p, DOWNGRADE_ENCODING);
	bool is_quoted =
		is_text && !measure.has_nul && measure.quoted_octets <= measure.base64_octets;
	enum label label = is_quoted ? LABEL_QUOTED_PRINTABLE : LABEL_BASE64;
	add_header(p, part->body_start, label, is_message, is_foul, false);
	struct step *step = add_step(p, STEP_BODY, part->body_end);
	step->label = (uint8_t)label;
	step->from = (uint8_t)from;
	p->size_octets += is_quoted ? measure.quoted_octets : measure.base64_octets;
	p->is_changed = true;
	p->encoded++;
	/* An empty line may have been both the end of a header in a message and the beginning of the
	 * delimiter (RFC 2046 section 5.1.1). As a whole, that message ends with it. */
	struct slice next = SLICE("\n");
	if (p->at < p->plan->reader.size && !get(p, p->at, 1, &next))
		return false;
	step->adds_line_end = next.ptr[0] != '\r' && next.ptr[0] != '\n';
	p->size_octets += step->adds_line_end ? 2 : 0;
	return true;
}

/* The structure does not have what its header says: a multipart or message that was not looked into, since
 * there are too many of them, or too deep, or fields beyond what is kept of all headers. One in an
 * encoding may be encoded anew, whatever is in it. */
static bool is_unread(const struct planner *p, const struct mime_part *part, bool in_digest)
{
	struct mime_part own = { 0 };
	struct mime_budget budget = { 0 };
	struct arena arena = { 0 };
	mime_header_read(buffer_slice(&p->header), in_digest, &own, &arena, &budget);
	/* What has no boundary has no parts, and is text. */
	bool has_type = (slice_eq(own.type, part->type) && slice_eq(own.subtype, part->subtype)) ||
			(slice_eq(own.type, SLICE("multipart")) && mime_boundary_of(&own).len == 0);
	bool is_plain = transfer_encoding_of(part->encoding) == ENCODING_IDENTITY;
	bool is_read = slice_eq(own.encoding, part->encoding) && (has_type || !is_plain);
	arena_fini(&arena);
	return !is_read;
}

/* A multipart without a part, in one with the same boundary: with its own delimiter encoded, the other's
 * would be its. */
static bool is_closed_by_others(const struct planner *p, const struct mime_part *part)
{
	for (int i = 0; mime_is_multipart(part) && i < p->open_count; i++)
		if (slice_eq(mime_boundary_of(part), p->open[i]))
			return true;
	return false;
}

static bool plan_leaf(struct planner *p, const struct mime_part *part, bool in_digest,
		      bool is_message, bool is_foul)
{
	struct scan scan;
	uint64_t header_at = p->at;
	p->at = part->body_start;
	if (!scan_stretch(p, part->body_end, &scan))
		return false;
	p->at = header_at;
	if (fits(p, &scan)) {
		add_header(p, part->body_start, lesser_label(p, part), is_message, is_foul, false);
		add_copy(p, part->body_end);
		return true;
	}
	if (slice_eq(part->type, SLICE("message")) &&
	    (slice_eq(part->subtype, SLICE("partial")) ||
	     slice_eq(part->subtype, SLICE("external-body"))))
		return fail(p, DOWNGRADE_FORBIDDEN);
	if (is_foreign(part->encoding))
		return fail(p, DOWNGRADE_ENCODING);
	if (is_unread(p, part, in_digest) || is_closed_by_others(p, part))
		return fail(p, DOWNGRADE_LIMIT);
	return plan_encoded(p, part, is_message, is_foul);
}

/* ---- what holds parts ---- */

enum gap { GAP_PREAMBLE, GAP_BETWEEN, GAP_EPILOGUE };

/* Up to `end`: a delimiter, and what nobody reads. */
static bool plan_gap(struct planner *p, uint64_t end, struct slice boundary, enum gap gap)
{
	struct scan scan;
	struct slice first;
	if (end < p->at)
		return fail_err(p, ERR_DAMAGED);
	if (!scan_stretch(p, end, &scan))
		return false;
	if (fits(p, &scan)) {
		add_copy(p, end);
		return true;
	}
	if (boundary.len > BOUNDARY_MAX_OCTETS || (gap == GAP_EPILOGUE && p->is_cut))
		return fail(p, DOWNGRADE_LIMIT);
	if (!get(p, p->at, 1, &first))
		return false;
	struct step *step = add_step(p, STEP_DELIMITER, end);
	step->boundary = boundary;
	step->has_line_end = gap != GAP_PREAMBLE && (first.ptr[0] == '\r' || first.ptr[0] == '\n');
	step->is_close = gap == GAP_EPILOGUE;
	buffer_clear(&p->text);
	downgrade_delimiter(step, &p->text);
	p->size_octets += p->text.len;
	p->is_changed = true;
	return true;
}

/* All of it, header included. */
static bool plan_signed(struct planner *p, const struct mime_part *part)
{
	struct scan scan;
	if (part->body_end < p->at)
		return fail_err(p, ERR_DAMAGED);
	if (!scan_stretch(p, part->body_end, &scan))
		return false;
	if (!fits(p, &scan))
		return fail(p, DOWNGRADE_SIGNED);
	add_copy(p, part->body_end);
	return true;
}

/* The header has its step. */
static bool plan_parts(struct planner *p, const struct mime_part *part, int depth)
{
	struct slice boundary = arena_copy(&p->plan->arena, mime_boundary_of(part));
	bool is_signed = slice_eq(part->subtype, SLICE("signed"));
	bool is_digest = slice_eq(part->subtype, SLICE("digest"));
	p->open[p->open_count++] = boundary;
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		bool is_first = child == part->first_child;
		if (!plan_gap(p, child->header_start, boundary,
			      is_first ? GAP_PREAMBLE : GAP_BETWEEN) ||
		    !(is_signed && is_first ? plan_signed(p, child)
					    : plan_part(p, child, is_digest, false, depth + 1)))
			return false;
	}
	p->open_count--;
	return plan_gap(p, part->body_end, boundary, GAP_EPILOGUE);
}

/* message/rfc822 or message/global. p->header is the part's. */
static bool plan_message(struct planner *p, const struct mime_part *part, bool is_message,
			 bool is_foul, int depth)
{
	const struct mark mark = set_mark(p);
	bool is_global = slice_eq(part->subtype, SLICE("global")) && !p->is_in_global;
	p->is_in_global |= is_global;
	/* The header of the message in it may get new fields, which are not to be this one's. */
	add_header(p, part->body_start, lesser_label(p, part), is_message, is_foul,
		   !downgrade_header_ends(buffer_slice(&p->header)));
	bool good = plan_part(p, part->first_child, false, true, depth + 1) &&
		    (p->at == part->body_end || fail_err(p, ERR_DAMAGED));
	if (is_global)
		p->is_in_global = false;
	if (good || !is_global || p->err != ERR_OK)
		return good;
	struct scan scan;
	go_back(p, &mark);
	return read_header(p, part, &scan) && plan_encoded(p, part, is_message, is_foul);
}

/* A multipart in which no delimiter was found: all of it is a preamble, which is what its reader will be
 * shown. */
static bool has_no_part(const struct mime_part *part)
{
	return !part->first_child->next_sibling &&
	       part->first_child->header_start == part->body_end;
}

/* In a message/global it has a way out. */
static bool may_leave_header(const struct planner *p)
{
	return p->form == DOWNGRADE_TO_8BIT ||
	       (p->form == DOWNGRADE_BODIES_TO_7BIT && !p->is_in_global);
}

/* A field such as "--a:\rb" can become a delimiter of what is around it, once the CR is a blank; unlike
 * other lines it cannot have one in front (mail/downgrade_header.c). */
static bool may_delimit(struct slice header)
{
	for (size_t at = 0, end; at < header.len; at = end + 1) {
		end = slice_find_byte(header, at, '\n');
		struct slice line = slice_sub(header, at, end - at);
		bool is_dashed = slice_starts_nocase(line, SLICE("--")) &&
				 header_line_kind(line) == HEADER_LINE_FIELD;
		line = slice_trim(line); /* of the CR that is a line end's */
		if (is_dashed && slice_find_byte(line, 0, '\r') < line.len)
			return true;
	}
	return false;
}

static bool plan_part(struct planner *p, const struct mime_part *part, bool in_digest,
		      bool is_message, int depth)
{
	struct scan scan;
	if (part->header_start > p->at || part->body_start < p->at ||
	    part->body_end < part->body_start || part->body_end > p->plan->reader.size ||
	    depth > MIME_MAX_DEPTH)
		return fail_err(p, ERR_DAMAGED);
	if (!read_header(p, part, &scan))
		return false;
	if (scan.has_nul || (scan.has_8bit && !may_leave_header(p)))
		return fail(p, DOWNGRADE_HEADER);
	if (scan.has_bare && p->open_count > 0 && may_delimit(buffer_slice(&p->header)))
		return fail(p, DOWNGRADE_HEADER);
	p->leaves_header |= scan.has_8bit && p->form == DOWNGRADE_BODIES_TO_7BIT;
	if (mime_is_message(part))
		return plan_message(p, part, is_message, scan.has_bare, depth);
	if (!mime_is_multipart(part) || has_no_part(part))
		return plan_leaf(p, part, in_digest, is_message, scan.has_bare);
	add_header(p, part->body_start, lesser_label(p, part), is_message, scan.has_bare, false);
	return plan_parts(p, part, depth);
}

/* ---- from outside ---- */

static size_t count_parts(const struct mime_part *part)
{
	size_t count = 1;
	for (const struct mime_part *child = part->first_child; child; child = child->next_sibling)
		count += count_parts(child);
	return count;
}

enum err downgrade_plan(const struct downgrade_source *source, const struct mime_part *root,
			uint64_t start, enum downgrade_form form,
			struct downgrade_outcome *outcome_out)
{
	struct header_field field;
	struct scan scan;
	struct planner p = {
		.plan = heap_alloc(sizeof(*p.plan)),
		.source = source,
		.form = form,
		.verdict = DOWNGRADE_PLANNED,
		.at = start,
		.is_cut = count_parts(root) >= MIME_MAX_PARTS,
	};
	*outcome_out = (struct downgrade_outcome){ .verdict = DOWNGRADE_NEEDLESS };
	p.plan->reader.size = root->body_end;
	p.plan->at = start;
	bool good = start <= root->body_start || fail_err(&p, ERR_DAMAGED);
	if (good && read_header(&p, root, &scan))
		outcome_out->breaks_dkim =
			header_find(buffer_slice(&p.header), SLICE("DKIM-Signature"), &field);
	good = good && p.verdict == DOWNGRADE_PLANNED && p.err == ERR_OK &&
	       plan_part(&p, root, false, true, 1);
	outcome_out->leaves_header = p.leaves_header;
	if (p.err == ERR_OK && !good) {
		outcome_out->verdict = p.verdict;
	} else if (good && p.is_changed) {
		outcome_out->verdict = DOWNGRADE_PLANNED;
		outcome_out->plan = p.plan;
		outcome_out->size_octets = p.size_octets;
		outcome_out->encoded = p.encoded;
		p.plan = NULL;
	}
	buffer_free(&p.header);
	buffer_free(&p.text);
	downgrade_free(&p.plan);
	return p.err;
}
