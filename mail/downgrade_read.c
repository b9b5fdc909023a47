/* mail/downgrade_read.c - a message in its new form, piece by piece as it is sent: the steps that
 * mail/downgrade.c has planned, one after the other. Runs in the back. */
#include <stdlib.h>

#include "mail/downgrade_priv.h"

static enum err copy(struct downgrade *plan, const struct downgrade_source *source,
		     const struct step *step, struct buffer *out)
{
	struct slice piece;
	if (plan->at == step->end)
		return ERR_OK;
	enum err err =
		chunk_reader_get(&plan->reader, source, plan->at, step->end - plan->at, &piece);
	buffer_add(out, piece);
	plan->at += piece.len;
	return err;
}

/* Whole: it is no longer than MIME_MAX_HEADER_OCTETS. */
static enum err header(struct downgrade *plan, const struct downgrade_source *source,
		       const struct step *step, struct buffer *out)
{
	enum err err = ERR_OK;
	buffer_clear(&plan->decoded);
	while (err == ERR_OK && plan->at < step->end)
		err = copy(plan, source, step, &plan->decoded);
	if (err == ERR_OK)
		downgrade_header(buffer_slice(&plan->decoded), step, out);
	buffer_clear(&plan->decoded);
	return err;
}

static enum err body(struct downgrade *plan, const struct downgrade_source *source,
		     const struct step *step, struct buffer *out)
{
	struct slice piece;
	if (!plan->decoder) {
		plan->decoder = transfer_decoder_new((enum transfer_encoding)step->from);
		plan->encoder = (struct transfer_encoder){ .encoding = downgrade_encoding(
								   (enum label)step->label) };
	}
	if (plan->at < step->end) {
		uint64_t left = step->end - plan->at;
		enum err err = chunk_reader_get(&plan->reader, source, plan->at,
						left < BODY_PIECE_OCTETS ? left : BODY_PIECE_OCTETS,
						&piece);
		if (err != ERR_OK)
			return err;
		plan->at += piece.len;
		transfer_decode(plan->decoder, piece, &plan->decoded);
	}
	bool is_whole = plan->at == step->end;
	if (is_whole)
		transfer_decoder_finish(&plan->decoder, &plan->decoded);
	transfer_encode(&plan->encoder, buffer_slice(&plan->decoded), out);
	buffer_clear(&plan->decoded);
	if (!is_whole)
		return ERR_OK;
	transfer_encoder_finish(&plan->encoder, step->end == plan->reader.size, out);
	if (step->adds_line_end)
		buffer_add_cstr(out, "\r\n");
	return ERR_OK;
}

enum err downgrade_read(struct downgrade *plan, const struct downgrade_source *source, size_t about,
			struct buffer *out)
{
	const size_t from = out->len;
	enum err err = ERR_OK;
	while (err == ERR_OK && out->len - from < about && plan->step_at < plan->step_count) {
		const struct step *step = &plan->steps[plan->step_at];
		if (!plan->decoder && plan->at < step->start)
			plan->at = step->start;
		switch ((enum step_kind)step->kind) {
		case STEP_COPY: err = copy(plan, source, step, out); break;
		case STEP_HEADER: err = header(plan, source, step, out); break;
		case STEP_BODY: err = body(plan, source, step, out); break;
		case STEP_DELIMITER:
			downgrade_delimiter(step, out);
			plan->at = step->end;
			break;
		}
		if (plan->at == step->end && !plan->decoder)
			plan->step_at++;
	}
	return err;
}

void downgrade_rewind(struct downgrade *plan)
{
	if (plan->decoder)
		transfer_decoder_finish(&plan->decoder, &plan->decoded);
	buffer_free(&plan->decoded);
	buffer_free(&plan->reader.chunk);
	plan->step_at = 0;
	plan->at = 0;
}

void downgrade_free(struct downgrade **plan_at)
{
	struct downgrade *plan = *plan_at;
	if (!plan)
		return;
	*plan_at = NULL;
	if (plan->decoder)
		transfer_decoder_finish(&plan->decoder, &plan->decoded);
	buffer_free(&plan->decoded);
	buffer_free(&plan->reader.chunk);
	arena_fini(&plan->arena);
	free(plan->steps);
	free(plan);
}
