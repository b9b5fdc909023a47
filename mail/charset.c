/* mail/charset.c - charsets of mail, to UTF-8, at once or in pieces.
 *
 * RFC 2045 section 2.2, RFC 2046 section 4.1.2, RFC 2781 (UTF-16), by iconv. Only the charsets
 * of the table below are offered, in the sandbox and out of it: they are what mail is written
 * in, and a stranger cannot pick a converter that nobody has looked at. Where senders use a
 * name for its larger sister, as all of them do with ISO-8859-1, GB2312 and Shift_JIS, the
 * sister is taken. Runs in both. */
#include "mail/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "mail/text_priv.h"

/* What octets below 128 are. */
enum charset_form {
	FORM_ASCII,
	FORM_SHIFTS, /* ASCII, until a sequence of them says otherwise */
	FORM_BASE64, /* the same, and what follows is in base64 (RFC 2152) */
	FORM_WIDE,   /* parts of characters */
};

struct charset {
	const char *iconv_name; /* NULL: this file does it */
	const char *names;	/* each with a blank behind it */
	enum charset_form form;
};
static const struct charset charsets[] = {
	{ NULL, "us-ascii ascii ansi_x3.4-1968 iso-ir-6 ansi_x3.4-1986 iso_646.irv:1991 "
		"iso646-us us ibm367 cp367 csascii 646 " },
	{ NULL, "utf-8 utf8 unicode-1-1-utf-8 csutf8 x-unicode20utf8 " },
	{ NULL, "utf-16 utf16 csutf16 ", FORM_WIDE },
	{ "UTF-16BE", "utf-16be csutf16be ", FORM_WIDE },
	{ "UTF-16LE", "utf-16le csutf16le ", FORM_WIDE },
	{ "UTF-7", "utf-7 utf7 unicode-1-1-utf-7 csutf7 ", FORM_BASE64 },
	{ "CP1252", "iso-8859-1 iso8859-1 iso_8859-1 iso_8859-1:1987 iso-ir-100 latin1 latin-1 l1 "
		    "ibm819 cp819 csisolatin1 windows-1252 cp1252 x-cp1252 cp-1252 x-ansi " },
	{ "ISO-8859-2", "iso-8859-2 iso8859-2 iso_8859-2 iso_8859-2:1987 latin2 l2 csisolatin2 " },
	{ "ISO-8859-3", "iso-8859-3 iso8859-3 iso_8859-3 latin3 l3 csisolatin3 " },
	{ "ISO-8859-4", "iso-8859-4 iso8859-4 iso_8859-4 latin4 l4 csisolatin4 " },
	{ "ISO-8859-5", "iso-8859-5 iso8859-5 iso_8859-5 cyrillic csisolatincyrillic " },
	{ "ISO-8859-6", "iso-8859-6 iso8859-6 iso_8859-6 arabic asmo-708 csisolatinarabic " },
	{ "ISO-8859-7", "iso-8859-7 iso8859-7 iso_8859-7 greek greek8 csisolatingreek " },
	{ "ISO-8859-8", "iso-8859-8 iso8859-8 iso_8859-8 iso-8859-8-i iso-8859-8-e hebrew "
			"csisolatinhebrew " },
	{ "CP1254", "iso-8859-9 iso8859-9 iso_8859-9 latin5 l5 csisolatin5 windows-1254 cp1254 "
		    "x-cp1254 " },
	{ "ISO-8859-10", "iso-8859-10 iso8859-10 latin6 l6 csisolatin6 " },
	{ "ISO-8859-13", "iso-8859-13 iso8859-13 latin7 " },
	{ "ISO-8859-14", "iso-8859-14 iso8859-14 latin8 " },
	{ "ISO-8859-15", "iso-8859-15 iso8859-15 iso_8859-15 latin9 latin-9 csiso885915 " },
	{ "ISO-8859-16", "iso-8859-16 iso8859-16 latin10 " },
	{ "CP1250", "windows-1250 cp1250 x-cp1250 " },
	{ "CP1251", "windows-1251 cp1251 x-cp1251 " },
	{ "CP1253", "windows-1253 cp1253 x-cp1253 " },
	{ "CP1255", "windows-1255 cp1255 x-cp1255 " },
	{ "CP1256", "windows-1256 cp1256 x-cp1256 " },
	{ "CP1257", "windows-1257 cp1257 x-cp1257 " },
	{ "CP1258", "windows-1258 cp1258 x-cp1258 " },
	{ "CP874", "windows-874 cp874 tis-620 tis620 iso-8859-11 iso8859-11 " },
	{ "KOI8-R", "koi8-r koi8 koi cskoi8r " },
	{ "KOI8-U", "koi8-u koi8-ru " },
	{ "IBM437", "ibm437 cp437 437 cspc8codepage437 " },
	{ "IBM850", "ibm850 cp850 850 cspc850multilingual " },
	{ "IBM852", "ibm852 cp852 852 cspcp852 " },
	{ "IBM866", "ibm866 cp866 866 csibm866 " },
	{ "MACINTOSH", "macintosh mac x-mac-roman csmacintosh " },
	{ "CP932", "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j cp932 csshiftjis "
		   "cswindows31j " },
	{ "EUC-JP", "euc-jp eucjp x-euc-jp cseucpkdfmtjapanese " },
	{ "ISO-2022-JP-2", "iso-2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 csiso2022jp2 ",
	  FORM_SHIFTS },
	{ "UHC", "euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean windows-949 "
		 "cp949 uhc cseuckr csksc56011987 " },
	{ "ISO-2022-KR", "iso-2022-kr csiso2022kr ", FORM_SHIFTS },
	{ "GB18030", "gb18030 gb2312 gb_2312-80 gbk x-gbk cp936 windows-936 ms936 euc-cn chinese "
		     "csgb2312 csgbk " },
	{ "BIG5-HKSCS", "big5 big-5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950 " },
	/* Not read, but known to be wide. */
	{ NULL,
	  "utf-32 utf32 csutf32 utf-32be csutf32be utf-32le csutf32le ucs-4 ucs4 ucs-4be ucs-4le "
	  "iso-10646-ucs-4 csucs4 ucs-2 ucs2 ucs-2be ucs-2le iso-10646-ucs-2 csunicode ",
	  FORM_WIDE },
};
enum {
	ASCII_ROW = 0,
	UTF8_ROW = 1,
	UTF16_ROW = 2,
	UNREAD_ROW = ARRAY_LEN(charsets) - 1,
	MAX_NAME = 32,
};

/* Kept open for ever, so that their modules stay loaded. */
static iconv_t prepared[ARRAY_LEN(charsets)];

void text_prepare_sandbox(void)
{
	for (size_t i = 0; i < ARRAY_LEN(charsets); i++)
		if (charsets[i].iconv_name && !prepared[i])
			prepared[i] = iconv_open("UTF-8", charsets[i].iconv_name);
}

static const struct charset *find_charset(struct slice charset)
{
	char name[MAX_NAME + 2];
	charset = slice_trim(charset);
	if (charset.len == 0 || charset.len > MAX_NAME)
		return NULL;
	for (size_t i = 0; i < charset.len; i++) {
		name[i] = (char)ascii_lower(charset.ptr[i]);
		if (charset.ptr[i] <= ' ')
			return NULL;
	}
	name[charset.len] = ' ';
	name[charset.len + 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
		const char *names = charsets[i].names;
		for (const char *at = names; (at = strstr(at, name)); at++)
			if (at == names || at[-1] == ' ')
				return &charsets[i];
	}
	return NULL;
}

bool text_charset_is_known(struct slice charset)
{
	const struct charset *found = find_charset(charset);
	return found && found != &charsets[UNREAD_ROW];
}

bool charset_is_wide(struct slice charset)
{
	const struct charset *found = find_charset(charset);
	return found && found->form == FORM_WIDE;
}

static void decode_ascii(struct slice octets, struct buffer *utf8)
{
	while (octets.len) {
		size_t len = text_ascii_len(octets);
		buffer_add(utf8, slice_sub(octets, 0, len));
		if (len < octets.len) {
			text_add_replacement(utf8);
			len++;
		}
		octets = slice_sub(octets, len, octets.len);
	}
}

/* ---- by iconv ---- */

struct charset_decoder {
	const struct charset *charset;
	bool is_open;
	iconv_t converter;
	/* The beginning of a character, of an escape sequence or of a byte order mark. */
	uint8_t held[8];
	size_t held_len;
};

/* Feeds the converter until all is read; what it refuses is skipped octet by octet. What it leaves, is
 * cut off. Base64 comes octet by octet, or by two where it asks for more: half a surrogate pair alone is
 * refused by the second of glibc's two steps, and then by the first one's last octet or from the last
 * good character on, as the text was cut. Behind what is refused of it bits would be left over, so that
 * ends there. */
static struct slice convert(const struct charset_decoder *decoder, struct slice octets,
			    struct buffer *utf8)
{
	enum { STEP = 4096 };
	/* iconv() reads only, whatever its prototype says. */
	union {
		const uint8_t *octets;
		char *chars;
	} in = { .octets = octets.ptr };
	bool is_base64 = decoder->charset->form == FORM_BASE64;
	size_t left = octets.len, fed = is_base64 ? 1 : left;
	while (left) {
		char *out = (char *)buffer_reserve(utf8, STEP);
		size_t in_left = fed, out_left = STEP;
		size_t rc = iconv(decoder->converter, &in.chars, &in_left, &out, &out_left);
		int error = rc == (size_t)-1 ? errno : 0;
		utf8->len += STEP - out_left;
		left -= fed - in_left;
		if (error == EINVAL && in_left < left) {
			fed = in_left + 1;
			continue;
		}
		if (error && error != E2BIG && error != EILSEQ)
			break;
		if (error == EILSEQ) {
			text_add_replacement(utf8);
			in.chars++;
			left--;
			if (is_base64)
				iconv(decoder->converter, NULL, NULL, NULL, NULL);
		}
		fed = is_base64 && left ? 1 : left;
	}
	return slice_of(in.octets, left);
}

/* RFC 2781 section 4.3: the byte order mark says which; without one it is big-endian. */
static const char *take_byte_order(struct slice *octets)
{
	bool little = octets->len >= 2 && octets->ptr[0] == 0xff && octets->ptr[1] == 0xfe;
	bool big = octets->len >= 2 && octets->ptr[0] == 0xfe && octets->ptr[1] == 0xff;
	if (little || big)
		*octets = slice_sub(*octets, 2, octets->len);
	return little ? "UTF-16LE" : "UTF-16BE";
}

/* False: too little is there to say in which order it is. */
static bool decoder_open(struct charset_decoder *decoder, struct slice *octets)
{
	bool is_utf16 = decoder->charset == &charsets[UTF16_ROW];
	if (is_utf16 && octets->len < 2)
		return false;
	const char *name = is_utf16 ? take_byte_order(octets) : decoder->charset->iconv_name;
	decoder->converter = name ? iconv_open("UTF-8", name) : (iconv_t)-1;
	return decoder->is_open = true;
}

/* Returns what is left over. */
static struct slice decoder_feed(struct charset_decoder *decoder, struct slice octets,
				 struct buffer *utf8)
{
	if (!decoder->is_open && !decoder_open(decoder, &octets))
		return octets;
	if (decoder->converter != (iconv_t)-1)
		return convert(decoder, octets, utf8);
	/* One that is not read; or beyond the sandbox, where nobody prepared it. */
	decode_ascii(octets, utf8);
	return SLICE_NONE;
}

static void decoder_end(struct charset_decoder *decoder, bool is_cut_off, struct buffer *utf8)
{
	enum { STEP = 64 };
	if (is_cut_off)
		text_add_replacement(utf8);
	if (!decoder->is_open || decoder->converter == (iconv_t)-1)
		return;
	/* Charsets with shift states may hold a last character back. */
	char *out = (char *)buffer_reserve(utf8, STEP);
	size_t out_left = STEP;
	iconv(decoder->converter, NULL, NULL, &out, &out_left);
	utf8->len += STEP - out_left;
	iconv_close(decoder->converter);
}

struct charset_decoder *charset_decoder_new(struct slice charset)
{
	const struct charset *found = find_charset(charset);
	if (!found || found->form == FORM_ASCII)
		return NULL;
	struct charset_decoder *decoder = heap_alloc(sizeof(*decoder));
	*decoder = (struct charset_decoder){ .charset = found };
	return decoder;
}

static void hold(struct charset_decoder *decoder, struct slice left, struct buffer *utf8)
{
	decoder->held_len = left.len <= sizeof(decoder->held) ? left.len : 0;
	if (decoder->held_len > 0)
		memcpy(decoder->held, left.ptr, left.len);
	else if (left.len > 0)
		text_add_replacement(utf8);
}

void charset_decode(struct charset_decoder *decoder, struct slice octets, struct buffer *utf8)
{
	struct buffer joined = { 0 };
	if (octets.len == 0)
		return;
	if (decoder->held_len > 0) {
		buffer_add(&joined, slice_of(decoder->held, decoder->held_len));
		buffer_add(&joined, octets);
		octets = buffer_slice(&joined);
	}
	hold(decoder, decoder_feed(decoder, octets, utf8), utf8);
	buffer_free(&joined);
}

void charset_decoder_finish(struct charset_decoder **decoder, struct buffer *utf8)
{
	if (*decoder)
		decoder_end(*decoder, (*decoder)->held_len > 0, utf8);
	free(*decoder);
	*decoder = NULL;
}

void text_decode_charset(struct slice charset, struct slice octets, struct buffer *utf8)
{
	const struct charset *found = find_charset(charset);
	if (octets.len == 0)
		return;
	if (!found || found == &charsets[ASCII_ROW]) {
		decode_ascii(octets, utf8);
	} else if (found == &charsets[UTF8_ROW]) {
		text_add_utf8(octets, utf8);
	} else {
		struct charset_decoder decoder = { .charset = found };
		struct slice left = decoder_feed(&decoder, octets, utf8);
		decoder_end(&decoder, left.len > 0, utf8);
	}
}
