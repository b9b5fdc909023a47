"""The queue's promise, at random: whatever the other server does, and whichever process is killed,
each recipient ends with the message once or with one report. Where the other server's answer to the
content was lost, or a process was killed before it was written down, the message may be there twice;
those are counted.

BODE_SEED repeats a run."""
import os
import random
import re
import signal

from relaying import queue_is_empty, reports, start, wait_until  # noqa: F401
from remote import DROP, RESET, Remote

MESSAGES, KILLS = 60, 5
UNDER_WAY_MAX = 20  # to one destination (smtpd/relay/hop_pace_priv.h)


class Moody(Remote):
    """Mostly good; who is to be refused for good is known from his name."""

    def __init__(self, dice):
        super().__init__()
        self.dice, self.lost = dice, []
        self.rules = {stage: self.rule_of(stage, fine) for stage, fine in
                      [("GREETING", "220 hello"), ("MAIL", "250 fine"), ("DATA", "354 go"),
                       ("END", "250 2.0.0 queued")]}
        self.rules["RCPT"] = self.rcpt

    def rule_of(self, stage, fine):
        def rule(line):
            mood = self.dice.random()
            if mood < 0.80:
                return fine
            bad = self.dice.choice([DROP, "451 4.3.0 later", "421 4.3.2 closing", "garbage"])
            if stage == "END" and not isinstance(bad, str):
                bad = RESET
            return bad
        return rule

    def rcpt(self, line):
        if "bad" in line:
            return "550 5.1.1 nobody"
        return "450 4.2.1 later" if self.dice.random() < 0.15 else "250 2.1.5 fine"

    def take(self, say, sender, recipients, content):
        before = len(self.messages)
        good = super().take(say, sender, recipients, content)
        if not good:
            with self.lock:
                self.lost += [r for m in self.messages[before:] for r in m.recipients]
        return good


def test_each_recipient_ends_once(start):  # noqa: F811
    seed = int(os.environ.get("BODE_SEED", random.randrange(10**6)))
    print("BODE_SEED", seed)
    dice = random.Random(seed)
    moody = Moody(random.Random(seed + 1))
    server = start(moody, "suppress = 0\n")
    everybody, kills = [], set(dice.sample(range(5, MESSAGES), KILLS))
    for number in range(MESSAGES):
        names = [f"{dice.choice(['good', 'good', 'bad'])}{number}x{n}@far.example"
                 for n in range(dice.randint(1, 4))]
        everybody += names
        with server.submission("alice@example.org") as client:
            client.sendmail("alice@example.org", names,
                            f"From: alice@example.org\r\nSubject: {number}\r\n\r\nhello\r\n")
        if number in kills:
            os.kill(server.children()[dice.choice(["front", "back"])], signal.SIGKILL)
            wait_until(lambda: len(server.children()) == 2, "both processes")
            server.wait_ready()
    wait_until(lambda: queue_is_empty(server), "an empty queue", 300)

    delivered = [r for m in moody.messages for r in m.recipients]
    bounced = [re.sub("^rfc822; ", "", part["Final-Recipient"]) for report in reports(server)
               for part in report.get_payload(1).get_payload()[1:] if part["Action"] == "failed"]
    assert sorted(bounced) == sorted(name for name in everybody if "bad" in name), seed
    assert set(delivered) == {name for name in everybody if "good" in name}, seed
    twice = len(delivered) - len(set(delivered))
    # A reply that was lost is one more attempt; so is what a kill met. No other reason is known.
    assert twice <= len(moody.lost) + KILLS * UNDER_WAY_MAX * 4, seed
    without_kills = [r for r in set(delivered) if delivered.count(r) > 1 + moody.lost.count(r)]
    assert len(without_kills) <= KILLS * UNDER_WAY_MAX, seed
    assert server.log().count("uncertain=1") >= 1 or not moody.lost, seed
    assert server.bode("verify")
    moody.stop()
