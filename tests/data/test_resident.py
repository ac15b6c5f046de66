"""Segments made on a device: the items of the loader, a batch at once."""

from copy import deepcopy

import numpy as np
import pytest
import soundfile
import torch

from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.augmentation import Augmentation
from asteroid_slicq.data.datasets import TrainingSegments
from asteroid_slicq.data.resident import ResidentSegments, ResidentSongs

RATE = 44100
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")),
]


def smooth_noise(rng: np.random.Generator, length: int) -> np.ndarray:
    """Stereo noise below 4 kHz."""
    spectrum = np.fft.rfft(rng.standard_normal((2, length)))
    spectrum[:, int(4000 / RATE * length) :] = 0
    return np.fft.irfft(spectrum, length)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    root = tmp_path_factory.mktemp("resident")
    rng = np.random.default_rng(0)
    for i, length in enumerate((30000, 20000, 5000)):
        folder = root / "train" / f"track {i}"
        folder.mkdir(parents=True)
        for source, level in (("bass", 0.1), ("drums", 3.0)):  # the drums go beyond full scale
            audio = level * smooth_noise(rng, length)
            soundfile.write(folder / f"{source}.wav", audio.T, RATE, "FLOAT")
    return find_tracks(root, "train", ["bass", "drums"], RATE, n_channels=2)


def segments(tracks, **kinds: float) -> TrainingSegments:
    return TrainingSegments(
        tracks,
        ["bass", "drums"],
        length_samples=8000,
        samples_per_track=4,
        random_mix=0.5,
        augmentation=Augmentation(RATE, **kinds) if kinds else None,
    )


def resident_of(loader: TrainingSegments, device: str) -> ResidentSegments:
    return ResidentSegments(loader, ResidentSongs(loader.tracks, loader.sources, device))


def difference_db(batch, items) -> float:
    """Largest difference of any item, relative to it."""
    errors = (batch.cpu() - items).square().sum((1, 2, 3)) / items.square().sum((1, 2, 3))
    return float(10 * errors.max().log10())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kinds", [{}, {"double": 0.5}, {"speed": 1.0}, {"pitch": 0.5}])
def test_a_batch_has_the_items_of_the_loader(tracks, device, kinds):
    loader = segments(tracks, **kinds)
    resident = resident_of(loader, device)
    assert len(resident) == len(loader) == 12
    indices = [5, 0, 11, 12 + 3, 7]
    batch = resident.__getitems__(indices)
    assert batch.device.type == device
    items = torch.stack([loader[i] for i in indices])
    assert batch.shape == items.shape == (5, 2, 2, 8000)
    if "speed" in kinds:  # interpolated here and resampled there, whose edges are faded
        batch, items = batch[..., 200:-200], items[..., 200:-200]
    most = {"speed": -38, "pitch": -40}  # found and cut among samples of 16 bits
    assert difference_db(batch, items) < most.get(*kinds or [""], -70)


@pytest.mark.parametrize("device", DEVICES)
def test_batches_are_a_function_of_seed_and_indices(tracks, device):
    kinds = {"speed": 0.5, "room": 0.5, "band_noise": 0.5, "equaliser": 0.5, "double": 0.3}
    first, again = (resident_of(segments(tracks, **kinds), device) for _ in range(2))
    one = first.__getitems__([3, 1, 2])
    again.__getitems__([0])
    assert again.__getitems__([3, 1, 2]).equal(one)
    assert one.isfinite().all()
    assert not first.__getitems__([15, 1, 2])[0].equal(one[0])


def test_a_copy_holds_the_songs_once(tracks):
    resident = resident_of(segments(tracks), "cpu")
    copied = deepcopy({"loader": resident})["loader"]
    assert copied.songs.samples.data_ptr() == resident.songs.samples.data_ptr()
    assert copied.__getitems__([3]).equal(resident.__getitems__([3]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_refuses_codecs_on_a_gpu(tracks):
    with pytest.raises(ValueError, match="codec"):
        resident_of(segments(tracks, codec=0.1), "cuda")
