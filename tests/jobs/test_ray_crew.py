"""Facts about workers on a cluster of Ray: they share the songs, and a lost one loses nothing."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.jobs import separate_files
from tests.helpers import Split, environment
from tests.jobs.helpers import Deadly, songs, stems, write_deadly_song

pytestmark = pytest.mark.slow


def test_a_cluster_that_is_not_there(folder, capsys, monkeypatch):
    songs(folder / "in", 1)
    monkeypatch.setattr(model_choice, "load_default_model", Split)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        # As long as it is bound, nobody else gets it and listens.
        assert main(["separate", "in", "-o", "out", "--ray", address]) == 2
    told = f"asteroid-slicq: Ray at {address}: cannot be reached (Connection refused)\n"
    assert capsys.readouterr().err == told
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["separate", "in", "-o", "out", "--ray", address]) == 2
    assert 'pip install "asteroid-slicq[ray]"' in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.fixture(scope="module")
def two_workers():
    """A cluster of this machine with two processors; the address by which to join it."""
    ray = pytest.importorskip("ray")
    options = {"num_cpus": 2, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]
    context = ray.init(address="local", log_to_driver=False, logging_level="error", **options)
    yield context.address_info["address"]
    ray.shutdown()


def test_a_worker_that_is_killed_loses_nothing(two_workers, folder):
    songs(folder / "in", 6)
    write_deadly_song(folder / "in" / "c.wav")
    deaths = folder / "deaths"
    deaths.mkdir()
    separate_files("in", "expected", Deadly(deaths), segment_s=0.5)
    (deaths / "once").touch()
    done = {}

    def note(job, done_s, total_s):
        for path in Path("out").rglob("*.wav"):
            done.setdefault(path, path.stat().st_ino)

    outcomes = separate_files(
        "in", "out", Deadly(deaths), ray=two_workers, segment_s=0.5, progress=note
    )
    assert {o.status for o in outcomes} == {"done"}
    # Again, given after all others, of which the other worker may still be at one.
    assert "c" in [o.job.track for o in outcomes][-2:]
    assert not list(deaths.iterdir())
    assert stems(Path("out")) == stems(Path("expected"))
    assert all(path.stat().st_ino == node for path, node in done.items())  # none twice
    lines = Path("out/.asteroid-slicq.jsonl").read_text().splitlines()
    assert len(lines) == 6
    assert not list(folder.rglob("*.part"))


RUN = """
import sys
from pathlib import Path
from asteroid_slicq.cli import main, model_choice
from tests.jobs.helpers import Deadly

model_choice.load_default_model = lambda: Deadly(Path("deaths"))
sys.exit(main(sys.argv[1:]))
"""


def test_a_command_joins_a_cluster(two_workers, folder):
    """What it reads and writes lies at addresses; the second run finds all done."""
    songs(folder / "in", 3)
    (folder / "deaths").mkdir()
    (folder / "run.py").write_text(RUN)
    places = [(folder / "in").as_uri(), "-o", (folder / "out").as_uri()]
    options = [*places, "--ray", two_workers, "--skip-existing", "--segment-seconds", "0.5"]
    lines = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "run.py", "separate", *options],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=3600,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines.append(done.stdout.splitlines()[-1])
    assert lines == ["3 songs: 3 separated", "3 songs: 0 separated, 3 done already"]
    separate_files("in", "expected", Deadly(folder / "deaths"), segment_s=0.5)
    assert stems(folder / "out") == stems(folder / "expected")
