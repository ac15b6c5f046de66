"""The comparison of separators: its rivals, what it counts, and a quick run of all of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers import ROOT, environment
from tests.recipes.helpers import run

RECIPE = ROOT / "recipes" / "comparison"
PATHS = [
    *(RECIPE, ROOT / "recipes" / "free_stems", ROOT / "benchmarks"),
    ROOT / "recipes" / "musdb18hq" / "xumx_slicq",
]


@pytest.fixture
def modules(monkeypatch) -> Iterator:
    """The scripts of the recipe, as its own imports find them."""
    names = ("system", "compare", "rivals", "xumx_stft", "frames", "arithmetic", "report")
    names += ("study", "domains")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for path in PATHS:
        monkeypatch.syspath_prepend(path)
    import arithmetic
    import rivals
    import xumx_stft

    yield {"arithmetic": arithmetic, "rivals": rivals, "xumx": xumx_stft}
    for name in names:
        sys.modules.pop(name, None)


def test_multiply_adds_of_each_kind_of_layer(modules):
    count = modules["arithmetic"].multiply_adds
    x = torch.randn(2, 10, 8)
    linear, lstm = nn.Linear(8, 3), nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)
    assert count(lambda: linear(x), linear) == 20 * 8 * 3
    first, second = 2 * 4 * 4 * (8 + 4), 2 * 4 * 4 * (8 + 4)  # the second hears both directions
    assert count(lambda: lstm(x), lstm) == 20 * (first + second)
    heads = torch.randn(2, 3, 10, 4)
    attend = nn.functional.scaled_dot_product_attention
    assert count(lambda: attend(heads, heads, heads)) == 2 * 6 * 10 * 10 * 4
    conv = nn.Conv1d(4, 6, 3)
    assert count(lambda: conv(torch.randn(1, 4, 12)), conv) == 10 * 4 * 6 * 3


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["common", "own"])
@pytest.mark.parametrize(
    "name",
    [
        *("v1", "v2", "xumx", "bandsplit", "bandsplit-small-stft", "unet", "unet-slicqt"),
        *("wave-unet", "wave-unet-learned", "frame-per-target"),
    ],
)
def test_every_rival_learns_from_stems(name, loss, modules):
    rivals = modules["rivals"]
    torch.manual_seed(0)
    rival = rivals.RIVALS[name]
    model = rival.make_tiny().train()
    assert model.sources == ["vocals", "drums", "bass", "other"]
    stems = 0.1 * torch.randn(2, 4, 2, 22050, generator=torch.Generator().manual_seed(0))
    if hasattr(model, "scale_input"):
        model.scale_input([stems.sum(1)])
    losses = rivals.losses_of(
        model, rival.own_loss() if loss == "own" else rivals.common_loss(True)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    values = []
    for _ in range(4):
        optimizer.zero_grad()
        torch.manual_seed(1)
        value = losses(stems)["loss"]
        value.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nmf", "nmf-kl", "nmf-slicqt"])
def test_what_no_gradient_finds_is_fitted(name, modules):
    rival = modules["rivals"].RIVALS[name]
    stems = 0.1 * torch.randn(2, 4, 2, 22050, generator=torch.Generator().manual_seed(0))
    model = rival.make_tiny()
    before = model.dictionaries.clone()
    rival.fit(model, iter([stems]), 1.0)
    assert not torch.equal(model.dictionaries, before)
    assert model(stems.sum(1)).shape == stems.shape


def test_settings_of_data_and_augmentation(modules, tmp_path, capsys):
    import compare

    wanted = ["--songs", "a=b", "--examples", "1"]
    finish = ROOT / "recipes" / "free_stems" / "local" / "finish.yml"
    usual, hardly = (
        compare.settings_of(compare.parse([*wanted, *more]), 3)
        for more in ([], ["--settings", str(finish)])
    )
    assert (usual["augmentation"]["equaliser"], hardly["augmentation"]["equaliser"]) == (0.5, 0.15)
    assert usual["training"]["seed"] == 3
    with pytest.raises(SystemExit):
        compare.parse([*wanted, "--settings", str(tmp_path / "none.yml")])
    assert "--settings must be a YAML file, got " in capsys.readouterr().err


def test_x_umx_averages_over_sources_at_two_bridges(modules):
    """Its networks differ, but what the second bridge gives is the same for all of them."""
    torch.manual_seed(0)
    model = modules["xumx"].XUMXOnSTFT(hidden=4).eval()
    seen = []
    for network in model.networks:
        network.second.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mix = 0.1 * torch.randn(1, 2, 20000)
    with torch.no_grad():
        out = model(mix)
    assert out.shape == (1, 4, 2, 20000)
    assert len(seen) == 4
    assert all(torch.equal(a, b) for a, b in pairwise(seen))
    # As large as published: 8.9 M parameters for each of four sources.
    assert 35e6 < sum(p.numel() for p in modules["xumx"].XUMXOnSTFT().parameters()) < 36e6


@pytest.mark.slow
def test_wrong_options_are_refused(tmp_path):
    for options, message in (
        ([], "--songs must be given, as NAME=DIR"),
        (["--songs", "a=x"], "--examples, --minutes or both must be above 0"),
        (["--songs", "a=x", "--train_on", "b", "--examples", 1], "--train_on must name songs"),
    ):
        done = run(sys.executable, RECIPE / "compare.py", *options, cwd=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr


@pytest.mark.slow
def test_a_quick_comparison_goes_on_where_it_stopped(tmp_path):
    made = [sys.executable, "-m", "asteroid_slicq", "synth", tmp_path / "songs", "--tracks", "3"]
    made += ["--test-tracks", "1", "--seconds", "14"]
    subprocess.run([str(x) for x in made], env=environment(), check=True, capture_output=True)
    command = [sys.executable, RECIPE / "compare.py", "--quick", "true", "--json", "found.json"]
    command += ["--songs", "heard=songs", "--songs", "other=songs", "--seeds", "0", "1"]
    command += ["--examples", "4", "--page", "page.md", "--precision", "bf16", "--rivals"]
    done = run(*command, "xumx", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(*command, "xumx", "nmf", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["cases"]) == 2 * 2 * 2  # rival, budget, seed
    assert done.stdout.count(" steps in ") == 2 * 2  # of those of the second rival alone
    for name, case in found["cases"].items():
        assert np.isfinite([case["heard"], case["shortcut"]]).all()
        assert case["heard"] == case["other"]  # they are the same songs
        assert case["examples"] == 4 or "minutes" in name
    page = (tmp_path / "page.md").read_text()
    assert "### The same examples" in page
    assert "### The same minutes" in page
    assert "| heard (heard) | other | shortcut |" in page
    assert page.count("| X-UMX on the STFT | ") == 2 * (1 + 2)  # a row, and one for each kind
    assert "| NMF, Itakura–Saito | 0.02 M |" in page
    for facts in found["facts"].values():
        assert all(value > 0 for value in facts.values())
    done = run(*command, "xumx", "--batch_size", "3", cwd=tmp_path)
    assert done.returncode == 0  # quick settings stand
    done = run(*command, "xumx", "--lr", "0.1", cwd=tmp_path)
    assert done.returncode == 1
    assert "found.json is of other settings (lr): name another" in done.stderr


def test_variants_of_rivals_are_named_with_their_arguments(modules):
    rivals = modules["rivals"]
    name = "bandsplit-small complex_input=false layer_dropout=0.2 lr=0.004"
    variant, plain = rivals.rival_of(name), rivals.rival_of("bandsplit-small")
    assert plain is rivals.RIVALS["bandsplit-small"]
    assert variant.title == "BandSplit, small: complex_input=false, layer_dropout=0.2, lr=0.004"
    assert (variant.peak_rate, plain.peak_rate) == (0.004, 0.001)
    assert (variant.optimizer, plain.optimizer) == ("adam", "adam")
    assert rivals.rival_of("v2 optimizer=muon").optimizer == "muon"
    with pytest.raises(ValueError, match="optimizer must be of adam, muon, got 'lion'"):
        rivals.rival_of("v2 optimizer=lion")
    made = variant.make_tiny().get_model_args()
    assert (made["complex_input"], made["layer_dropout"]) == (False, 0.2)
    assert variant.make.keywords["layer_dropout"] == 0.2


def test_the_rate_of_a_variant_is_its_own(modules):
    import compare

    args = compare.parse(["--songs", "a=b", "--examples", "9", "--lr", "0.003"])
    rates = [
        compare.course_of(args, compare.Case(name, "examples", 0)).peak_rate
        for name in ("v2", "v2 lr=0.001")
    ]
    assert rates == [0.003, 0.001]


@pytest.mark.parametrize(
    ("rival", "message"),
    [
        ("nobody", "rivals must be of v1, v2, "),
        ("bandsplit layer_dropout", "an argument of a rival must be KEY=VALUE"),
        ("bandsplit layers=3", "unexpected keyword argument 'layers'"),
        ("bandsplit layer_dropout=2", "layer_dropout must lie "),
        ("bandsplit transform={a", "the value of transform must be YAML"),
    ],
)
def test_variants_that_cannot_be(modules, rival, message, capsys):
    import compare

    with pytest.raises(SystemExit):
        compare.parse(["--songs", "a=b", "--examples", "1", "--rivals", rival])
    assert message in capsys.readouterr().err
