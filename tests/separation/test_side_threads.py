"""Threads beside the one that computes: order, errors of either side, and how much is held."""

import threading
import time
import warnings

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import AudioError, StemWriter
from asteroid_slicq.separation import Separator, separate
from asteroid_slicq.separation.side_threads import made_ahead, taken_behind
from tests.helpers import Split, numpy_noise


def names():
    return {thread.name for thread in threading.enumerate()}


def settled(state, least):
    """What a function returns, once that is as much as it should be and may have become more."""
    until = time.monotonic() + 300
    while state() < least and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.02)
    return state()


def test_items_come_in_order_from_another_thread_one_ahead():
    made = []

    def items():
        for index in range(5):
            made.append(threading.current_thread().name)
            yield index

    with made_ahead(items()) as ahead:
        for index, item in enumerate(ahead):
            assert item == index
            n_made = min(index + 2, 5)
            assert settled(lambda: len(made), n_made) == n_made
    assert set(made) == {"reading ahead"}
    assert "reading ahead" not in names()


def test_items_are_worked_on_in_order_in_another_thread_one_behind():
    taken, may_go_on = [], threading.Semaphore(0)

    def consume(items):
        for item in items:
            may_go_on.acquire()
            taken.append((item, threading.current_thread().name))

    with taken_behind(consume) as give:
        give(0)
        late = threading.Timer(0.05, may_go_on.release)
        late.start()
        give(1)  # waits until the first one is done
        assert [item for item, _ in taken] == [0]
        may_go_on.release()
    assert taken == [(0, "writing behind"), (1, "writing behind")]


def test_an_error_ahead_comes_after_what_was_made_before_it():
    def items():
        yield 1
        raise KeyError("two")

    taken = []

    def take():
        with made_ahead(items()) as ahead:
            taken.extend([next(ahead)])
            next(ahead)

    with pytest.raises(KeyError, match="two"):
        take()
    assert taken == [1]
    assert "reading ahead" not in names()


@pytest.mark.parametrize("n_given", [1, 3])
def test_an_error_behind_comes_with_the_next_item_or_at_the_end(n_given):
    def consume(items):
        for _ in items:
            raise OSError("disk full")

    def work():
        with taken_behind(consume) as give:
            for item in range(n_given):
                give(item)

    with pytest.raises(OSError, match="disk full"):
        work()
    assert "writing behind" not in names()


def test_what_is_left_early_ends_both_threads():
    def endless():
        while True:
            yield np.zeros(3)

    def consume(items):
        for _ in items:
            pass

    def work():
        with made_ahead(endless()) as ahead, taken_behind(consume) as give:
            give(next(ahead))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not {"reading ahead", "writing behind"} & names()


def test_filters_of_warnings_hold_in_the_threads():
    def items():
        warnings.warn("heard", UserWarning, stacklevel=1)
        yield 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with made_ahead(items()) as ahead:
            assert list(ahead) == [1]
    assert [str(warning.message) for warning in caught] == ["heard"]


def test_the_model_and_progress_run_where_they_are_called(tmp_path):
    seen = []

    class Watched(Split):
        def forward(self, mix):
            seen.append(threading.current_thread())
            return super().forward(mix)

    sf.write(tmp_path / "a.wav", numpy_noise(100_000, 2, scale=0.1), 48000)
    separate(
        Watched(),
        tmp_path / "a.wav",
        segment_s=0.5,
        progress=lambda *_: seen.append(threading.current_thread()),
    )
    assert set(seen) == {threading.current_thread()}


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    writes = []

    def full(self, stems, mix=None):
        writes.append(threading.current_thread().name)
        if len(writes) == 3:
            raise AudioError("no space is left on the disk")

    monkeypatch.setattr(StemWriter, "write", full)
    sf.write(tmp_path / "a.wav", numpy_noise(200_000, 2, scale=0.1), 44100)
    with pytest.raises(AudioError, match="no space"):
        separate(Split(), tmp_path / "a.wav", segment_s=0.5)
    assert set(writes) == {"writing behind"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]


@pytest.mark.parametrize("rate", [44100, 48000])
def test_files_waveforms_and_streams_agree(tmp_path, rate):
    mix = numpy_noise(2, 150_000, scale=0.1)
    sf.write(tmp_path / "a.wav", mix.T, rate, "FLOAT")
    separator = Separator(Split(), segment_s=0.7)
    paths = separator.separate_file(tmp_path / "a.wav", bit_depth="32f")
    of_file = np.stack([sf.read(path, dtype="float32")[0].T for path in paths.values()])
    whole = separator.separate_waveform(mix, rate)
    streamed = np.concatenate(list(separator.stream([mix[None]], rate)), -1)[0]
    np.testing.assert_allclose(of_file, whole, atol=1e-6)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)
