"""Data: segments are parts of the files, and a seed decides which."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from asteroid_slicq.data.datasets import EpochSampler, TrainingSegments, ValidationSegments
from tests.data.helpers import RATE, SOURCES, names


def training(tracks, **options) -> TrainingSegments:
    return TrainingSegments(tracks, SOURCES, 100, **{"samples_per_track": 4, **options})


def test_training_items_are_a_function_of_seed_and_index(tracks):
    first, again, other = training(tracks), training(tracks), training(tracks, seed=7)
    items = [first[i] for i in range(24)]
    assert all(torch.equal(items[i], again[i]) for i in reversed(range(24)))
    assert not any(torch.equal(items[i], other[i]) for i in range(24))
    # The second epoch repeats no item of the first.
    assert not any(torch.equal(items[i], items[i + len(first)]) for i in range(len(first)))


def test_workers_change_nothing(tracks):
    batches = [
        torch.cat(list(DataLoader(training(tracks), 4, num_workers=n, sampler=EpochSampler(12))))
        for n in (0, 2)
    ]
    assert torch.equal(*batches)


def batches(tracks, epoch: int, **loading) -> torch.Tensor:
    dataset = training(tracks)
    sampler = EpochSampler(len(dataset), seed=3)
    sampler.set_epoch(epoch)
    return torch.stack(list(DataLoader(dataset, 4, sampler=sampler, **loading)))


def test_batches_depend_on_seed_and_epoch_alone(tracks):
    # One run that goes on, its workers too; and runs that begin at an epoch, as a resumed one does.
    dataset = training(tracks)
    sampler = EpochSampler(len(dataset), seed=3)
    loader = DataLoader(dataset, 4, sampler=sampler, num_workers=2, persistent_workers=True)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        assert torch.equal(torch.stack(list(loader)), batches(tracks, epoch))
    assert not torch.equal(batches(tracks, 0), batches(tracks, 1))


def test_no_global_generator_is_asked(tracks):
    item, state = training(tracks)[5], torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    assert torch.equal(training(tracks)[5], item)
    assert random.random() == random.Random(0).random()
    assert np.random.random() == np.random.RandomState(0).random()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interrupted_epoch_goes_on_with_the_rest(tracks):
    dataset = training(tracks)
    for n_replicas in (1, 2):
        sampler = EpochSampler(len(dataset), 3, n_replicas, rank=n_replicas - 1)
        sampler.set_epoch(2)
        order = list(sampler)
        sampler.resume(2, n_items=4)
        assert list(sampler) == order[4:]
        sampler.set_epoch(3)
        assert len(list(sampler)) == len(sampler) == len(order)
        sampler.set_epoch(2)
        assert list(sampler) == order[4:]


def test_together_processes_see_the_batches_of_one_that_is_alone(tracks):
    def order(rank: int, n: int) -> list[int]:
        sampler = EpochSampler(12, 3, n, rank)
        sampler.set_epoch(5)
        return list(sampler)

    alone, shares = order(0, 1), [order(rank, 2) for rank in range(2)]
    for i in range(0, 6, 3):
        together = {index for share in shares for index in share[i : i + 3]}
        assert together == set(alone[2 * i : 2 * i + 6])


def test_whole_tracks_are_those_of_asteroids_dataset(root, tracks):
    pytest.importorskip("librosa", reason="asteroid.data needs librosa")
    from asteroid.data import MUSDB18Dataset

    theirs = MUSDB18Dataset(str(root), SOURCES, targets=SOURCES, sample_rate=RATE)
    ours = ValidationSegments(tracks, SOURCES, 1000)
    assert len(theirs) == len(ours) == 3
    by_name = {entry["path"].name: theirs[i] for i, entry in enumerate(theirs.tracks)}
    for stems, track in zip(ours, tracks, strict=True):
        mix, sources = by_name[track.name]
        assert torch.equal(stems, sources)
        torch.testing.assert_close(stems.sum(0), mix)


def test_unaugmented_coherent_items_are_the_files(tracks):
    dataset = training(tracks, random_mix=0.0, gain=(1.0, 1.0), swap_channels=0.0)
    for index in (0, 5, 11):
        bass, drums = dataset[index]
        track = 0.1 * (1 + index // 4)
        start = round(float(bass[0, 0] - track) * 2**15)
        assert 0 <= start <= 900
        torch.testing.assert_close(bass[0], torch.arange(start, start + 100) / 2**15 + track)
        torch.testing.assert_close(drums - bass, torch.tensor([[0.01], [-0.01]]).expand(2, 100))


def test_random_mixes_take_stems_from_different_tracks(tracks):
    dataset = training(tracks, gain=(1.0, 1.0), swap_channels=0.0, samples_per_track=50)
    chosen = torch.stack([(dataset[i][:, 0, 0] * 10).floor() for i in range(len(dataset))])
    assert (chosen[:, 0] != chosen[:, 1]).float().mean().item() == pytest.approx(2 / 3, abs=0.1)


def test_gains_and_swaps_are_drawn_in_their_range(tracks):
    dataset = training(tracks[:1], random_mix=0.0, samples_per_track=200)
    # Read the time from the slope of the ramp, and so the gain from any sample.
    items = torch.stack([dataset[i] for i in range(200)]).double()
    slope = (items[:, :, 0, -1] - items[:, :, 0, 0]) * 2**15 / 99
    gain, swapped = slope.abs(), slope < 0
    assert 0.25 <= gain.min() < 0.3
    assert 1.2 < gain.max() <= 1.25 + 1e-3
    assert swapped.double().mean().item() == pytest.approx(0.5, abs=0.1)


def test_segments_reach_both_ends_of_a_track(tracks):
    dataset = TrainingSegments(tracks[:1], ["bass"], 998, 64, gain=(1.0, 1.0), swap_channels=0.0)
    starts = {round((dataset[i][0, 0, 0].item() - 0.1) * 2**15) for i in range(64)}
    assert starts == {0, 1, 2}


def test_short_tracks_are_padded(tracks):
    for dataset in (
        TrainingSegments(tracks, SOURCES, 1500),
        ValidationSegments(tracks, SOURCES, 1500),
        ValidationSegments(tracks, SOURCES, 1500, n_segments=3),
    ):
        assert dataset[0].shape == (2, 2, 1500)
        assert (dataset[0][..., 1000:] == 0).all()
        assert (dataset[0][..., :1000] != 0).all()


def test_validation_covers_every_sample_once(tracks):
    dataset = ValidationSegments(tracks, SOURCES, 300)
    assert len(dataset) == 3 * 4
    joined = torch.cat([dataset[i] for i in range(4)], -1)[..., :1000]
    np.testing.assert_array_equal(joined[0], tracks[0].read("bass"))


@pytest.mark.parametrize("n_segments", [1, 2, 3, 7])
def test_a_short_validation_is_spread_over_tracks(tracks, n_segments):
    dataset = ValidationSegments(tracks, SOURCES, 100, n_segments)
    assert len(dataset) == n_segments
    counts = np.bincount([i for i, _ in dataset.segments], minlength=3)
    assert counts.max() - counts.min() <= 1
    assert torch.equal(torch.stack(list(dataset)), torch.stack(list(dataset)))


def test_epochs_reorder_all_items():
    sampler = EpochSampler(10, seed=3)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append([i - 10 * epoch for i in sampler])
        assert sorted(orders[-1]) == list(range(10))
    assert len({tuple(order) for order in orders}) == 3


def test_processes_share_an_epoch_equally():
    samplers = [EpochSampler(11, n_replicas=3, rank=rank) for rank in range(3)]
    shares = [list(s) for s in samplers]
    assert [len(s) for s in samplers] == [len(s) for s in shares] == [3, 3, 3]
    assert len({i for share in shares for i in share}) == 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: training([]), "tracks must hold at least one track"),
        (lambda: TrainingSegments(names(1), [], 100), "sources must hold at least one name"),
        (lambda: ValidationSegments(names(1), SOURCES, 0), "length_samples .* got 0"),
        (lambda: ValidationSegments(names(1), SOURCES, 9, 0), "n_segments .* got 0"),
        (lambda: training(names(1), samples_per_track=0), "samples_per_track .* got 0"),
        (lambda: training(names(1), random_mix=1.5), "random_mix .* got 1.5"),
        (lambda: training(names(1), swap_channels=-1.0), "swap_channels .* got -1.0"),
        (lambda: training(names(1), gain=(1.0, 0.5)), "gain .* got"),
        (lambda: EpochSampler(10, n_replicas=2, rank=2), "rank .* got 2"),
        (lambda: EpochSampler(9).resume(1, 10), r"n_items must lie in 0 … 9, got 10"),
        (lambda: EpochSampler(1, n_replicas=2), "n_items .* got 1"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_files_of_an_item_are_named(root, tracks):
    dataset = training(tracks, random_mix=0.0, gain=(1.0, 1.0), swap_channels=0.0)
    (bass, _), parts = dataset[5], dataset.files_of(5)
    start = round((bass[0, 0].item() - 0.2) * 2**15)
    folder = root / "train" / "track 1"
    assert parts == [f"{folder}/{s}.wav from sample {start}" for s in SOURCES]
