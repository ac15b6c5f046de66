"""Facts about the image that hold without building it; CI builds and runs it."""

import json
import re
import shutil
import subprocess

import pytest
from packaging.requirements import Requirement

from asteroid_slicq.cli.program import parse
from tests.helpers import ROOT

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
PATH = ROOT / "recipes" / "Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions():
    """Pairs of a word and its arguments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", PATH.read_text()).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


STEPS = instructions()
RUNS = [rest for word, rest in STEPS if word == "RUN"]
LAST_STAGE = STEPS[max(i for i, step in enumerate(STEPS) if step[0] == "FROM") :]


def test_all_stages_are_of_one_base_with_a_version_that_the_package_supports():
    (base,) = {rest.split(" AS ")[0] for word, rest in STEPS if word == "FROM"}
    version, debian = re.fullmatch(r"python:(\d\.\d+)-slim-([a-z]+)", base).groups()
    assert debian not in ("latest", "stable", "oldstable")
    lowest = re.fullmatch(r">=(\d\.\d+)", PROJECT["project"]["requires-python"])[1]
    assert tuple(map(int, version.split("."))) >= tuple(map(int, lowest.split(".")))


def test_packages_of_debian_leave_no_lists_and_bring_no_others():
    installing = [run for run in RUNS if "apt-get" in run]
    assert installing
    for run in installing:
        first, second, last = (part.strip() for part in run.split("&&"))
        assert first == "apt-get update"
        assert second.startswith("apt-get install -y --no-install-recommends ")
        assert last == "rm -rf /var/lib/apt/lists/*"
        assert "RUN " + run not in [" ".join(step) for step in LAST_STAGE]


def test_torch_has_no_cuda_and_a_version_that_the_package_allows():
    assert ("ARG", "TORCH_INDEX=https://download.pytorch.org/whl/cpu") in STEPS
    (run,) = [run for run in RUNS if "torch==" in run]
    assert '--index-url "$TORCH_INDEX"' in run
    pins = dict(re.findall(r"(\w+)==([\d.]+)", run))
    assert pins["torch"] == pins["torchaudio"]
    needs = {r.name: r.specifier for r in map(Requirement, PROJECT["project"]["dependencies"])}
    assert all(needs[name].contains(version) for name, version in pins.items())
    assert RUNS.index(run) < RUNS.index("pip install --no-cache-dir .")
    assert all("--no-cache-dir" in run for run in RUNS if run.startswith("pip install"))


def test_who_runs_it_is_not_root_and_may_write_where_it_must():
    words = [word for word, _ in LAST_STAGE]
    (user,) = [rest for word, rest in LAST_STAGE if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in ("RUN", "COPY"))
    assert "chmod 1777 /cache /output" in dict(LAST_STAGE)["RUN"]


def test_the_entry_is_the_command_that_reads_input_and_writes_output():
    entry = json.loads(dict(LAST_STAGE)["ENTRYPOINT"])
    assert "CMD" not in dict(LAST_STAGE)
    args = parse([*entry[1:], "--stems", "vocals"])
    assert entry[0] == "asteroid-slicq"
    assert args.command == "separate"
    assert args.inputs == ["/input"]
    assert str(args.output) == "/output"
    assert args.stems == ("vocals",)


def test_what_is_copied_is_all_that_the_build_needs_and_is_not_ignored():
    copies = [rest.split()[:-1] for word, rest in STEPS if word == "COPY" and "--from" not in rest]
    copied = {name for names in copies for name in names}
    needed = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml"}
    assert copied == needed | set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert all((ROOT / name).exists() for name in copied)
    rules = (PATH.parent / "Dockerfile.dockerignore").read_text().splitlines()
    rules = {rule for rule in rules if not rule.startswith("#")}
    assert rules == {"*", "**/__pycache__"} | {f"!{name}" for name in copied}


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say():
    done = subprocess.run(["hadolint", PATH], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
