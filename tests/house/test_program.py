"""What the built program must and must not be linked with, how it is hardened, where it is installed."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BODE = os.environ.get("BODE", str(ROOT / "build-test" / "bode"))


@pytest.fixture(scope="module")
def libraries():
    if not os.path.exists(BODE):
        pytest.skip("the program is not built")
    return subprocess.run(["ldd", BODE], check=True, capture_output=True, text=True).stdout


def test_no_openssl_beside_boringssl(libraries):
    # Debian's OpenSSL has a version in its name; BoringSSL's libcrypto.so.0 has not that one.
    assert "libcrypto.so.3" not in libraries
    assert "libssl.so.3" not in libraries
    assert "libcrypto.so" in libraries


def test_position_independent_with_full_relro():
    if not os.path.exists(BODE):
        pytest.skip("the program is not built")
    headers = subprocess.run(["readelf", "-hldW", BODE], check=True, capture_output=True,
                             text=True).stdout
    assert "DYN (Position-Independent Executable" in headers
    assert "GNU_RELRO" in headers


def test_what_is_installed_starts(tmp_path):
    """meson takes out of what it installs where the libraries of the build are, unless it is told."""
    build = pathlib.Path(BODE).parent
    if not os.path.exists(BODE) or not (build / "meson-info").is_dir():
        pytest.skip("the program is not built")
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild"], check=True, capture_output=True,
                   env={**os.environ, "DESTDIR": str(tmp_path)})
    installed = list(tmp_path.rglob("bin/bode"))
    assert len(installed) == 1
    done = subprocess.run([installed[0], "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "usage: bode" in done.stdout, done.stderr
    for file in ("man8/bode.8", "system/bode.service", "sysusers.d/bode.conf", "tmpfiles.d/bode.conf"):
        assert len(list(tmp_path.rglob(file))) == 1, file


def commands_of(*words):
    """What make would run."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True,
                          text=True, env={**os.environ, "MAKEFLAGS": ""}).stdout.splitlines()


def test_it_is_installed_under_the_prefix_that_is_named(monkeypatch):
    """Whatever the build was set up with; where none is named, it keeps that."""
    monkeypatch.delenv("PREFIX", raising=False)
    changed = "meson configure build -Dprefix=/opt/bode"
    commands = commands_of("install", "PREFIX=/opt/bode", "DESTDIR=/tmp/x")
    built = commands.index("ninja -C build --quiet bode")
    assert changed in commands[:built]
    assert "DESTDIR=/tmp/x meson install -C build --no-rebuild" in commands[built:]
    assert not any("meson configure" in command for command in commands_of("install"))
