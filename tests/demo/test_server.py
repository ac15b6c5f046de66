"""The server of the page, before and without Gradio."""

import re
import socket
import sys

import pytest

from asteroid_slicq.cli import main
from asteroid_slicq.demo import DemoServer, DemoSettings, server
from tests.helpers import Split


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def test_the_first_free_port_is_taken(taken, monkeypatch):
    monkeypatch.setattr(server, "_FIRST_PORT", taken)
    assert taken < server._free_port("127.0.0.1", None) < taken + 100
    monkeypatch.setattr(server, "_N_PORTS", 1)
    with pytest.raises(OSError, match=rf"127.0.0.1: cannot listen on port {taken} \(Address"):
        server._free_port("127.0.0.1", None)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("300.1.1.1", "is no address of this machine"),
        ("192.0.2.1", "cannot listen on port 7860 (Cannot assign requested address)"),
    ],
)
def test_other_hosts_are_refused_at_once(host, reason):
    with pytest.raises(OSError, match=re.escape(f"{host}: {reason}")):
        server._free_port(host, None)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(server.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "")
    return tmp_path


def test_nothing_stays_of_a_server_that_cannot_start(temporary, monkeypatch):
    monkeypatch.setitem(sys.modules, "asteroid_slicq.demo.page", None)
    with pytest.raises(ImportError), DemoServer(DemoSettings({"split": Split})):
        pass
    assert not list(temporary.iterdir())


def test_what_a_killed_server_left_is_removed(temporary, monkeypatch):
    left = temporary / ".asteroid-slicq-demo-01234567.part"
    (left / "ticket").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "asteroid_slicq.demo.page", None)
    with pytest.raises(ImportError), DemoServer(DemoSettings({"split": Split})):
        pass
    assert not left.exists()


def test_the_command_says_what_is_missing(temporary, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "asteroid_slicq.demo.page", None)
    assert main(["demo"]) == 2
    assert "the page needs Gradio: pip install 'asteroid-slicq[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["--port 0", "--port 65536", "--max-minutes 0", "--max-mb -1", "--jobs 0", "--keep-minutes x"],
)
def test_options_out_of_range_are_refused(option, capsys):
    assert main(["demo", *option.split()]) == 2
    assert f"argument {option.split()[0]}" in capsys.readouterr().err
