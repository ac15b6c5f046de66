"""Statistics of the input: what the networks see, computed once for what it depends on."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data import find_tracks
from asteroid_slicq.models.input_statistics import average, input_statistics
from tests.models.bandsplit.helpers import tiny

RATE = 8000
SOURCES = ["bass", "vocals", "other", "drums"]
LENGTH = 2000


def make_model(preset: str = "small", n_bins: int = 10) -> XUMXSliCQ:
    transform = {"n_bins": n_bins, "f_min_hz": 200.0}
    bandwidth = {} if preset == "small" else {"bandwidth_hz": 3000.0}
    return XUMXSliCQ.from_preset(
        preset, sample_rate=RATE, hidden_channels=(2, 3), transform=transform, **bandwidth
    )


@pytest.fixture
def root(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for track in ("a", "b", "c"):
        folder = tmp_path / "train" / track
        folder.mkdir(parents=True)
        for source in SOURCES:
            soundfile.write(folder / f"{source}.wav", rng.normal(0, 0.1, (3 * LENGTH, 2)), RATE)
    return tmp_path


def tracks(root: Path):
    return find_tracks(root, "train", SOURCES, RATE, 2)


@pytest.mark.parametrize("preset", ["small", "v1"])
def test_they_are_those_of_all_that_the_networks_see(root, preset):
    model = make_model(preset)
    statistics = input_statistics(model, tracks(root), LENGTH)
    mixes = torch.stack(
        [
            sum(torch.from_numpy(track.read(s, start, LENGTH)) for s in SOURCES)
            for track in tracks(root)
            for start in (0, LENGTH, 2 * LENGTH)
        ]
    )
    with torch.no_grad():
        blocks = model.transform(mixes.double())
        seen = [b.transpose(0, 2).flatten(1) for b in model.network_input(blocks)]
    mean = torch.cat([b.mean(1) for b in seen])
    std = torch.cat([b.std(1, unbiased=False) for b in seen])
    power = torch.cat([b.abs().square().transpose(0, 2).flatten(1).mean(1) for b in blocks])
    for value, expected in zip(statistics, (mean, std, power), strict=True):
        assert value.shape == (model.transform.frame.n_bins,)
        torch.testing.assert_close(value, expected.float(), rtol=1e-4, atol=0)


def test_overlap_added_magnitudes_have_statistics_of_their_own(root):
    sliced, added = (
        input_statistics(make_model(preset), tracks(root), LENGTH) for preset in ("small", "v1")
    )
    assert (added.mean[:5] > 1.2 * sliced.mean[:5]).all()
    torch.testing.assert_close(sliced.power, added.power)


@pytest.mark.parametrize("transform", ["slicqt", "stft"])
def test_those_of_a_band_split_model_are_kept_with_it(transform, root, tmp_path, n_computed):
    """And are what ``scale_input`` makes of the same mixes."""
    model = tiny(transform=transform)
    arguments = tracks(root), LENGTH, None, tmp_path / "kept"
    statistics = input_statistics(model, *arguments)
    mixes = [
        sum(torch.from_numpy(track.read(s, start, LENGTH)) for s in SOURCES)
        for track in tracks(root)
        for start in (0, LENGTH, 2 * LENGTH)
    ]
    model.scale_input([torch.stack(mixes)])
    torch.testing.assert_close(model.network.mean, statistics.mean)
    torch.testing.assert_close(model.network.std, statistics.std)
    again = type(model)(**model.get_model_args())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.network.mean, model.network.mean)
    # The levels of a causal model are others; more layers change nothing.
    for changed in (tiny(transform=transform, n_layers=2), tiny(transform=transform, n_channels=1)):
        if changed.n_channels == 2:
            input_statistics(changed, *arguments)
            assert n_computed() == 1
        else:
            assert changed.input_arguments != model.input_arguments


def test_batches_may_be_of_any_size():
    model = make_model()
    mixes = torch.randn(7, 2, LENGTH, generator=torch.Generator().manual_seed(0))
    for sizes in ([7], [1, 6], [3, 3, 1]):
        parts, whole = average(model, mixes.split(sizes)), average(model, [mixes])
        for value, expected in zip(parts, whole, strict=True):
            torch.testing.assert_close(value, expected)


@pytest.fixture
def n_computed(caplog) -> Callable[[], int]:
    """How many times statistics have been computed, which the log says."""
    caplog.set_level("INFO", "asteroid_slicq")
    return lambda: caplog.text.count("statistics of the input: ")


def test_they_are_computed_once(root, tmp_path, n_computed):
    def compute(model=None, length=LENGTH, n=4):
        return input_statistics(model or make_model(), tracks(root), length, n, tmp_path / "kept")

    first, again = compute(), compute()
    assert n_computed() == 1
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    (file,) = (tmp_path / "kept").iterdir()
    torch.load(file, weights_only=True)

    # Other weights change nothing; all that the result depends on does.
    other = make_model()
    other.set_input_statistics(torch.ones_like(first.mean), torch.ones_like(first.std))
    compute(other)
    assert n_computed() == 1
    changes = [
        lambda: compute(make_model(n_bins=12)),
        lambda: compute(make_model("v1")),
        lambda: compute(length=LENGTH // 2),
        lambda: compute(n=5),
    ]
    for n, change in enumerate(changes, 2):
        change()
        assert n_computed() == n
    soundfile.write(root / "train" / "a" / "bass.wav", np.zeros((3 * LENGTH, 2)), RATE)
    os.utime(root / "train" / "a" / "bass.wav", ns=(1, 1))
    assert not torch.equal(compute().mean, first.mean)
    assert n_computed() == 6


def test_a_damaged_file_is_made_anew(root, tmp_path, n_computed):
    arguments = (make_model(), tracks(root), LENGTH, 2, tmp_path / "kept")
    first = input_statistics(*arguments)
    (file,) = (tmp_path / "kept").iterdir()
    for damage in (b"", b"x" * 100, file.read_bytes()[:500]):
        file.write_bytes(damage)
        again = input_statistics(*arguments)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert [p.name for p in file.parent.iterdir()] == [file.name]
    assert n_computed() == 4


def test_wrong_arguments_are_named(root):
    model = make_model()
    with pytest.raises(ValueError, match="tracks must hold at least one track"):
        input_statistics(model, [], LENGTH)
    with pytest.raises(ValueError, match="mixes must hold at least one batch, got none"):
        average(model, [])


def test_what_is_not_finite_is_neither_kept_nor_taken(root, tmp_path):
    model, cache = make_model(), tmp_path / "cache"
    for source in SOURCES:  # finite, but not their squares
        file = root / "train" / "b" / f"{source}.wav"
        soundfile.write(file, np.full((3 * LENGTH, 2), 3e37), RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match="statistics of the input are not finite"):
        input_statistics(model, tracks(root), LENGTH, cache_dir=cache)
    assert not list(cache.glob("*"))

    (root / "train" / "b").rename(root / "b")
    sound = input_statistics(model, tracks(root), LENGTH, cache_dir=cache)
    (file,) = cache.iterdir()
    torch.save({**sound._asdict(), "std": sound.std * torch.nan}, file)
    again = input_statistics(model, tracks(root), LENGTH, cache_dir=cache)
    assert torch.equal(again.std, sound.std)
    assert torch.equal(torch.load(file, weights_only=True)["std"], sound.std)
