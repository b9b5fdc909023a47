"""The man page tells of every key with its default, and of every command with its options."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BODE = os.environ.get("BODE", str(ROOT / "build-test" / "bode"))


def bode(*words):
    if not os.path.exists(BODE):
        pytest.skip("the program is not built")
    return subprocess.run([BODE, *words], check=True, capture_output=True, text=True).stdout


def man_page():
    return (ROOT / "docs" / "bode.8").read_text().replace("\\-", "-")


def entries(part):
    """What the man page has under .TP: the line with the names, and the text behind it."""
    for entry in re.split(r"^\.TP\n", part, flags=re.M)[1:]:
        head, _, text = entry.partition("\n")
        yield plain(head), plain(text.split("\n.SS ")[0].split("\n.SH ")[0])


def plain(text):
    text = re.sub(r"\\f[A-Z]", "", text)
    return re.sub(r"[\s\"]+", " ", re.sub(r"^\.[A-Z]{1,2} ", "", text, flags=re.M)).strip()


def has_words(text, words):
    """As such: "5" is not told by "25", nor "no" by "not"."""
    return not words or re.search(rf"(?<![\w.-]){re.escape(words)}(?![\w-]|\.\w)", text)


def test_words_are_found_whole():
    assert has_words("at most 5 of them", "5") and has_words("Default: 5.", "5")
    assert has_words("Default: 1 GiB, or more", "1 GiB") and has_words("anything", "")
    assert not any(has_words(text, "5") for text in ("25", "50", "0.5", "5.1", "5-6"))
    assert not has_words("it is not", "no")


def test_the_man_page_tells_of_every_key():
    explained = bode("config", "--explain")
    sections = re.findall(r"^\[(.*)\]$", explained, re.M)
    assert len(sections) == len(set(sections)) > 5
    assert re.findall(r"^\.SS \[(\w+)", man_page(), re.M) == [s.split()[0] for s in sections]
    parts = dict(re.findall(r"^\.SS \[(\w+)[^\n]*\n(.*?)(?=^\.SS|^\.SH)", man_page(), re.M | re.S))
    wrong, count = [], 0
    for section, body in re.findall(r"^\[(\w+)[^]\n]*\]\n(.*?)(?=^\[|\Z)", explained, re.M | re.S):
        for key, default in re.findall(r"^#([a-z0-9_]+) =(?: (.*))?$", body, re.M):
            count += 1
            told = [text for names, text in entries(parts[section])
                    if key in re.split(r"[ ,]+", names)]
            if not told or not has_words(told[0], default):
                wrong.append(f"[{section}] {key} = {default}")
    assert count > 20
    assert not wrong, f"docs/bode.8 does not tell of {wrong}"


def test_the_man_page_tells_of_every_command():
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  .*\n +(.*)$", bode("help"), re.M)
    assert "user add" in dict(commands)
    heads = [head for head, _ in entries(man_page().split(".SH IMPORT")[0])]
    wrong = []
    for name, arguments in commands:
        head = [head for head in heads if re.search(rf"(?:^|[|,] ){name}(?![\w-])", head)]
        options = re.findall(r"--[a-z-]+", arguments)
        if not head or any(option not in head[0] for option in options):
            wrong.append(f"{name} {arguments}")
    assert not wrong, f"docs/bode.8 does not tell of {wrong}"
    used = " ".join(arguments for _, arguments in commands)
    invented = [o for head in heads for o in re.findall(r"--[a-z-]+", head) if o not in used]
    assert not invented, f"docs/bode.8 tells of {invented}"


# ---- what README.md and docs/design.md name is there ----

PAGES = ["README.md", "docs/design.md"]


def tracked():
    return subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout.split()


def names_in(page):
    return sorted(set(re.findall(r"`([^`\n]+)`", (ROOT / page).read_text())))


def check_names(judge, least):
    """`judge` says of a name whether it is there, and None of what it does not know about."""
    judged = [(page, name, judge(name)) for page in PAGES for name in names_in(page)]
    assert sum(is_there is not None for _, _, is_there in judged) > least
    wrong = [f"{page}: {name}" for page, name, is_there in judged if is_there is False]
    assert not wrong, wrong


def test_files_that_are_named_are_there():
    files = set(tracked())
    folders = {str(parent) for name in files for parent in pathlib.PurePath(name).parents}
    known = files | folders | {re.sub(r"(_priv)?\.\w+$", "", name) for name in files}
    bases = {name.rsplit("/", 1)[-1] for name in files}
    sources = "".join((ROOT / name).read_text() for name in files if name.endswith((".c", ".h")))

    def is_there(name):
        if re.fullmatch(r"[\w.-]+/[\w./-]*", name) and name.split("/")[0] in folders:
            return name.rstrip("/") in known
        if re.fullmatch(r"\w+\.(c|h|py)", name):
            return name in bases or f"#include <{name}>" in sources
        return None

    check_names(is_there, 100)


def test_tests_functions_and_keys_that_are_named_are_there():
    sources = "\n".join((ROOT / name).read_text(errors="replace") for name in tracked()
                        if name.endswith((".c", ".h", ".py")))
    words = set(re.findall(r"\w+", sources))
    keys = set(re.findall(r'\{ "(\w+)(?: DOMAIN)?", "(\w+)", KEY_',
                          (ROOT / "base" / "config_keys.c").read_text()))

    def is_there(name):
        key = re.fullmatch(r"\[(\w+)\] (\w+)(?: = .*)?", name)
        if key:
            return key.groups() in keys
        if re.fullmatch(r"(\w+)\(\)|[a-z0-9]+(_[a-z0-9]+)+", name):
            return name.removesuffix("()") in words
        return None

    check_names(is_there, 40)


def test_commands_that_are_named_are_there():
    commands = set(re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", bode("help"), re.M))
    named = set()
    for page in PAGES:
        named |= set(re.findall(r"(?:^    |`|; )bode ([a-z]+(?: [a-z]+)?)", (ROOT / page).read_text(),
                                re.M))
    assert len(named) > 20
    assert not [name for name in named if name not in commands and name.split()[0] not in commands]
