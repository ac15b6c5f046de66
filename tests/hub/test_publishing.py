"""Facts about publishing: what is written, that it comes back bit for bit, and how it fails.

The Hub is ``hub_server`` on loopback; its client is the real one, in processes of its own, since it
reads its address when it is imported.
"""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from asteroid.models import BaseModel, ConvTasNet
from safetensors.torch import load_file

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.hub import CardFacts, ModelFileError, load_model, publishing
from asteroid_slicq.hub.publishing import PublishError, check_repo_id, write_repository
from asteroid_slicq.separation import fingerprint
from tests.helpers import ROOT
from tests.hub_server import HubServer, Repository

FACTS = CardFacts("user/tiny", "procedural")
SCORES = {"split": "test", "n_tracks": 1, "scores": {"model": {"sdr": {"mean": 1.5}}}}
FILES = ["README.md", "config.json", "evaluation.json", "model.safetensors", "pytorch_model.bin"]


def tiny_model():
    torch.manual_seed(0)
    model = XUMXSliCQ(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    return model.eval()


def tiny_mix():
    return torch.randn(1, 2, 5000, generator=torch.Generator().manual_seed(1))


def assert_same(model, other):
    """The same class, arguments, weights and output, bit for bit."""
    assert type(other) is type(model)
    assert other.get_model_args() == model.get_model_args()
    assert model.state_dict().keys() == other.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model(tiny_mix()), other.eval()(tiny_mix()))


def write_malware(path, proof):
    """A pickle that makes the folder ``proof`` when it is unpickled without care."""

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(proof),)

    torch.save({"model_name": "XUMXSliCQ", "model_args": {}, "state_dict": Payload()}, path)
    torch.load(path, weights_only=False)
    proof.rmdir()


def test_every_file_brings_the_model_back(tmp_path):
    model, folder = tiny_model(), tmp_path / "repository"
    names = write_repository(model, folder, FACTS, SCORES)
    assert sorted(names) == sorted(path.name for path in folder.iterdir()) == FILES
    assert_same(model, BaseModel.from_pretrained(str(folder / "pytorch_model.bin")))
    for source in ("pytorch_model.bin", "model.safetensors", "."):
        loaded = load_model(folder / source)
        assert not loaded.training
        assert_same(model, loaded)
    conf = torch.load(folder / "pytorch_model.bin", weights_only=True)
    assert conf["model_name"] == "XUMXSliCQ"
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()
    config = json.loads((folder / "config.json").read_text())
    assert config["model_args"] == model.get_model_args()
    assert config["sources"] == ["bass", "vocals", "other", "drums"]
    assert (config["sample_rate"], config["n_channels"]) == (44100, 2)
    assert set(config["software_versions"]) == {
        "torch_version",
        "pytorch_lightning_version",
        "asteroid_version",
        "asteroid_slicq_version",
    }
    assert json.loads((folder / "evaluation.json").read_text()) == SCORES


def test_scores_of_another_model_are_not_published(tmp_path):
    model = tiny_model()
    scores = {**SCORES, "model": fingerprint(model)}
    write_repository(model, tmp_path / "out", FACTS, scores)
    model.wiener_iterations = 0
    with pytest.raises(PublishError, match="scores are of other weights, or of another mode"):
        write_repository(model, tmp_path / "other", FACTS, scores)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_published(tmp_path, value):
    model = tiny_model()
    name, weights = list(model.named_parameters())[-1]
    with torch.no_grad():
        weights.view(-1)[0] = value
    with pytest.raises(PublishError, match=f"weights {re.escape(name)} .* NaN or infinity"):
        write_repository(model, tmp_path / "out", FACTS)
    assert not list(tmp_path.iterdir())


def test_asteroids_own_models_are_published_too(tmp_path):
    model = ConvTasNet(2, n_blocks=1, n_repeats=1, bn_chan=4, hid_chan=4, skip_chan=4, n_filters=8)
    write_repository(model, tmp_path / "out", FACTS)
    loaded = load_model(tmp_path / "out")
    assert isinstance(loaded, ConvTasNet)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert "a mix into its sources" in (tmp_path / "out" / "README.md").read_text()


def test_safetensors_is_preferred_and_the_pickle_not_opened(tmp_path):
    write_repository(tiny_model(), tmp_path, FACTS)
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    assert_same(tiny_model(), load_model(tmp_path))
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelFileError, match="is no model file"):
        load_model(tmp_path)


@pytest.mark.parametrize("forced", [False, True])
def test_malicious_pickles_are_refused(tmp_path, monkeypatch, forced):
    if forced:  # torch's switch back to unpickling anything
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, proof = tmp_path / "pytorch_model.bin", tmp_path / "proof"
    write_malware(path, proof)
    for spec in (path, tmp_path):
        with pytest.raises(
            ModelFileError, match=r"is refused: besides weights it holds \w+\.mkdir,"
        ):
            load_model(spec)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_name": "Nobody"}, "names the model 'Nobody', which is not known here"),
        ({"model_name": "register_model"}, "which is not known here"),
        ({"model_args": {"n_channels": 0}}, "n_channels must be at least 1"),
        ({"model_args": {"colour": "red"}}, "arguments that XUMXSliCQ does not take"),
        ({"model_args": {"n_channels": 1}}, "weights do not fit"),
        ({"model_name": 3}, "names no model"),
        ({"model_args": None}, "names no model"),
    ],
)
def test_configurations_that_are_wrong(tmp_path, change, words):
    write_repository(tiny_model(), tmp_path, FACTS)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(tmp_path / "model.safetensors")
    assert str(caught.value).startswith(str(tmp_path))


def test_lonely_and_broken_safetensors(tmp_path):
    write_repository(tiny_model(), tmp_path / "out", FACTS)
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes((tmp_path / "out" / "model.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match=r"no config\.json beside it"):
        load_model(lonely)
    (tmp_path / "out" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelFileError, match="no safetensors file that can be read"):
        load_model(tmp_path / "out")


class Unregistered(XUMXSliCQ):
    pass


@pytest.mark.parametrize("kind", ["class", "argument", "full", "file"])
def test_what_cannot_be_written_leaves_nothing(tmp_path, kind):
    folder, model = tmp_path / "out", tiny_model()
    before = []
    if kind == "class":
        model = Unregistered(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    elif kind == "argument":
        model.get_model_args = lambda: {"transform": object()}
    elif kind == "full":
        folder.mkdir()
        (folder / "README.md").touch()
        before = [folder, folder / "README.md"]
    else:
        folder.touch()
        before = [folder]
    with pytest.raises(PublishError):
        write_repository(model, folder, FACTS)
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_keeps_what_is_not_ours(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "README.md").write_text("old")
    write_repository(tiny_model(), tmp_path, FACTS, overwrite=True)
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "README.md").read_text().startswith("---\n")
    assert_same(tiny_model(), load_model(tmp_path))


def test_files_that_cannot_all_be_replaced_are_as_they_were(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("old")
    replace = os.replace

    def fail_for_the_card(source, target):
        if source.name == "README.md":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_for_the_card)
    with pytest.raises(OSError, match="Input/output error"):
        write_repository(tiny_model(), tmp_path, FACTS, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "old"


@pytest.mark.parametrize("name", ["xumx", "a/b/c", "user/", "us er/x", "user/a--b", "user/x.", ""])
def test_names_that_no_repository_can_have(name):
    with pytest.raises(PublishError, match="must be user/name") as caught:
        check_repo_id(name)
    assert "\n" not in str(caught.value)


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


NO_XET = {"HF_HUB_DISABLE_XET": "1"}  # to write by, which asks a server of its own


def run_python(script, server, home, stdin="", **environment):
    """Runs a script in a process of its own, of which the Hub is the server."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    variables |= {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home)}
    variables |= {"HF_HUB_DISABLE_TELEMETRY": "1", "ASTEROID_CACHE": str(home / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=variables | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
