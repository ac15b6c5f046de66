"""The recipe of free stems: every stage but publishing, on a bank of a few made-up sounds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import yaml
from asteroid.models import BaseModel

from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.data.sampled import build_bank
from tests.data.sampled.made_up import packages
from tests.helpers import RECIPES, ROOT, environment
from tests.recipes.helpers import recipe_module

RECIPE = ROOT / "recipes" / "free_stems"


@pytest.fixture
def domains(monkeypatch) -> Iterator:
    monkeypatch.syspath_prepend(str(RECIPE))
    import domains

    yield domains
    sys.modules.pop("domains")


def test_what_is_silent_stays_silent_in_the_shortcut_test(domains):
    rng = np.random.default_rng(0)
    song = 0.1 * rng.standard_normal((4, 2, 88200)).astype(np.float32)
    song[:, :, 20000:60000] = 0
    f_hz = np.fft.rfftfreq(88200, 1 / domains.RATE)
    for name, change in domains.CHANGES.items():
        changed = change(song)
        assert changed.shape == song.shape
        assert not changed[:, :, 24000:56000].any(), name
        if name.startswith("below"):
            high = f_hz > 9500
            power = np.square(np.abs(np.fft.rfft(changed)))
            assert power[..., high].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize(("share", "found"), [("0.5", (1, 0.5)), ("0", (0, 1.0))])
def test_scores_with_another_share_of_wiener_em(domains, monkeypatch, tmp_path, share, found):
    model = XUMXSliCQ(hidden_channels=(2, 3), transform={"n_bins": 14, "f_min_hz": 150.0})
    torch.save(model.serialize(), tmp_path / "model.pth")
    seen = []
    monkeypatch.setattr(domains, "one_by_one", seen.append)
    command = ["domains.py", "--model", f"a={tmp_path / 'model.pth'}", "--wiener_share", share]
    monkeypatch.setattr(sys, "argv", command)
    domains.main()
    assert (seen[0].wiener_iterations, seen[0].wiener_share) == found


@pytest.mark.parametrize(
    ("model", "share", "said"),
    [
        (XUMXSliCQ, "1.5", "--wiener_share must lie in 0 … 1, got 1.5"),
        (BandSplit, "0.5", "--wiener_share: a has no Wiener-EM"),
    ],
)
def test_shares_that_there_are_not(domains, monkeypatch, tmp_path, capsys, model, share, said):
    small = {XUMXSliCQ: {"hidden_channels": (2, 3)}, BandSplit: {"width": 32, "n_layers": 1}}
    torch.save(model(**small[model]).serialize(), tmp_path / "model.pth")
    command = ["domains.py", "--model", f"a={tmp_path / 'model.pth'}", "--wiener_share", share]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        domains.main()
    assert said in capsys.readouterr().err


def test_scores_of_the_truth_and_of_the_mix(domains):
    rng = np.random.default_rng(0)
    song = 0.1 * rng.standard_normal((4, 2, 3 * 44100)).astype(np.float32)
    truth = {song.sum(0).tobytes(): song}
    same = domains.CHANGES["as it is"]
    near = domains.score(lambda mixes: [0.99 * truth[m.tobytes()] for m in mixes], [song], same)
    mix = domains.score(lambda mixes: [np.stack([m] * 4) for m in mixes], [song], same)
    np.testing.assert_allclose(near, 40, atol=1e-2)
    np.testing.assert_allclose(mix, -10 * np.log10(3), atol=0.1)
    levels = domains.alone(lambda mixes: [np.stack([m, 0.1 * m, m, m]) for m in mixes], [song])
    np.testing.assert_allclose(levels, [[0, -20, 0, 0]] * 4, atol=1e-3)


def test_stems_of_several_models_are_averaged(domains):
    mix = np.ones((2, 8), np.float32)
    parts = [lambda mixes, i=i: [np.stack([i * m] * 4) for m in mixes] for i in (1, 3)]
    (found,) = domains.mean_of(parts)([mix])
    np.testing.assert_array_equal(found, np.full((4, 2, 8), 2))
    assert domains.mean_of(parts[:1]) is parts[0]


def test_a_song_that_lacks_a_stem_counts_for_the_others(domains):
    whole = 0.1 * np.random.default_rng(0).standard_normal((4, 2, 3 * 44100)).astype(np.float32)
    lacking = whole.copy()
    lacking[2] = 0
    truth = {whole.sum(0).tobytes(): 0.9 * whole, lacking.sum(0).tobytes(): 0.99 * lacking}

    def scores(*songs):
        found = domains.score(
            lambda mixes: [truth[m.tobytes()] for m in mixes], songs, domains.CHANGES["as it is"]
        )
        return found.round(2).tolist()

    np.testing.assert_equal(scores(lacking), [40, 40, np.nan, 40])
    assert scores(whole, lacking) == [30, 30, 20, 30]


@pytest.mark.slow
def test_the_study_makes_a_row_of_each_network(tmp_path):
    made = [sys.executable, "-m", "asteroid_slicq", "synth", tmp_path / "songs", "--tracks", "3"]
    made += ["--test-tracks", "1", "--seconds", "14"]
    subprocess.run([str(x) for x in made], env=environment(), check=True, capture_output=True)
    study = [sys.executable, RECIPE / "study.py", "--json", tmp_path / "study.json"]
    for kind in ("one", "other"):
        study += ["--songs", f"{kind}={tmp_path / 'songs'}"]
    study += ["--sizes", "2M", "--seeds", "0", "--losses", "complex-l1", "--steps", "2"]
    study += ["--batch_size", "2", "--segment_s", "1"]
    study += ["--test_s", "14", "--shortcut_tracks", "1", "--statistics_segments", "4"]
    done = subprocess.run(
        [str(x) for x in study], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "study.json").read_text())
    assert [(r["songs"], r["augmented"], r["loss"]) for r in rows] == [
        ("one", False, "complex"),
        ("other", False, "complex"),
        ("both", False, "complex"),
        ("both", True, "complex"),
        ("both", True, "complex-l1"),
    ]
    assert all(np.isfinite([r["one"], r["other"], r["shortcut"]]).all() for r in rows)
    assert done.stdout.count("| 2M |") == 5


def test_help_and_wrong_options_build_nothing(tmp_path):
    def run(*options: str) -> subprocess.CompletedProcess:
        command = [str(RECIPE / "run.sh"), "--bank", str(tmp_path / "bank"), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("--help")
    assert done.returncode == 0
    assert "--bank DIR" in done.stdout
    assert "--n_tracks N" in done.stdout
    done = run("--quick")
    assert done.returncode == 2
    assert "options come in pairs, --name value, got '--quick'" in done.stderr
    done = run("--model", "none")
    assert done.returncode == 2
    assert "--model must be the name of a file in local/ or a YAML file, got 'none'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_bank_is_built_for_songs_that_are_not_there(tmp_path):
    calls, python = tmp_path / "calls", tmp_path / "python"
    python.write_text(
        f'#!/usr/bin/env bash\necho "$*" >> {calls}\nif [[ $3 == synth ]]; then mkdir -p "$4"; fi\n'
    )
    python.chmod(0o755)
    (tmp_path / "mine" / "train").mkdir(parents=True)
    paths = ("--bank", "bank", "--data_root", "data", "--expdir", "exp", "--python", "./python")

    def called(*options: str, code: int = 0) -> list[str]:
        calls.write_text("")
        command = [str(RECIPE / "run.sh"), *paths, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        lines = [line.removeprefix("-m ").split() for line in calls.read_text().splitlines()]
        return [" ".join(words[1:3]) for words in lines if words[0] == "asteroid_slicq"]

    build, quick = "sounds build", ("--quick", "true", "--stop_stage", "0")
    songs = f"synth {tmp_path}/data/both"
    assert called("--stop_stage", "9", code=1) == []
    assert called(*quick, "--musdb", "mine") == []
    assert called(*quick) == [build, f"{songs}_6x8s_seed42"]
    assert called(*quick) == []
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "bank.zip").touch()
    assert called(*quick, "--seed", "7") == [f"{songs}_6x8s_seed7"]
    assert called(*quick, "--test_tracks", "1") == [f"{songs}_6x8s_seed42_test1"]
    assert called("--stop_stage", "0") == [f"{songs}_512x30s_seed42"]


@pytest.mark.parametrize("name", ["free", "bandsplit", "bandsplit_gpu"])
def test_all_models_hear_the_same_songs(name):
    recipe = "xumx_slicq" if name == "free" else "bandsplit"
    conf = recipe_module(RECIPES / recipe, "train").SETTINGS.load(str(RECIPE / f"local/{name}.yml"))
    songs = yaml.safe_load((RECIPE / "local" / "songs.yml").read_text())
    for section, values in songs.items():
        if (name, section) != ("bandsplit_gpu", "augmentation"):  # less augmented
            assert {key: conf[section][key] for key in values} == values
    presets = {"free": "medium", "bandsplit": "bandsplit-small", "bandsplit_gpu": "bandsplit"}
    assert conf["model"]["preset"] == presets[name]


def test_a_model_that_has_grown_is_trained_as_the_one_before():
    settings = recipe_module(RECIPES / "xumx_slicq", "train").SETTINGS
    half, grown = (settings.load(str(RECIPE / f"local/{n}.yml")) for n in ("half", "grown"))
    assert (grown["model"]["preset"], grown["optim"]["optimizer"]) == ("large", "muon")
    assert grown["augmentation"] == half["augmentation"]
    assert {**grown["model"], "preset": "medium"} == half["model"]


@pytest.mark.slow
def test_a_band_split_model_by_configuration(tmp_path):
    """Trained, stopped, taken up and evaluated, on songs that are there."""
    made = [sys.executable, "-m", "asteroid_slicq", "synth", tmp_path / "songs", "--tracks", "4"]
    made += ["--test-tracks", "1", "--seconds", "3"]
    subprocess.run([str(x) for x in made], env=environment(), check=True, capture_output=True)
    experiment, settings = tmp_path / "experiment", tmp_path / "mine.yml"
    settings.write_text(
        f"over: {os.path.relpath(RECIPE / 'local' / 'quick_bandsplit.yml', tmp_path)}\n"
        "training: {ema_decay: 0.9}\nrun: {checkpoint_steps: 1}\n"
        "model: {width: 32, head_width: 4}\n"
    )

    def run(epochs: int, stop_stage: int) -> str:
        options = ["--python", sys.executable, "--model", "mine.yml", "--musdb", "songs"]
        options += ["--expdir", "experiment", "--stop_stage", str(stop_stage), "--fast", "true"]
        options += ["--train_options", f"--epochs {epochs}"]
        done = subprocess.run(
            [str(RECIPE / "run.sh"), *options],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(1, 1)
    assert "continuing from" in run(2, 3)
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth"))
    assert type(model).__name__ == "BandSplit"
    card = (experiment / "publish" / "README.md").read_text()
    assert "songs composed by `asteroid-slicq synth`" in card


def write_model(file, weight, **arguments):
    state = {"kernel": torch.full((2, 3, 4), weight), "n_seen": torch.tensor(7)}
    torch.save({"model_name": "M", "model_args": arguments, "state_dict": state}, file)


def test_the_mean_of_several_models_is_packed(tmp_path, monkeypatch):
    pack = recipe_module(RECIPE, "pack")
    files = [tmp_path / f"{i}.pth" for i in range(3)]
    for file, weight in zip(files, (0.25, 0.5, 1.5), strict=True):
        write_model(file, weight, size=1)
    pack.pack(files, tmp_path / "mean.pth")
    state = torch.load(tmp_path / "mean.pth", weights_only=True)["state_dict"]
    assert torch.equal(state["kernel"], torch.full((2, 3, 4), 0.75, dtype=torch.half))
    assert state["n_seen"] == 7
    pack.pack(files, tmp_path / "mean.pth", [2, 1, 1])
    state = torch.load(tmp_path / "mean.pth", weights_only=True)["state_dict"]
    assert torch.equal(state["kernel"], torch.full((2, 3, 4), 0.625, dtype=torch.half))
    with pytest.raises(ValueError, match="weights must be one for each of 3 models"):
        pack.pack(files, tmp_path / "no.pth", [1, 1])
    write_model(files[1], 0.5, size=1, wiener_share=0.5)  # no part of the network
    pack.pack(files, tmp_path / "mean.pth")
    write_model(files[1], 0.5, size=2)
    monkeypatch.setattr(sys, "argv", ["pack.py", *map(str, files), "-o", str(tmp_path / "no.pth")])
    with pytest.raises(SystemExit, match="the models have different settings"):
        pack.main()
    assert not (tmp_path / "no.pth").exists()


def test_a_model_is_packed_in_8_bits_and_from_there(tmp_path):
    pack = recipe_module(RECIPE, "pack")
    model = XUMXSliCQ(hidden_channels=(2, 3), transform={"n_bins": 14, "f_min_hz": 150.0})
    files = [tmp_path / f"{name}.pth" for name in ("whole", "packed", "again")]
    torch.save(model.serialize(), files[0])
    pack.pack(files[:1], files[1], bits=8)
    pack.pack([files[1], files[1]], files[2])  # the mean of two files of 8 bits
    packed, again = (BaseModel.from_pretrained(str(f)).state_dict() for f in files[1:])
    for name, value in model.state_dict().items():
        assert (packed[name] - value).abs().max() <= 0.004 * value.abs().max()
        torch.testing.assert_close(again[name], packed[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_a_model_that_grows_computes_the_same(training, tmp_path, monkeypatch):
    grow = recipe_module(RECIPE, "grow")
    torch.manual_seed(1)
    small = XUMXSliCQ(hidden_channels=(2, 3), transform={"n_bins": 14, "f_min_hz": 150.0})
    for layer in small.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, std=0.1)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    files = tmp_path / "small.pth", tmp_path / "large.pth"
    torch.save(small.serialize(), files[0])
    command = ["grow.py", str(files[0]), "4", "5", "-o", str(files[1])]
    monkeypatch.setattr(sys, "argv", command)
    grow.main()
    large = BaseModel.from_pretrained(str(files[1])).train(training)
    assert tuple(large.get_model_args()["hidden_channels"]) == (4, 5)
    small.train(training)
    mix = 0.1 * torch.randn(2, 2, 22050)
    torch.testing.assert_close(large(mix), small(mix), rtol=1e-4, atol=1e-6)
    # All that is new can learn: it hears, or it is heard.
    large.train()(mix).square().mean().backward()
    for name, weight in large.named_parameters():
        if name.endswith("decode_outer.weight"):
            assert (weight.grad.unflatten(0, (4, -1))[:, 2:].abs().amax((2, 3, 4)) > 0).any()


@pytest.mark.parametrize(
    ("channels", "changes", "message"),
    [
        ([1, 5], {}, r"hidden_channels must be two numbers from \[2, 3\] on, got \[1, 5\]"),
        ([4, 5], {"network": "v1"}, "the model must have the network v2, got v1"),
        ([4, 5], {"network": "v1-lstm"}, "the model must have the network v2, got v1-lstm"),
    ],
)
def test_a_model_that_cannot_grow_is_refused(channels, changes, message):
    grow = recipe_module(RECIPE, "grow")
    arguments = {"hidden_channels": (2, 3), "transform": {"n_bins": 14, "f_min_hz": 150.0}}
    with pytest.raises(ValueError, match=message):
        grow.grow(XUMXSliCQ(**arguments, **changes).serialize(), channels)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: BandSplit.from_preset("bandsplit-small").serialize(), "BandSplit"),
        (lambda: {"a": torch.zeros(2)}, "holds weights but not the name of their model"),
        (lambda: torch.nn.Linear(1, 1), "is refused: besides weights it holds torch.nn.modules"),
        (None, "is no model file that can be read"),
    ],
    ids=["another", "weights", "pickle", "sound"],
)
@pytest.mark.parametrize("program", ["grow", "pack"])
def test_what_is_no_model_is_one_sentence(program, content, words, tmp_path, monkeypatch):
    file = tmp_path / "model.pth"
    if content is None:
        file.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    else:
        torch.save(content(), file)
    options = {"grow": ["4", "5"], "pack": ["--songs", str(tmp_path)]}[program]
    command = [f"{program}.py", str(file), "-o", str(tmp_path / "out.pth"), *options]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=words) as told:
        recipe_module(RECIPE, program).main()
    assert len(str(told.value).splitlines()) == 1
    assert not (tmp_path / "out.pth").exists()


def test_batch_statistics_of_a_mean_are_those_of_songs(tmp_path):
    pack = recipe_module(RECIPE, "pack")
    model = XUMXSliCQ(hidden_channels=(2, 3), transform={"n_bins": 14, "f_min_hz": 150.0})
    torch.save(model.serialize(), tmp_path / "model.pth")
    mixes = [0.1 * (i + 1) * torch.randn(2, 2, 22050) for i in range(2)]
    pack.pack([tmp_path / "model.pth"] * 2, tmp_path / "mean.pth", mixes=iter(mixes))
    packed = BaseModel.from_pretrained(str(tmp_path / "mean.pth"))
    name, layer = next(
        (n, x) for n, x in packed.named_modules() if isinstance(x, torch.nn.BatchNorm2d)
    )
    seen = []
    model.get_submodule(name).register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    model.train()
    with torch.no_grad():
        for mix in mixes:
            model.estimate(mix)
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    assert torch.allclose(layer.running_mean, means, rtol=1e-2, atol=1e-6)
    with pytest.raises(ValueError, match="no mix to measure it by"):
        pack.pack([tmp_path / "model.pth"], tmp_path / "no.pth", mixes=[])


@pytest.mark.slow
def test_the_stages_make_a_model_of_songs_of_both_kinds(tmp_path):
    bank = build_bank(tmp_path / "bank", packages(tmp_path / "root")).folder
    experiment, data = tmp_path / "experiment", tmp_path / "data"
    options = {
        "--python": sys.executable,
        "--bank": bank,
        "--quick": "true",
        "--stop_stage": "1",
        "--n_tracks": "4",
        "--seconds": "3",
        "--expdir": experiment,
        "--data_dir": data,
    }
    command = [str(RECIPE / "run.sh"), *(str(x) for pair in options.items() for x in pair)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(data.glob("t*/*(both)/mixture.wav"))) == 4
    packed = tmp_path / "packed.pth"
    best = experiment / "best_model.pth"
    pack = [sys.executable, RECIPE / "pack.py", best, best, "-o", packed, "--weights", 3, 1]
    pack += ["--songs", data, "--settings", RECIPE / "local" / "quick.yml", "--batches", 2]
    subprocess.run([str(x) for x in pack], env=environment(), check=True, capture_output=True)
    whole, half = (
        BaseModel.from_pretrained(str(f)) for f in (experiment / "best_model.pth", packed)
    )
    assert packed.stat().st_size < 0.6 * (experiment / "best_model.pth").stat().st_size
    for name, value in whole.state_dict().items():
        assert half.state_dict()[name].dtype == value.dtype
        if "running" not in name and "num_batches" not in name:  # those are of other songs
            assert (half.state_dict()[name] - value).abs().max() <= 1e-3 * value.abs().max()
    domains = [sys.executable, RECIPE / "domains.py", "--model", f"it={packed}", "--domain"]
    table = subprocess.run(
        [*(str(x) for x in domains), f"both={data}"],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "| both, 1 tracks | mean | vocals | drums | bass | other |" in table
