"""Facts about serving a song: length, rate and channels are kept, and memory is bounded."""

import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import nn

from asteroid_slicq.audio import AudioError
from asteroid_slicq.separation import Separator, separate
from tests import helpers
from tests.helpers import GAINS, Split

noise = partial(helpers.numpy_noise, scale=0.1)


class Filter(Split):
    """Time-invariant: every source is the mix through an FIR filter of 401 taps."""

    def forward(self, mix):
        taps = torch.hann_window(401) / 200
        rows = mix.reshape(-1, 1, mix.shape[-1])
        return super().forward(
            nn.functional.conv1d(rows, taps[None, None], padding=200).reshape(mix.shape)
        )


def tones(n_frames, n_channels, sample_rate):
    time = np.arange(n_frames) / sample_rate
    rows = [np.sin(2 * np.pi * 300 * (j + 1) * time + j) for j in range(n_channels)]
    return (0.3 * np.stack(rows)).astype(np.float32)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("n_frames", [1, 2, 1000, 44099, 44100, 44101, 100_001])
@pytest.mark.parametrize(
    ("segment_s", "overlap_s"), [(10.0, None), (0.5, 0.1), (0.31, 0.155), (1, 0)]
)
def test_a_split_is_exact_over_lengths_and_segments(n_frames, segment_s, overlap_s):
    mix = noise(2, n_frames)
    out = Separator(Split(), segment_s, overlap_s).separate_waveform(mix)
    assert out.shape == (4, 2, n_frames)
    assert out.dtype == np.float32
    for source, gain in zip(out, GAINS.values(), strict=True):
        np.testing.assert_allclose(source, gain * mix, atol=1e-6)


def test_a_time_invariant_model_is_unaware_of_segments():
    mix = torch.from_numpy(noise(1, 2, 120_000))
    whole = Filter()(mix)
    segmented = Separator(Filter(), 0.5, 0.05).separate_waveform(mix)
    torch.testing.assert_close(segmented, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("step", [9030, 100_000])
def test_a_model_with_steps_sees_those_of_the_whole_song(step):
    class Stepped(Split):
        """Every other step of the mix, counted from the start of what it sees."""

        segment_step_samples = 2 * step

        def forward(self, mix):
            gate = torch.arange(mix.shape[-1]) // step % 2
            return super().forward(mix * gate)

    mix = torch.from_numpy(noise(1, 2, 600_000))
    segmented = Separator(Stepped(), 3.0, 0.5).separate_waveform(mix)
    torch.testing.assert_close(segmented, Stepped()(mix), atol=1e-6, rtol=0)


@pytest.mark.parametrize("lead", [(), (1,), (2,), (1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_shape_kind_and_dtype_are_kept(lead, dtype):
    wave = torch.from_numpy(noise(*lead, 3000)).to(dtype)
    copy = wave.clone()
    expected = (*lead[:-1], 4, *lead[-1:], 3000)
    tensor = separate(Split(), wave)
    assert tensor.shape == expected
    assert tensor.dtype == dtype
    assert not tensor.is_inference()
    assert not tensor.requires_grad
    array = separate(Split(), wave.numpy())
    assert isinstance(array, np.ndarray)
    assert array.shape == expected
    assert array.dtype == wave.numpy().dtype
    np.testing.assert_array_equal(array, tensor.numpy())
    torch.testing.assert_close(wave, copy, rtol=0, atol=0)
    source_axis = max(len(lead) - 1, 0)
    total = tensor.double().sum(source_axis)
    torch.testing.assert_close(total, wave.double(), atol=1e-3, rtol=0)


def test_odd_memory_layouts_are_read():
    wave = noise(3000, 2).T[:, ::-2]  # neither contiguous nor in order
    wave.flags.writeable = False
    np.testing.assert_allclose(separate(Split(), wave).sum(0), wave, atol=1e-6)


def test_items_of_a_batch_do_not_mix():
    mix = noise(2, 2, 30_000)
    both = separate(Filter(), mix, segment_s=0.3)
    for item, wave in zip(both, mix, strict=True):
        np.testing.assert_allclose(item, separate(Filter(), wave, segment_s=0.3), atol=1e-6)


def test_silence_and_training_mode_stay():
    model = Split().train()
    out = separate(model, np.zeros((2, 50_000), np.float32), segment_s=0.5)
    assert not out.any()
    assert model.training


@pytest.mark.parametrize("rate", [8000, 22050, 32000, 48000, 96000])
@pytest.mark.parametrize("n_frames", [1, 2, 4999, 30_001])
@pytest.mark.parametrize("overlap_s", [None, 0.0])
def test_other_rates_come_back_in_time_and_length(rate, n_frames, overlap_s):
    wave = tones(n_frames, 2, rate)
    out = separate(Split(), wave, sample_rate=rate, segment_s=0.2, overlap_s=overlap_s)
    assert out.shape == (4, 2, n_frames)
    inner = slice(400, -400)  # the ends of a tone are steps, which no band-limited signal has
    np.testing.assert_allclose(out.sum(0)[:, inner], wave[:, inner], atol=2e-3)


def test_loudness_is_not_rescaled():
    class Doubled(Split):
        def forward(self, mix):
            return 2 * super().forward(mix)

    wave = noise(2, 10_000)
    np.testing.assert_allclose(separate(Doubled(), wave).sum(0), 2 * wave, atol=1e-6)


@pytest.mark.parametrize(
    ("wave", "kwargs", "error", "words"),
    [
        (np.zeros((2, 0), np.float32), {}, ValueError, r"no samples: shape \(2, 0\)"),
        (torch.zeros(0), {}, ValueError, "no samples"),
        (np.zeros((3, 100), np.float32), {}, ValueError, "has 3 channels"),
        (np.zeros((1, 1, 2, 100), np.float32), {}, ValueError, r"got shape \(1, 1, 2, 100\)"),
        (np.zeros((), np.float32), {}, ValueError, "got shape"),
        (np.zeros((2, 100), np.int16), {}, TypeError, "floating point.* got int16"),
        (torch.zeros(2, 100, dtype=torch.int32), {}, TypeError, "got torch.int32"),
        (np.full((2, 100), np.nan, np.float32), {}, ValueError, "finite"),
        ([0.0, 1.0], {}, TypeError, "got a list"),
        (np.zeros((2, 100), np.float32), {"sample_rate": 0}, ValueError, "sample_rate"),
        (np.zeros((2, 100), np.float32), {"segment_s": 0}, ValueError, "segment_s"),
        (np.zeros((2, 100), np.float32), {"segment_s": np.inf}, ValueError, "segment_s"),
        (
            np.zeros((2, 100), np.float32),
            {"segment_s": 2, "overlap_s": 1.5},
            ValueError,
            r"overlap_s must be from 0 to half of segment_s \(1\), got 1.5",
        ),
        (
            np.zeros((2, 100), np.float32),
            {"sample_rate": 48000, "resample": False},
            ValueError,
            "resample=True",
        ),
        (np.zeros((2, 100), np.float32), {"clip": "clamp"}, TypeError, "clip applies only"),
    ],
)
def test_what_cannot_be_separated_is_named(wave, kwargs, error, words):
    with pytest.raises(error, match=words):
        separate(Split(), wave, **kwargs)


FILES = [  # suffix, subtype, sample rate, channels, frames
    ("wav", "PCM_16", 44100, 2, 100_001),
    ("wav", "PCM_24", 44100, 1, 44_099),
    ("wav", "FLOAT", 48000, 2, 50_021),
    ("wav", "PCM_U8", 8000, 1, 9_999),
    ("wav", "PCM_16", 96000, 2, 60_007),
    ("flac", "PCM_16", 22050, 2, 30_001),
    ("flac", "PCM_24", 44100, 1, 1),
    ("ogg", "VORBIS", 44100, 2, 30_003),
    ("mp3", "MPEG_LAYER_III", 44100, 2, 30_003),
    ("mp3", "MPEG_LAYER_III", 22050, 1, 30_003),
]


@pytest.mark.parametrize(("suffix", "subtype", "rate", "n_channels", "n_frames"), FILES)
def test_files_keep_rate_channels_and_length(tmp_path, suffix, subtype, rate, n_channels, n_frames):
    path = tmp_path / f"song.{suffix}"
    sf.write(path, tones(n_frames, n_channels, rate).T, rate, subtype=subtype)
    mix = sf.read(path, always_2d=True, dtype="float32")[0].T
    paths = separate(Split(), str(path), tmp_path / "out", bit_depth="32f", segment_s=0.4)
    assert paths == {name: tmp_path / "out" / "song" / f"{name}.wav" for name in GAINS}
    total = np.zeros_like(mix)
    for stem in paths.values():
        info = sf.info(stem)
        assert (info.samplerate, info.channels, info.frames) == (rate, n_channels, n_frames)
        assert (info.format, info.subtype) == ("WAV", "FLOAT")
        total += sf.read(stem, always_2d=True, dtype="float32")[0].T
    if rate == 44100:
        np.testing.assert_allclose(total, mix, atol=1e-6)
    else:
        inner = slice(400, -400)
        np.testing.assert_allclose(total[:, inner], mix[:, inner], atol=5e-3)


@pytest.mark.parametrize(
    ("suffix", "subtype", "audio_format", "expected"),
    [
        ("wav", "PCM_16", "wav", "PCM_16"),
        ("wav", "PCM_24", "flac", "PCM_24"),
        ("wav", "FLOAT", "wav", "FLOAT"),
        ("wav", "FLOAT", "flac", "PCM_24"),
        ("mp3", "MPEG_LAYER_III", "flac", "PCM_16"),
    ],
)
def test_bit_depth_follows_the_mix(tmp_path, suffix, subtype, audio_format, expected):
    sf.write(tmp_path / f"a.{suffix}", tones(5000, 2, 44100).T, 44100, subtype=subtype)
    paths = separate(Split(), tmp_path / f"a.{suffix}", audio_format=audio_format)
    assert {sf.info(stem).subtype for stem in paths.values()} == {expected}
    assert {stem.suffix for stem in paths.values()} == {f".{audio_format}"}
    assert paths["bass"].parent == tmp_path / "a"  # beside the mix when no folder is given


def test_an_identity_gives_integer_files_back_bit_for_bit(tmp_path):
    class Identity(Split):
        def forward(self, mix):
            return mix[:, None]

    model = Identity()
    model.sources = ["mix"]
    sf.write(tmp_path / "a.wav", noise(70_000, 2, scale=0.3).clip(-1, 1), 44100)
    paths = separate(model, tmp_path / "a.wav", segment_s=0.4)
    before = sf.read(tmp_path / "a.wav", dtype="int16")[0]
    np.testing.assert_array_equal(sf.read(paths["mix"], dtype="int16")[0], before)


def test_stems_can_be_chosen(tmp_path):
    sf.write(tmp_path / "a.wav", noise(5000, 2), 44100)
    paths = separate(Split(), tmp_path / "a.wav", stems=["drums", "vocals"], track="take 1")
    assert list(paths) == ["drums", "vocals"]
    assert tree(tmp_path) == ["a.wav", "take 1/drums.wav", "take 1/vocals.wav"]
    for stems in (["piano"], [], ["bass", "bass"]):
        with pytest.raises(ValueError, match="stems must be different names out of bass, vocals"):
            separate(Split(), tmp_path / "a.wav", stems=stems)


def test_progress_counts_seconds_up_to_all(tmp_path):
    sf.write(tmp_path / "a.wav", noise(120_000, 2), 48000)
    calls = []
    separate(
        Split(),
        tmp_path / "a.wav",
        segment_s=0.5,
        progress=lambda done, all: calls.append((done, all)),
    )
    assert len(calls) >= 5
    assert {all_s for _, all_s in calls} == {2.5}
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == 2.5


def test_existing_stems_are_kept_unless_asked(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, noise(5000, 2), 44100)
    first = separate(Split(), path)["bass"].read_bytes()
    sf.write(path, noise(5000, 2, seed=1), 44100)
    with pytest.raises(AudioError, match=r"already holds .* \(force_overwrite=True\)$"):
        separate(Split(), path)
    assert (tmp_path / "a" / "bass.wav").read_bytes() == first
    assert separate(Split(), path, force_overwrite=True)["bass"].read_bytes() != first


def test_a_mix_is_not_replaced_by_its_own_stem(tmp_path):
    path = tmp_path / "drums" / "drums.wav"
    path.parent.mkdir()
    sf.write(path, noise(5000, 2), 44100)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="one of its own stems"):
        separate(Split(), path, tmp_path, force_overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_model_that_fails_midway_leaves_nothing(tmp_path, error):
    class Failing(Split):
        calls = 0

        def forward(self, mix):
            self.calls += 1
            if self.calls == 3:
                raise error
            return super().forward(mix)

    sf.write(tmp_path / "a.wav", noise(200_000, 2), 44100)
    model = Failing().train()
    with pytest.raises(error):
        separate(model, tmp_path / "a.wav", tmp_path / "x" / "y", segment_s=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]
    assert model.training


def test_a_file_that_breaks_off_leaves_nothing(tmp_path):
    wave = noise(200_000, 2)
    wave[150_000] = np.nan
    sf.write(tmp_path / "a.wav", wave, 44100, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        separate(Split(), tmp_path / "a.wav", segment_s=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]


def test_files_that_cannot_be_served_are_named(tmp_path):
    sf.write(tmp_path / "six.wav", noise(5000, 6), 44100)
    with pytest.raises(AudioError, match=r"six\.wav: has 6 channels, this model separates stereo"):
        separate(Split(), tmp_path / "six.wav")
    with pytest.raises(AudioError, match="no such file"):
        separate(Split(), "nowhere.wav", tmp_path)
    sf.write(tmp_path / "a.wav", noise(5000, 2), 48000)
    with pytest.raises(ValueError, match="48000 Hz, the model's is 44100 Hz"):
        separate(Split(), tmp_path / "a.wav", resample=False)
    assert tree(tmp_path) == ["a.wav", "six.wav"]


def test_a_device_is_used_and_results_come_home():
    model = Split()
    out = separate(model, torch.from_numpy(noise(2, 1000)), device="cpu")
    assert out.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_what_the_cpu_gives():
    wave = torch.from_numpy(noise(2, 100_000))
    on_cpu = separate(Split(), wave, segment_s=0.5)
    on_cuda = separate(Split(), wave.cuda(), segment_s=0.5, device="cuda")
    assert on_cuda.is_cuda
    torch.testing.assert_close(on_cuda.cpu(), on_cpu, atol=1e-6, rtol=0)
    assert not separate(Split().cuda(), wave, segment_s=0.5).is_cuda  # as the waveform is


def peak_bytes(path: Path, out: Path) -> int:
    tracemalloc.start()
    separate(Split(), path, out, segment_s=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("rate", [44100, 48000])
def test_memory_does_not_grow_with_length(tmp_path, rate):
    for name, seconds in (("short", 5), ("long", 40)):
        with sf.SoundFile(tmp_path / f"{name}.wav", "w", rate, 2) as file:
            for second in range(seconds):
                file.write(noise(rate, 2, seed=second))
    peak_bytes(tmp_path / "short.wav", tmp_path / "warm-up")
    short = peak_bytes(tmp_path / "short.wav", tmp_path)
    long = peak_bytes(tmp_path / "long.wav", tmp_path)
    # Threads that meet otherwise hold a buffer more or less; the mix alone would take all of this.
    mix_bytes = (40 - 5) * rate * 2 * 4
    assert long < short + 0.15 * mix_bytes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"foo": 1}, "unexpected argument, 'foo'; .*takes stems, two_stems,.* of a file, track"),
        ({"audio_format": "mp3"}, "^audio_format applies only when wav is the path of a file"),
        ({"output_dir": "out"}, "^output_dir applies only when wav is the path of a file"),
        ({"force_overwrite": True}, "^force_overwrite applies only when wav is the path"),
    ],
)
def test_arguments_of_files_are_refused_for_waveforms(folder, options, words):
    with pytest.raises(TypeError, match=words):
        separate(Split(), noise(2, 1000), **options)
    assert tree(folder) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"foo": 1}, "unexpected argument, 'foo'"),
        ({"sample_rate": 22050}, "^sample_rate applies only when wav is an array or a tensor"),
    ],
)
def test_arguments_of_waveforms_are_refused_for_files(folder, options, words):
    sf.write("a.wav", noise(1000, 2), 44100)
    with pytest.raises(TypeError, match=words):
        separate(Split(), "a.wav", **options)
    assert tree(folder) == ["a.wav"]


@pytest.mark.parametrize("device", ["cuda:7", "nowhere", "meta"])
def test_devices_that_are_not_there_are_told(device):
    words = "holds no samples" if device == "meta" else "not available here; usable are cpu"
    with pytest.raises(ValueError, match=f"^device {device}: {words}"):
        separate(Split(), noise(2, 1000), device=device)
