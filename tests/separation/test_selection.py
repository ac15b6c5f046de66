"""Facts about stems that are asked for: sums hold, remixes are sums, contradictions are told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq.separation import FileOutput, Separator, separate
from asteroid_slicq.separation.selection import select
from tests.helpers import Split
from tests.helpers import numpy_noise as noise

GAINS = {"bass": 0.1, "vocals": 0.5, "other": 0.15, "drums": 0.2}


@pytest.fixture
def model():
    model = Split()
    with torch.no_grad():
        model.gains.copy_(torch.tensor(list(GAINS.values())))
    return model


SELECTIONS = [
    ({"stems": ["drums", "bass"]}, [0.2, 0.1]),
    ({"two_stems": "vocals"}, [0.5, 0.5]),
    ({"residual": True}, [0.1, 0.5, 0.2, 0.2]),
    ({"residual": True, "stems": ["vocals"]}, [0.5, 0.5]),
    ({"residual": "rest"}, [0.1, 0.5, 0.15, 0.2, 0.05]),
    ({"residual": "bass", "stems": ["bass", "other"]}, [0.85, 0.15]),
]


@pytest.mark.parametrize(("options", "gains"), SELECTIONS)
@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_stems_of_arrays(model, options, gains, lead):
    mix = noise(*lead, 5000, scale=0.1)
    given = mix.copy()
    for sample_rate in (44100, 8000):
        stems = separate(model, mix, sample_rate=sample_rate, **options)
        assert stems.shape == (*lead[:-1], len(gains), *lead[-1:], 5000)
        axis = max(len(lead) - 1, 0)
        if sample_rate == 44100:
            for stem, gain in zip(np.moveaxis(stems, axis, 0), gains, strict=True):
                np.testing.assert_allclose(stem, gain * mix, atol=1e-6)
        if "two_stems" in options or "residual" in options:
            np.testing.assert_allclose(stems.sum(axis), mix, atol=1e-7)
    np.testing.assert_array_equal(mix, given)


@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_a_remix_of_an_array_has_its_shape(model, lead):
    mix = torch.from_numpy(noise(*lead, 5000, scale=0.1)).double()
    remix = separate(model, mix, two_stems="vocals", remix={"vocals": 0.3, "no_vocals": 1})
    assert remix.dtype == torch.float64
    torch.testing.assert_close(remix, 0.65 * mix, atol=1e-6, rtol=0)


def test_arrays_tell_their_progress(model):
    told = []
    separate(
        model,
        noise(2, 100_000),
        sample_rate=20_000,
        segment_s=1.0,
        progress=lambda *seconds: told.append(seconds),
    )
    assert told[0] == (0.0, 5.0)
    assert told[-1] == (5.0, 5.0)
    assert len(told) > 4
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stems": ["choir"]}, "stems must be different names out of a, b, other"),
        ({"two_stems": "choir"}, "two_stems must be one of a, b, other, got 'choir'"),
        ({"two_stems": "a", "stems": ["a"]}, "two_stems names the one stem .*: leave out stems"),
        ({"two_stems": "a", "residual": True}, "leave out residual"),
        ({"remix": {"a": 1}, "stems": ["a"]}, "remix names the stems .*: leave out stems"),
        ({"remix": {}}, "remix must name some of a, b, other, got none"),
        ({"remix": {"c": 1}}, "remix must name some of a, b, other, got 'c'"),
        ({"remix": {"a": -1}}, "gains of at least 0, got a=-1"),
        ({"remix": {"a": np.nan}}, "finite gains of at least 0, got a=nan"),
        ({"remix": {"a": "loud"}}, "got a=loud"),
        ({"remix": {"a": 0, "b": 0.0}}, "remix would be silent"),
        ({"residual": "other", "stems": ["a"]}, "'other', which stems leaves out"),
        ({"residual": ""}, "True, False or the name of a stem, got ''"),
        ({"residual": 3}, "True, False or the name of a stem, got 3"),
        ({"residual": "a."}, "a name that a file can have, got 'a.'"),
        ({"residual": "x" * 121}, "a name that a file can have, got 'xxx"),
    ],
)
def test_what_cannot_come_out_is_told(options, words):
    with pytest.raises(ValueError, match=words) as caught:
        select(["a", "b", "other"], **options)
    assert "\n" not in str(caught.value)


def test_files_and_arrays_agree(model, tmp_path):
    mix = noise(2, 30_000, scale=0.1)
    sf.write(tmp_path / "song.wav", mix.T, 44100, "FLOAT")
    options = {"residual": True, "stems": ["vocals", "drums"]}
    paths = Separator(model).separate_file(tmp_path / "song.wav", **options)
    stems = separate(model, mix, **options)
    assert list(paths) == ["vocals", "drums", "residual"]
    for path, stem in zip(paths.values(), stems, strict=True):
        np.testing.assert_allclose(sf.read(path)[0].T, stem, atol=1e-7)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["a/b", "a_b"], "stems 'a/b' and 'a_b' would share the file x/song/a_b.wav"),
        (["bass", "Bass"], "stems 'bass' and 'Bass' would share the file x/song/Bass.wav"),
        (["...", "stem"], "stems '...' and 'stem' would share the file x/song/stem.wav"),
    ],
)
def test_two_stems_of_a_song_do_not_share_a_file(sources, words):
    output, folder = FileOutput(), Path("x")
    with pytest.raises(ValueError, match=words):
        output.paths(Path("song.wav"), folder, "song", sources)
    with pytest.raises(ValueError, match=words):
        output.refuse_collisions({Path("song.wav"): "song"}, folder, sources)


def test_songs_at_addresses_do_not_share_a_file():
    songs = {"s3://a/song.wav": "song", "s3://a/b.wav": "b"}
    FileOutput().refuse_collisions(songs, Path("x"), ["vocals", "drums"])
    output = FileOutput(template="{stem}.{ext}")
    with pytest.raises(ValueError, match=r"gives s3://a/song.wav and s3://a/b.wav the same file"):
        output.refuse_collisions(songs, Path("x"), ["vocals", "drums"])
