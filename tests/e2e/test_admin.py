"""The command line: every command, its JSON, and its words where something is wrong."""
import json
import os
import subprocess

from server import BODE, Server, open_to_all


def bare(*words, typed=b"", folder=None):
    done = subprocess.run([BODE, *words], input=typed, capture_output=True, cwd=folder)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_help_version_and_wrong_usage():
    status, out, _ = bare("help")
    assert status == 0 and "user add" in out
    status, out, _ = bare("version")
    assert status == 0 and out.startswith("bode ")
    assert bare("--version")[0] == 0
    for words in ([], ["dance"], ["user"], ["user", "add"], ["--nonsense"], ["domain", "list", "x"],
                  ["user", "list", "--nonsense"]):
        status, out, problem = bare(*words)
        assert status == 2 and problem and not out, words


def test_a_limit_for_files_is_an_error_and_no_end(tmp_path):
    """Met where the redo log is made, of which all room is taken at once."""
    (tmp_path / "state").mkdir()
    config = tmp_path / "bode.conf"
    config.write_text(f"[server]\nhostname = localhost\nstate_dir = {tmp_path / 'state'}\n")
    limit = ["prlimit", "--fsize=6000000", BODE, "--config", config]
    done = subprocess.run([*limit, "domain", "add", "example.org"], capture_output=True, text=True)
    assert done.returncode == 1 and "the disk is full; make room" in done.stderr
    assert bare("--config", config, "domain", "add", "example.org")[0] == 0


def test_domains_users_and_aliases(new_server):
    server = new_server()
    assert json.loads(server.bode("domain", "list", "--json")) == [
        {"domain": "example.org", "alias_of": "", "senders": "own", "hide_clients": "no"}]
    server.bode("domain", "add", "Bücher.example")
    assert "xn--bcher-kva.example" in server.bode("domain", "list")
    assert "already" in server.bode("domain", "add", "EXAMPLE.ORG", status=1)
    assert "no domain name" in server.bode("domain", "add", "not a domain", status=1)
    assert "remove them first" in server.bode("domain", "remove", "example.org", status=1)
    server.bode("domain", "remove", "bücher.example")
    assert "there is no domain" in server.bode("domain", "remove", "bücher.example", status=1)

    users = json.loads(server.bode("user", "list", "--json"))
    assert [user["user"] for user in users] == ["alice@example.org", "bob@example.org"]
    assert users[0]["messages"] == 0
    assert "already" in server.bode("user", "add", "Alice@example.org", "--password-stdin",
                                    typed="x\n", status=1)
    assert "bode domain add" in server.bode("user", "add", "x@elsewhere.example",
                                            "--password-stdin", typed="x\n", status=1)
    assert "no mail address" in server.bode("user", "add", "alice", "--password-stdin",
                                            typed="x\n", status=1)
    assert "no password" in server.bode("user", "add", "c@example.org", "--password-stdin", status=1)
    assert "--password-stdin" in server.bode("user", "add", "c@example.org", status=1)
    server.bode("user", "add", "q@example.org", "--password-stdin", "--quota", "10 MiB",
                typed="x\n")
    assert "10.0 MiB" in server.bode("user", "list")
    assert "--yes" in server.bode("user", "remove", "q@example.org", status=1)
    server.bode("user", "remove", "q@example.org", "--yes")
    assert "there is no user" in server.bode("user", "remove", "q@example.org", "--yes", status=1)
    assert "there is no user" in server.bode("user", "password", "q@example.org",
                                             "--password-stdin", typed="x\n", status=1)

    server.bode("alias", "add", "team@example.org", "alice@example.org")
    server.bode("alias", "add", "team@example.org", "bob@example.org", "alice@example.org")
    assert json.loads(server.bode("alias", "list", "--json")) == [
        {"alias": "team@example.org", "targets": ["alice@example.org", "bob@example.org"],
         "post": "anybody", "posters": []}]
    assert "is a user" in server.bode("alias", "add", "bob@example.org", "alice@example.org",
                                      status=1)
    assert "add it first" in server.bode("alias", "add", "t@example.org", "no@example.org", status=1)
    server.bode("alias", "add", "t@example.org", "Xaver@Elsewhere.example")
    assert "Xaver@elsewhere.example" in server.bode("alias", "list")
    server.bode("alias", "remove", "t@example.org")
    assert "no target" in server.bode("alias", "remove", "team@example.org", "x@example.org",
                                      status=1)
    server.bode("alias", "remove", "team@example.org", "alice@example.org")
    assert "bob@example.org" in server.bode("alias", "list")
    server.bode("alias", "remove", "team@example.org")
    assert "there is no alias" in server.bode("alias", "remove", "team@example.org", status=1)
    assert json.loads(server.bode("alias", "list", "--json")) == []


def test_names_lists_and_catch_alls(new_server):
    server = new_server()
    server.bode("domain", "add", "other.example", "--alias-of", "example.org")
    server.bode("domain", "set", "example.org", "--senders", "domain", "--hide-clients", "yes")
    assert json.loads(server.bode("domain", "list", "--json")) == [
        {"domain": "example.org", "alias_of": "", "senders": "domain", "hide_clients": "yes"},
        {"domain": "other.example", "alias_of": "example.org", "senders": "own",
         "hide_clients": "no"}]
    assert "other name" in server.bode("alias", "add", "x@other.example", "bob@example.org", status=1)
    assert "another name" in server.bode("domain", "add", "third.example", "--alias-of",
                                         "other.example", status=1)
    assert "remove them first" in server.bode("domain", "remove", "example.org", status=1)
    assert "there is no domain" in server.bode("domain", "set", "no.example", "--senders", "own",
                                               status=1)
    assert "none of own" in server.bode("domain", "set", "example.org", "--senders", "all", status=2)

    server.bode("alias", "add", "@example.org", "bob@example.org")
    server.bode("alias", "add", "staff@example.org", "alice+staff@other.example", "bob@example.org")
    server.bode("alias", "post", "staff@example.org", "members", "ed@elsewhere.example")
    server.bode("alias", "add", "staff@example.org", "alice@example.org")
    assert json.loads(server.bode("alias", "list", "--json")) == [
        {"alias": "@example.org", "targets": ["bob@example.org"], "post": "anybody", "posters": []},
        {"alias": "staff@example.org", "post": "members", "posters": ["ed@elsewhere.example"],
         "targets": ["alice+staff@other.example", "bob@example.org", "alice@example.org"]}]
    server.bode("alias", "remove", "@example.org")
    # What would lead to nobody is refused as a whole, a loop that leads somewhere is not.
    server.bode("alias", "add", "a@example.org", "staff@example.org")
    server.bode("alias", "add", "b@example.org", "a@example.org")
    server.bode("alias", "add", "a@example.org", "b@example.org")
    assert "in a circle" in server.bode("alias", "remove", "a@example.org", "staff@example.org",
                                        status=1)
    assert "staff@example.org, b@example.org" in server.bode("alias", "list")
    assert "no alias" in server.bode("alias", "post", "bob@example.org", "users", status=1)
    assert "none of anybody" in server.bode("alias", "post", "a@example.org", "friends", status=2)


def test_deliver_files_a_message_and_wakes_the_server(new_server):
    server = new_server().start()
    imap = server.imap("alice@example.org")
    imap.send(b"i IDLE\r\n")
    assert imap.readline().startswith(b"+")
    server.bode("deliver", "alice@example.org", "--from", "cron@example.org",
                typed="Subject: by hand\n\nHello\n")
    while not imap.readline().rstrip().endswith(b"EXISTS"):
        pass
    imap.send(b"DONE\r\n")
    while not imap.readline().startswith(b"i OK"):
        pass
    message = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert message.startswith(b"Return-Path: <cron@example.org>\r\nReceived: ")
    assert message.endswith(b"\r\nSubject: by hand\r\n\r\nHello\r\n")
    assert "there is no user" in server.bode("deliver", "no@example.org", typed="x\n", status=1)
    assert "not served here" in server.bode("deliver", "a@elsewhere.example", typed="x\n", status=1)


def test_configuration_errors_come_all_at_once(tmp_path):
    config = tmp_path / "bode.conf"
    config.write_text("[server]\nhostname = mail.example.org\nhostnam = x\nloops = many\n"
                      "[listen]\nsmtp = 127.0.0.1\n[nonsense]\nx = 1\n")
    status, out, problems = bare("--config", str(config), "config", "check")
    assert status == 1
    for line in (3, 4, 6):
        assert f"{config}:{line}:" in problems
    assert "hostnam" in problems and "nonsense" in problems
    config.write_text("[server]\nhostname = mail.example.org\n")
    assert bare("--config", str(config), "config", "check")[0] == 0
    status, out, _ = bare("config", "--explain")
    assert status == 0 and "message_size" in out
    status, _, problems = bare("--config", str(tmp_path / "none"), "config", "check")
    assert status == 1 and str(tmp_path / "none") in problems


def test_setup_makes_everything(tmp_path):
    open_to_all(tmp_path)
    config, state = tmp_path / "bode.conf", tmp_path / "state"
    words = ["--config", str(config), "setup", "--hostname", "mail.example.net", "--domain",
             "example.net", "--user", "me@example.net", "--state-dir", str(state),
             "--password-stdin"]
    status, out, problems = bare(*words, typed=b"secret\n")
    assert status == 0, problems
    for text in ("mail.example.net", "993", "465", "me@example.net", "MX", "v=spf1", "_imaps._tcp"):
        assert text in out
    assert bare("--config", str(config), "config", "check")[0] == 0
    assert "me@example.net" in bare("--config", str(config), "user", "list")[1]
    assert "\npostmaster = me@example.net\n" in config.read_text()
    assert os.stat(state).st_mode & 0o777 == 0o700
    # Again: the configuration and the domain stay, the user is there already.
    status, out, problems = bare(*words, typed=b"secret\n")
    assert status == 1 and "already" in problems
    status, _, problems = bare("--config", str(tmp_path / "other.conf"), "setup", "--domain", "x")
    assert status == 1 and "--hostname" in problems


def test_a_store_that_cannot_be_opened_is_left_alone(tmp_path):
    server = Server(tmp_path)
    store = next(path for path in (tmp_path / "state").rglob("data.mdb"))
    noise = b"this is no store" * 4096
    store.write_bytes(noise)
    problem = server.bode("user", "list", status=1)
    assert len(problem.strip().splitlines()) == 1
    assert store.read_bytes() == noise
    status, out, problems = bare("--config", str(server.config), "serve")
    assert status == 1 and str(server.state) in problems
    assert store.read_bytes() == noise


def test_serve_says_when_a_port_is_taken(new_server):
    server, other = new_server().start(), new_server()
    problem = server.bode("serve", status=1)
    assert "in use by another running server" in problem
    other.ports = server.ports
    other.write_config()
    problem = other.bode("serve", status=1)
    assert str(server.ports["smtp"]) in problem
