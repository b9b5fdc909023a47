"""Every text that an IMAP client's user may read is in the catalogue (imapd/texts.c), in every
language: LANGUAGE (RFC 5255) promises it."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LITERALS = r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*'
# What no user sees: the log's words.
UNSEEN = re.compile(r'\b(?:log_\w+|EVENT|WORD|CSTR|TEXT|_Static_assert)\((?:[^()"]|"(?:[^"\\]|\\.)*"'
                    r'|\((?:[^()]|\([^()]*\))*\))*\)')
# What is no text: pieces of the protocol. A text neither begins nor ends with a blank.
NO_TEXT = re.compile(r"^[ ()]|\s$|^\* (?!OK|NO|BYE|BAD)|^\[[^]]*\]?$|^[^a-z]*$|\\r\\n$")
SAID = re.compile(r"(?:imap_(?:ok|no|bad|bye|ok_expunged)\(s,|imap_text\([\w>-]+,|\b(?:bad|bye)\(l,"
                  r'|"(?:OK|BYE|NO|BAD)",)$')
# Of namespaces; imapd/namespace.c translates them.
NAMES = {"Other Users", "Andere Benutzer/", "Gemeinsame Postfächer/"}


def without_comments(text):
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|/\*.*?\*/|//[^\n]*',
                  lambda found: found.group(1) or " ", text, flags=re.S)


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals))


def text_of(literal):
    """Without a response code, or its end."""
    return re.sub(r"^(?:\[[^]]*\] |\] |%s )", "", literal)


def catalogue():
    source = without_comments((ROOT / "imapd" / "texts.c").read_text())
    rows = re.findall(rf"\{{\s*({LITERALS})\s*,\s*({LITERALS})\s*\}}", source)
    return [(joined(english), joined(german)) for english, german in rows]


def texts_of(path):
    source = UNSEEN.sub(" ", without_comments(path.read_text().replace("'\"'", "")))
    source = re.sub(r"^\s*#\s*include[^\n]*", "", source, flags=re.M)
    for found in re.finditer(LITERALS, source):
        text = text_of(joined(found.group(0)))
        before = source[:found.start()].rstrip()
        is_said = SAID.search(before)
        words = re.sub(r"%[a-z]+", "", text)
        if not text.endswith(" ") and (is_said or (
                " " in text and text not in NAMES and not NO_TEXT.search(words))):
            yield text


def test_no_text_is_left_untranslated():
    known = {english for english, _ in catalogue()}
    missing = {f"{path.name}: {text}" for path in sorted((ROOT / "imapd").glob("*.[ch]"))
               if path.name != "texts.c" for text in texts_of(path) if text not in known}
    assert not missing, "\n".join(sorted(missing))


def test_the_catalogue_has_no_text_that_nobody_says():
    said = {text for path in (ROOT / "imapd").glob("*.[ch]") if path.name != "texts.c"
            for text in map(text_of, map(joined, re.findall(LITERALS, without_comments(
                path.read_text()))))}
    assert not [english for english, _ in catalogue() if english not in said]


def test_the_catalogue_is_in_order_and_whole():
    rows = catalogue()
    assert len(rows) > 100
    assert [english for english, _ in rows] == sorted({english for english, _ in rows})
    for english, german in rows:
        assert german and "\\r" not in german and "[" not in german
        # What i-default says is ASCII (RFC 2277 section 4.5).
        assert english.isascii() and english.count("%") == german.count("%") == 0
