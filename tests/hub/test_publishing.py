"""Facts about publishing: what the command writes, what the Hub gets, and how it fails.

The Hub is ``hub_server`` on loopback; its client is the real one, in processes of its own, since it
reads its address when it is imported.
"""

import json
import re

import pytest
import torch

from asteroid_slicq.cli import main
from asteroid_slicq.hub import publishing
from tests.hub.helpers import (
    FILES,
    NO_XET,
    SCORES,
    run_python,
    tiny_mix,
    tiny_model,
    write_malware,
)
from tests.hub_server import HubServer, Repository


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An experiment's folder, as the recipe leaves it."""
    folder = tmp_path_factory.mktemp("experiment")
    torch.save(tiny_model().serialize(), folder / "best_model.pth")
    (folder / "metrics.json").write_text(json.dumps(SCORES))
    (folder / "conf.yml").write_text("optim: {lr: 0.25}\n")
    return folder / "best_model.pth"


def test_a_dry_run_writes_the_folder_and_asks_nobody(checkpoint, tmp_path, capsys):
    command = ["publish", str(checkpoint), "--repo", "user/tiny", "--dry-run"]
    command += ["-o", str(tmp_path / "out"), "--trained-on", "musdb18-hq"]
    metrics = ["--metrics", str(checkpoint.parent / "metrics.json")]
    assert main([*command, *metrics, "--license", "mit"]) == 0
    captured = capsys.readouterr()
    assert "nothing was published" in captured.out
    assert "non-commercial use, which the licence mit does not say" in captured.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert "lr: 0.25" in (tmp_path / "out" / "README.md").read_text()
    assert main(command) == 2
    assert "holds pytorch_model.bin, model.safetensors, config.json" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_dry_run_writes_into_the_current_folder(checkpoint, tmp_path, monkeypatch):
    """Beside what lies there, and where the folder around it is not ours."""
    outer, inner = tmp_path, tmp_path / "inner"
    inner.mkdir()
    (inner / "notes.txt").write_text("mine")
    monkeypatch.chdir(inner)
    made = []
    make = publishing.hidden_folder
    monkeypatch.setattr(
        publishing, "hidden_folder", lambda target: made.append(target) or make(target)
    )
    command = ["publish", str(checkpoint), "--repo", "user/tiny", "--dry-run", "-o", "."]
    assert main([*command, "--trained-on", "mine"]) == 0
    assert {path.name for path in inner.iterdir()} == {*FILES, "notes.txt"} - {"evaluation.json"}
    assert [path.name for path in outer.iterdir()] == ["inner"]
    assert [target.parent.resolve() for target in made] == [inner]
    assert main([*command, "--trained-on", "mine"]) == 2


@pytest.mark.parametrize("dataset", ["musdb18-hq", None])
def test_scores_of_other_tracks_are_not_those_of_the_test_set(
    checkpoint, tmp_path, capsys, dataset
):
    (tmp_path / "metrics.json").write_text(json.dumps({**SCORES, "dataset": dataset}))
    command = ["publish", str(checkpoint), "--repo", "user/tiny", "--dry-run"]
    command += ["-o", str(tmp_path / "out"), "--trained-on", "musdb18-hq"]
    assert main([*command, "--metrics", str(tmp_path / "metrics.json")]) == 0
    warned = "not of the 50 test tracks of MUSDB18-HQ" in capsys.readouterr().err
    card = (tmp_path / "out" / "README.md").read_text()
    assert warned == ("other tracks" in card) == (dataset is None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere.pth", "--repo", "user/tiny", "--dry-run"], "no such file"),
        (["MODEL", "--repo", "tiny", "--dry-run"], "must be user/name"),
        (["MODEL", "--repo", "user/tiny", "-o", "x"], "go with --dry-run"),
        (["MODEL", "--repo", "user/tiny", "--metrics", "x"], "the data of the scores"),
        (["MODEL", "--repo", "user/tiny", "--metrics", "x", "--trained-on", "y"], "No such file"),
        (["MODEL", "--repo", "user/tiny", "--settings", "MODEL", "--dry-run"], "is no YAML"),
    ],
)
def test_wrong_options(checkpoint, tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    arguments = [str(checkpoint) if word == "MODEL" else word for word in options]
    assert main(["publish", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Each case: token, options; "offline" and "unreachable" stand for what they say.
PUBLISHER = """
import contextlib, io, json, os, sys
from huggingface_hub import constants
from asteroid_slicq.cli import main

results = []
for token, options in json.load(sys.stdin):
    os.environ.pop("HF_TOKEN", None)
    if "-" in token:
        os.environ["HF_TOKEN"] = token
    endpoint = constants.ENDPOINT
    if token == "offline":
        constants.HF_HUB_OFFLINE, os.environ["HF_TOKEN"] = True, "user-write"
    if token == "unreachable":
        constants.ENDPOINT, os.environ["HF_TOKEN"] = "http://127.0.0.1:9", "user-write"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["publish", *options])
    constants.HF_HUB_OFFLINE, constants.ENDPOINT = False, endpoint
    results.append([code, out.getvalue(), err.getvalue()])
json.dump(results, sys.stdout)
"""

FAILURES = {
    "no token": ("none", "user/tiny", [], "no token"),
    "wrong token": ("nobody-write", "user/tiny", [], "does not accept the token"),
    "reading token": ("user-read", "user/tiny", [], "no right to write there"),
    "another's": ("other-write", "user/tiny", [], "no right to write there"),
    "no name": ("user-write", "tiny", [], "must be user/name"),
    "licence": (
        "user-write",
        "user/tiny",
        ["--license", "nonsense"],
        "refuses the card (license must",
    ),
    "offline": ("offline", "user/tiny", [], "HF_HUB_OFFLINE is set"),
    "unreachable": ("unreachable", "user/tiny", [], "cannot be reached at http://127.0.0.1:9"),
    "out of order": ("user-write", "user/broken", [], "the Hub fails (500"),
}
SUCCESSES = [
    ("user-write", "user/tiny", []),
    ("user-write", "user/tiny", ["--private"]),  # it is public
    ("other-write", "user/tiny", []),
    ("user-write", "user/hidden", ["--private"]),
]


@pytest.fixture(scope="module")
def published(checkpoint, tmp_path_factory):
    """The server, and how each attempt to publish ended: code, output, errors."""
    options = ["--trained-on", "procedural", "--metrics", str(checkpoint.parent / "metrics.json")]
    with HubServer() as server:
        server.broken = r"POST /api/models/user/broken/commit"
        attempts = [
            [token, [str(checkpoint), "--repo", repo, *options, *more]]
            for token, repo, more, *_ in [*FAILURES.values(), *SUCCESSES]
        ]
        home = tmp_path_factory.mktemp("home")
        stdout = run_python(PUBLISHER, server, home, json.dumps(attempts), **NO_XET)
        yield server, json.loads(stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_one_sentence(published, name):
    code, out, err = published[1][list(FAILURES).index(name)]
    assert (code, out) == (2, "")
    assert FAILURES[name][-1] in err
    assert re.fullmatch(r"asteroid-slicq: [^\n]+\n", err)


@pytest.mark.slow
def test_what_failed_changed_nothing(published):
    server, results = published
    first, to_public, of_another, hidden = results[len(FAILURES) :]
    assert (first[0], hidden[0]) == (0, 0)
    assert f"{server.endpoint}/user/tiny: pytorch_model.bin" in first[1]
    assert to_public[0] == of_another[0] == 2
    assert "is there already, and public" in to_public[2]
    assert set(server.repositories) == {"user/tiny", "user/hidden", "user/broken"}
    assert server.repositories["user/broken"].files == {}
    assert server.repositories["user/hidden"].private


@pytest.mark.slow
def test_everything_is_published_in_one_commit(published):
    server, _ = published
    repository = server.repositories["user/tiny"]
    assert not repository.private
    assert [sorted(files) for files in repository.commits] == [[], FILES]
    assert len(repository.etags["pytorch_model.bin"]) == 64  # by LFS
    assert len(repository.etags["README.md"]) == 40


READER = """
import json, sys
import torch
from asteroid.models import BaseModel
import asteroid_slicq
from asteroid_slicq.hub import ModelFileError, load_model

mix, target = torch.load(sys.stdin.readline().strip()), sys.stdin.readline().strip()
loaded = {}
for name, load, repo in (
    ("bin", BaseModel.from_pretrained, "user/tiny"),
    ("both", load_model, "user/tiny"),
    ("revision", load_model, "user/tiny@main"),
    ("safetensors", load_model, "user/light"),
    ("plain", load_model, "user/plain"),
):
    model = load(repo).eval()
    with torch.no_grad():
        loaded[name] = {"state": model.state_dict(), "output": model(mix)}
torch.save(loaded, target)
errors = []
for load in (load_model, BaseModel.from_pretrained):
    try:
        load("user/evil")
    except Exception as error:
        errors.append([type(error).__name__, str(error)])
json.dump(errors, sys.stdout)
"""


@pytest.mark.slow
def test_a_new_process_reads_the_same_model(published, tmp_path):
    server, _ = published
    files = server.repositories["user/tiny"].files
    model, proof = tiny_model(), tmp_path / "proof"
    write_malware(tmp_path / "evil.bin", proof)
    variants = {
        "light": {name: files[name] for name in ("model.safetensors", "config.json")},
        "plain": {name: files[name] for name in ("pytorch_model.bin", "README.md")},
        "evil": {"pytorch_model.bin": (tmp_path / "evil.bin").read_bytes()},
    }
    for name, content in variants.items():
        server.repositories[f"user/{name}"] = Repository(commits=[content])
    torch.save(tiny_mix(), tmp_path / "mix.pth")
    stdin = f"{tmp_path / 'mix.pth'}\n{tmp_path / 'loaded.pth'}\n"
    errors = json.loads(run_python(READER, server, tmp_path / "home", stdin))
    loaded = torch.load(tmp_path / "loaded.pth", weights_only=True)
    assert set(loaded) == {"bin", "both", "revision", "safetensors", "plain"}
    with torch.no_grad():
        output = model(tiny_mix())
    for each in loaded.values():
        assert each["state"].keys() == model.state_dict().keys()
        assert all(torch.equal(each["state"][k], v) for k, v in model.state_dict().items())
        assert torch.equal(each["output"], output)
    assert [kind for kind, _ in errors] == ["ModelFileError", "UnpicklingError"]
    assert re.search(r"is refused: besides weights it holds \w+\.mkdir,", errors[0][1])
    assert not proof.exists()
