"""Users at work, each a thread: what they do, and what must be there afterwards.

Two kinds. A Sender delivers by SMTP, each message with a text of its own, and knows which were
answered with 250. A Reader has an account to itself, so that it knows to the octet what is in
it, UIDs and flags and all; where a command got no answer there are two possibilities, and the
next look tells which came true. After that look there is one again."""
import copy
import random
import re
import threading
import time

from wire import Imap, Smtp, TurnedAway, Unanswered

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "work", "$Forwarded")
NAMES = ("INBOX", "Archive", "one", "two", "one/three")


def text_of(token):
    """A message that nobody else sends, of a length of its own."""
    dice = random.Random(token)
    size = 200_000 if dice.random() < 0.02 else int(dice.expovariate(1 / 3000))
    line = "".join(dice.choices("abcdefghijklmnop qrstuvwxyz.", k=70)).strip(". ") + "x\r\n"
    return (f"Subject: {token}\r\nFrom: <sender@elsewhere.example>\r\n\r\n".encode() +
            line.encode() * (1 + size // len(line)))


class User(threading.Thread):
    def __init__(self, server, name, seed):
        super().__init__(name=name, daemon=True)
        self.server, self.dice = server, random.Random(f"{name} {seed}")
        self.stopping, self.problem, self.answered, self.turned_away = False, None, 0, 0
        self.unanswered = []  # why

    def run(self):
        try:
            while not self.stopping:
                try:
                    self.session()
                except TurnedAway:
                    self.turned_away += 1
                    time.sleep(0.05)
                except Unanswered as why:
                    self.unanswered.append(str(why))
                    time.sleep(0.05)
        except BaseException as problem:  # told by finish(), in the test's own thread
            self.problem = problem

    def finish(self):
        self.stopping = True
        self.join(120)
        assert not self.is_alive(), f"{self.name} hangs"
        if self.problem:
            raise AssertionError(f"{self.name}: {self.problem}") from self.problem


# ---- senders ----

class Sender(User):
    """`recipients` is a list of lists: to whom a message may go. Where nobody is killed a refusal
    is `final`: the message is not there."""

    def __init__(self, server, name, seed, recipients, final=False):
        super().__init__(server, name, seed)
        self.recipients, self.count, self.final, self.refused = recipients, 0, final, 0
        self.acknowledged, self.perhaps = [], []  # (token, recipients)

    def session(self):
        with Smtp(self.server.ports["smtp"]) as smtp:
            while not self.stopping:
                self.count += 1
                to = self.dice.choice(self.recipients)
                item = (f"{self.name}-{self.count}", to)
                self.perhaps.append(item)
                code, text = smtp.deliver("sender@elsewhere.example", to, text_of(item[0]))
                # With 4xx the sender tries again: that it is there is no lie where somebody may
                # have died after the commit.
                assert code == 250 or 400 <= code < 500, (code, text)
                if code == 250 or self.final:
                    self.perhaps.pop()
                if code == 250:
                    self.acknowledged.append(item)
                    self.answered += 1
                elif code == 421:
                    raise TurnedAway(text)
                else:
                    self.refused += 1
                    time.sleep(0.02)


def check_delivery(server, senders, users, password):
    """Every acknowledged message is there exactly once in an account, whatever mailbox it was
    moved to; every other at most once; each unchanged."""
    for user in users:
        found = {}
        with Imap(server.ports["imap"], user, password) as imap:
            for mailbox in imap.mailboxes():
                for uid, (text, _) in imap.messages(mailbox)[0].items():
                    token = re.search(rb"^Subject: (.*)\r$", text, re.M).group(1).decode()
                    assert token not in found, f"{user}: {token} in {mailbox} and {found[token]}"
                    found[token] = mailbox
                    assert text.endswith(text_of(token)), f"{user}: {token} was altered"
        for sender in senders:
            for token, to in sender.acknowledged:
                if user in to:
                    assert found.pop(token, None), f"{user}: {token} was lost"
            for token, to in sender.perhaps:
                if user in to:
                    found.pop(token, None)
        assert not found, f"{user}: nobody sent {list(found)}"


class Mover(User):
    """Clears up somebody's INBOX while mail arrives there."""

    def __init__(self, server, name, seed, user, password):
        super().__init__(server, name, seed)
        self.user, self.password = user, password
        self.texts = {}  # (UIDVALIDITY, UID): token, of all that was ever seen

    def session(self):
        with Imap(self.server.ports["imap"], self.user, self.password) as imap:
            while not self.stopping:
                messages, uidvalidity = imap.messages("INBOX")
                for uid, (text, _) in messages.items():
                    token = text.split(b"\r\nSubject: ")[-1][:40]
                    seen = self.texts.setdefault((uidvalidity, uid), token)
                    assert seen == token, f"UID {uid} is another message now"
                if messages:
                    imap.select("INBOX")
                    chosen = self.dice.sample(sorted(messages),
                                              self.dice.randint(1, len(messages)))
                    answer = imap.ask(f"UID MOVE {','.join(map(str, chosen))} Archive")
                    assert answer.ok, answer.text
                    self.answered += 1
                time.sleep(self.dice.random() / 10)


# ---- readers ----

class Box:
    def __init__(self, uidvalidity, after=0):
        self.uidvalidity = uidvalidity  # None: not known yet, above `after`
        self.after, self.uidnext, self.messages = after, 1, {}

    def add(self, token, flags):
        self.messages[self.uidnext] = (token, frozenset(flags))
        self.uidnext += 1
        return self.uidnext - 1


class Refused(Exception):
    """For want of room, or of a disk: nothing has changed."""


class Reader(User):
    """`refusals` are the codes by which a command may be refused."""

    def __init__(self, server, name, seed, user, password, refusals=()):
        super().__init__(server, name, seed)
        self.user, self.password, self.count = user, password, 0
        self.refusals, self.refused = refusals, 0
        self.possible = None  # states: {name: Box}; more than one after a missing answer
        self.uidvalidities = {}  # name: the highest that it had

    def session(self):
        with Imap(self.server.ports["imap"], self.user, self.password) as imap:
            self.look(imap)
            while not self.stopping:
                try:
                    self.work(imap)
                except Refused:
                    self.refused += 1
                    self.look(imap)

    # ---- looking ----

    def differs(self, state, found):
        """What is in `found` {name: (messages, UIDVALIDITY, status)} and not in the state."""
        if set(state) != set(found):
            return f"mailboxes {sorted(found)}, not {sorted(state)}"
        for name, box in state.items():
            messages, uidvalidity, status = found[name]
            if box.uidvalidity not in (None, uidvalidity) or uidvalidity <= box.after:
                return f"{name}: UIDVALIDITY {uidvalidity}, not {box.uidvalidity}, {box.after}"
            if status["UIDNEXT"] != box.uidnext:
                return f"{name}: UIDNEXT {status['UIDNEXT']}, not {box.uidnext}"
            if sorted(messages) != sorted(box.messages):
                return f"{name}: UIDs {sorted(messages)}, not {sorted(box.messages)}"
            for uid, (token, flags) in box.messages.items():
                if messages[uid][1] != flags:
                    return f"{name}: UID {uid} has {messages[uid][1]}, not {flags}"
                if messages[uid][0] != text_of(token):
                    return f"{name}: UID {uid} is not {token}"
        return None

    def look(self, imap):
        found = {}
        for name in imap.mailboxes():
            messages, uidvalidity = imap.messages(name)
            status = imap.status(name)
            unseen = sum("\\Seen" not in flags for _, flags in messages.values())
            assert (status["MESSAGES"], status["UNSEEN"], status["UIDVALIDITY"]) == \
                (len(messages), unseen, uidvalidity), f"{name}: {status}"
            found[name] = (messages, uidvalidity, status)
        if self.possible is None:
            self.possible = [{name: Box(uidvalidity)
                              for name, (_, uidvalidity, _) in found.items()}]
        differences = [self.differs(state, found) for state in self.possible]
        assert None in differences, f"{self.user}: {' and '.join(differences)}"
        self.possible = [self.possible[differences.index(None)]]
        for name, box in self.state().items():
            box.uidvalidity = found[name][1]
            self.uidvalidities[name] = max(box.uidvalidity, self.uidvalidities.get(name, 0))

    def state(self):
        assert len(self.possible) == 1
        return self.possible[0]

    # ---- working ----

    def attempt(self, imap, after, command, literal=None):
        """A command that makes `after` of the state. Without an answer it did, or did not."""
        before = self.state()
        self.possible = [before, after]
        answer = imap.ask(command, literal)
        if any(answer.text.startswith(f"NO [{code}]") for code in self.refusals):
            self.possible = [before]
            raise Refused
        assert answer.ok, f"{command}: {answer.text}"
        self.possible = [after]
        self.answered += 1
        return answer

    def work(self, imap):
        after = copy.deepcopy(self.state())
        name = self.dice.choice(sorted(after))
        box = after[name]
        uids = sorted(self.dice.sample(sorted(box.messages),
                                       min(len(box.messages), self.dice.randint(1, 5))))
        what = self.dice.choice(["append"] * 4 + ["flags", "flags", "copy", "move", "expunge",
                                                  "create", "delete"])
        if what in ("flags", "copy", "move", "expunge") and not uids:
            what = "append"
        getattr(self, what)(imap, after, name, uids)

    def append(self, imap, after, name, uids):
        self.count += 1
        token = f"{self.name}-{self.count}"
        flags = self.dice.sample(FLAGS, self.dice.randint(0, 3))
        uid = after[name].add(token, flags)
        answer = self.attempt(imap, after, f'APPEND "{name}" ({" ".join(flags)})', text_of(token))
        assert answer.code("APPENDUID") == [str(after[name].uidvalidity), str(uid)], answer.text

    def flags(self, imap, after, name, uids):
        imap.select(name)
        sign = self.dice.choice(("+", "-", ""))
        flags = set(self.dice.sample(FLAGS, self.dice.randint(1, 3)))
        for uid in uids:
            token, old = after[name].messages[uid]
            new = old | flags if sign == "+" else old - flags if sign == "-" else flags
            after[name].messages[uid] = (token, frozenset(new))
        self.attempt(imap, after, f"UID STORE {','.join(map(str, uids))} {sign}FLAGS.SILENT "
                     f"({' '.join(sorted(flags))})")

    def copy(self, imap, after, name, uids, verb="COPY"):
        imap.select(name)
        to = self.dice.choice(sorted(set(after) - {name}))
        new = [after[to].add(*after[name].messages[uid]) for uid in uids]
        if verb == "MOVE":
            for uid in uids:
                del after[name].messages[uid]
        answer = self.attempt(imap, after, f'UID {verb} {",".join(map(str, uids))} "{to}"')
        uidvalidity, _, copies = answer.code("COPYUID")
        assert int(uidvalidity) == after[to].uidvalidity
        assert copies == (f"{new[0]}:{new[-1]}" if len(new) > 1 else str(new[0])), answer.text

    def move(self, imap, after, name, uids):
        self.copy(imap, after, name, uids, "MOVE")

    def expunge(self, imap, after, name, uids):
        imap.select(name)
        for uid in uids:
            token, old = after[name].messages[uid]
            after[name].messages[uid] = (token, old | {"\\Deleted"})
        self.attempt(imap, after, f"UID STORE {','.join(map(str, uids))} +FLAGS (\\Deleted)")
        after = copy.deepcopy(after)
        for uid in uids:
            del after[name].messages[uid]
        self.attempt(imap, after, f"UID EXPUNGE {','.join(map(str, uids))}")

    def create(self, imap, after, name, uids):
        missing = [name for name in NAMES if name not in after]
        if not missing:
            return
        for made in {missing[0], missing[0].split("/")[0]} - set(after):
            after[made] = Box(None, self.uidvalidities.get(made, 0))
        self.attempt(imap, after, f'CREATE "{missing[0]}"')
        self.look(imap)

    def delete(self, imap, after, name, uids):
        # One with inferiors would stay as a name.
        if name in ("INBOX", "Archive", "one") or name not in NAMES or self.dice.random() < 0.5:
            return
        imap.select("INBOX")
        del after[name]
        self.attempt(imap, after, f'DELETE "{name}"')
