"""A backup holds the queue as well: what waits to be sent, what is held, to whom a user may not write,
and the key by which reports find their way back."""
import json

from relaying import MESSAGE, remote, queue, start, submit, wait_until  # noqa: F401
from remote import Remote
from test_backup import Restored


def state_of(server):
    entries = [json.loads(server.bode("queue", "show", str(entry["id"]), "--json"))
               for entry in queue(server)]
    return entries, json.loads(server.bode("suppress", "list", "--json"))


def test_the_queue_comes_back(start, remote, tmp_path):  # noqa: F811
    answers = {"held@": "450 4.2.1 not now", "gone@": "550 5.1.1 nobody", "wait@": "451 4.3.0 later"}
    remote.rules["RCPT"] = lambda line: next((reply for name, reply in answers.items()
                                              if name in line), "250 fine")
    server = start(remote)
    server.bode("alias", "add", "out@example.org", "bob@far.example")
    assert server.deliver("out@example.org", MESSAGE, "someone@elsewhere.example")[0] == 250
    path = wait_until(lambda: remote.messages, "what is forwarded")[0].sender
    submit(server, ["gone@far.example", "wait@far.example"])
    submit(server, ["held@far.example"])
    wait_until(lambda: len([e for e in queue(server) if e["attempts"]]) == 2, "attempts at both")
    held = next(e for e in queue(server) if e["to"] == ["held@far.example"])
    server.bode("queue", "hold", str(held["id"]))
    wait_until(lambda: json.loads(server.bode("suppress", "list", "--json")), "the suppression")
    server.stop()
    before = state_of(server)
    assert len(before[0]) == 2 and len(before[1]) == 1
    server.bode("backup", str(tmp_path / "backup"))

    restored = Restored(tmp_path / "restored", tmp_path / "backup")
    assert state_of(restored) == before
    assert restored.bode("verify")
    other = Remote()
    restored.write_config(f"[relay]\nretry = 1 s\n[route far.example]\nto = smtp:127.0.0.1:{other.port}\n"
                          f"[route elsewhere.example]\nto = smtp:127.0.0.1:{other.port}\n")
    restored.start()
    restored.bode("queue", "release", "--all")
    wait_until(lambda: sorted(m.recipients[0] for m in other.messages) ==
               ["held@far.example", "wait@far.example"], "what has waited")
    assert restored.deliver(path, b"Subject: report\r\n\r\nsorry\r\n", "")[0] == 250
    wait_until(lambda: ["someone@elsewhere.example"] in [m.recipients for m in other.messages],
               "the report")
    assert restored.stop() == 0
    restored.check_log()
    other.stop()
