"""Fixtures: `server` runs with the users alice and bob; `new_server` makes more of them."""
import pytest

import server as servers
from server import Server


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes its time; it begins first, beside the others")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """What the servers that run have said goes along with a failure: it may not come again."""
    report = (yield).get_result()
    for one in servers.started if report.failed else ():
        if one.is_running() and hasattr(report.longrepr, "addsection"):
            said = one.log().splitlines()[-40:]
            report.longrepr.addsection(f"log of {one.folder}", "\n".join(said))


def make(folder, settings="", users=("alice@example.org", "bob@example.org")):
    server = Server(folder, settings)
    for user in users:
        server.add_user(user)
    return server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests of a file; what a test leaves in mailboxes the next one finds."""
    one = make(tmp_path_factory.mktemp("bode")).start()
    yield one
    assert one.stop() == 0, one.log()[-4000:]
    one.check_log()


@pytest.fixture
def new_server(tmp_path):
    """A function that makes a server, not yet started; stopped when the test ends."""
    made = []

    def new(settings="", users=("alice@example.org", "bob@example.org")):
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(make(folder, settings, users))
        return made[-1]

    yield new
    for one in made:
        if one.process:
            one.stop()
            one.check_log()
