/* trust/sts.c - records and policies of MTA-STS, RFC 8461 sections 3.1, 3.2 and 4.1. Runs in the
 * front. A field that is not known is passed over, and of one that comes twice the first counts. */
#include "trust/sts.h"

static struct slice trim_end(struct slice s)
{
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static struct slice trim_start(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = slice_sub(s, 1, s.len);
	return s;
}

static bool is_name_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* sts-ext-name, sts-policy-ext-name; the names that are known are such, too. */
static bool is_name(struct slice s)
{
	if (s.len == 0 || s.len > 32 || !is_name_octet(s.ptr[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_name_octet(s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '-' &&
		    s.ptr[i] != '.')
			return false;
	return true;
}

bool sts_id_is_valid(struct slice id)
{
	if (id.len == 0 || id.len > STS_ID_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (!is_name_octet(id.ptr[i]))
			return false;
	return true;
}

/* ---- the record ---- */

static bool is_value(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '=')
			return false;
	return s.len > 0;
}

bool sts_record_take(struct slice text, struct slice *id_out)
{
	static const struct slice version = { (const uint8_t *)"v=STSv1", 7 };
	struct slice id = SLICE_NONE;
	*id_out = SLICE_NONE;
	if (!slice_eq(slice_sub(text, 0, version.len), version))
		return false;
	struct slice rest = trim_start(slice_sub(text, version.len, text.len));
	if (rest.len == 0 || rest.ptr[0] != ';')
		return false;
	rest = slice_sub(rest, 1, rest.len);
	while (rest.len > 0) {
		size_t end = slice_find_byte(rest, 0, ';');
		struct slice field = trim_end(trim_start(slice_sub(rest, 0, end)));
		rest = slice_sub(rest, end + 1, rest.len);
		if (field.len == 0 && rest.len == 0)
			break; /* the delimiter at the end */
		size_t equals = slice_find_byte(field, 0, '=');
		struct slice name = slice_sub(field, 0, equals);
		struct slice value = slice_sub(field, equals + 1, field.len);
		if (!is_name(name) || !is_value(value))
			return true;
		if (slice_eq(name, SLICE("id")) && id.len == 0) {
			if (!sts_id_is_valid(value))
				return true;
			id = value;
		}
	}
	*id_out = id;
	return true;
}

bool sts_records_id(const struct slice *texts, size_t count, struct slice *id_out)
{
	size_t found = 0;
	for (size_t i = 0; i < count; i++) {
		struct slice id;
		if (!sts_record_take(texts[i], &id))
			continue;
		found++;
		*id_out = id;
	}
	return found == 1 && id_out->len > 0;
}

/* ---- the policy ---- */

enum { HAS_VERSION = 1, HAS_MODE = 2, HAS_MAX_AGE = 4, HAS_ALL = 7 };

static bool is_host(struct slice s)
{
	size_t label = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '.'
			    ? label == 0
			    : !is_name_octet(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
			return false;
		label = s.ptr[i] == '.' ? 0 : label + 1;
	}
	return s.len <= 253 && label > 0;
}

static bool take_mode(struct slice value, enum sts_mode *mode_out)
{
	static const struct {
		const char *word;
		enum sts_mode mode;
	} modes[] = { { "none", STS_NONE },
		      { "testing", STS_TESTING },
		      { "enforce", STS_ENFORCE } };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (slice_eq(value, slice_cstr(modes[i].word))) {
			*mode_out = modes[i].mode;
			return true;
		}
	return false;
}

static bool take_mx(struct slice value, struct sts_policy *policy)
{
	struct slice host = value;
	if (value.len > 2 && value.ptr[0] == '*' && value.ptr[1] == '.')
		host = slice_sub(value, 2, value.len);
	if (!is_host(host))
		return false;
	if (policy->mx_count < STS_MX_MAX)
		policy->mx[policy->mx_count++] = value;
	return true;
}

static bool take_max_age(struct slice value, uint32_t *seconds_out)
{
	uint64_t seconds;
	if (value.len > 10 || !slice_to_u64(value, UINT64_MAX, &seconds))
		return false;
	*seconds_out = (uint32_t)(seconds < STS_AGE_MAX_SECONDS ? seconds : STS_AGE_MAX_SECONDS);
	return true;
}

/* False: the policy is not to be understood. */
static bool take_field(struct slice name, struct slice value, struct sts_policy *policy,
		       unsigned *has)
{
	if (slice_eq(name, SLICE("mx")))
		return take_mx(value, policy);
	if (slice_eq(name, SLICE("version")) && !(*has & HAS_VERSION)) {
		*has |= HAS_VERSION;
		return slice_eq(value, SLICE("STSv1"));
	}
	if (slice_eq(name, SLICE("mode")) && !(*has & HAS_MODE)) {
		*has |= HAS_MODE;
		return take_mode(value, &policy->mode);
	}
	if (slice_eq(name, SLICE("max_age")) && !(*has & HAS_MAX_AGE)) {
		*has |= HAS_MAX_AGE;
		return take_max_age(value, &policy->max_age_seconds);
	}
	return is_name(name);
}

bool sts_policy_parse(struct slice text, struct sts_policy *policy_out)
{
	unsigned has = 0;
	*policy_out = (struct sts_policy){ .mode = STS_NONE };
	if (text.len > STS_TEXT_MAX_OCTETS)
		return false;
	while (text.len > 0) {
		size_t end = slice_find_byte(text, 0, '\n');
		struct slice line = slice_sub(text, 0, end);
		text = slice_sub(text, end + 1, text.len);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		line = trim_end(line);
		if (line.len == 0)
			continue;
		size_t colon = slice_find_byte(line, 0, ':');
		if (colon == line.len ||
		    !take_field(slice_sub(line, 0, colon),
				trim_start(slice_sub(line, colon + 1, line.len)), policy_out, &has))
			return false;
	}
	return has == HAS_ALL && (policy_out->mode == STS_NONE || policy_out->mx_count > 0);
}

bool sts_policy_allows(const struct sts_policy *policy, struct slice host)
{
	for (size_t i = 0; i < policy->mx_count; i++) {
		struct slice pattern = policy->mx[i];
		struct slice name = host;
		if (pattern.ptr[0] == '*') {
			/* The whole left-most label, and that alone. */
			size_t dot = slice_find_byte(host, 0, '.');
			pattern = slice_sub(pattern, 1, pattern.len);
			if (dot == 0)
				continue;
			name = slice_sub(host, dot, host.len);
		}
		if (slice_eq_nocase(pattern, name))
			return true;
	}
	return false;
}
