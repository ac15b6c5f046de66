"""The shared names are those of the tables that carry them out."""

import numpy as np
import soundfile as sf
import torch

from asteroid_slicq import XUMXSliCQ, vocabulary
from asteroid_slicq.audio import encoding, stem_format
from asteroid_slicq.cli import program as cli
from asteroid_slicq.evaluation import Evaluation
from asteroid_slicq.evaluation.scoring import estimate
from asteroid_slicq.models import bandsplit
from asteroid_slicq.models.mixin import SOURCES
from asteroid_slicq.models.xumx_slicq import PRESETS
from asteroid_slicq.transform.scales import WARPS
from asteroid_slicq.transform.windows import WINDOWS
from tests.helpers import numpy_noise


def test_names_are_those_of_the_tables():
    assert set(vocabulary.SCALES) == {*WARPS, "vqlog", "octave"}
    assert set(vocabulary.WINDOWS) == set(WINDOWS)
    assert set(vocabulary.XUMX_SLICQ_PRESETS) == set(PRESETS)
    assert set(vocabulary.BANDSPLIT_PRESETS) == set(bandsplit.PRESETS)
    assert set(vocabulary.LOSSY_FORMATS) == set(stem_format._BITRATES) == set(stem_format._RATES)
    assert {"wav", *encoding._CODECS} == set(vocabulary.AUDIO_FORMATS)


def test_sources_of_mixin_are_sums_of_stems_that_add_up_to_the_song():
    stems = [s for source in SOURCES for s in vocabulary.SUMS_OF_STEMS.get(source, (source,))]
    assert sorted(stems) == sorted(vocabulary.STEMS)


def test_command_line_python_and_evaluation_separate_in_the_same_segments(folder):
    """By a model whose second iteration of Wiener-EM sees a segment, so that others show."""
    torch.manual_seed(0)
    rate, n_samples = 2000, round(2.2 * 2000 * vocabulary.DEFAULT_SEGMENT_S)
    transform = {"n_bins": 12, "f_min_hz": 60.0}
    model = XUMXSliCQ(
        hidden_channels=(2, 2), sample_rate=rate, transform=transform, wiener_iterations=2
    ).eval()
    torch.save(model.serialize(), "model.pth")
    mix = numpy_noise(2, n_samples, scale=0.1) * np.linspace(0.1, 1, n_samples, dtype=np.float32)
    sf.write("song.wav", mix.T, rate, subtype="FLOAT")
    assert cli.main(["separate", "song.wav", "-o", "out", "-m", "model.pth", "-q"]) == 0
    stems = np.broadcast_to(mix / 4, (4, *mix.shape))
    evaluation = Evaluation(folder, "test", tuple(model.sources), rate, "m", oracle=None)
    python, others = model.separate(mix), model.separate(mix, segment_s=10.0)
    _, evaluated = estimate(evaluation, model, stems, mix)
    np.testing.assert_array_equal(evaluated, python)
    for name, wanted, other in zip(model.sources, python, others, strict=True):
        stem, _ = sf.read(folder / "out" / "song" / f"{name}.wav", dtype="float32")
        np.testing.assert_allclose(stem.T, wanted, atol=1e-6)
        assert np.abs(other - wanted).max() > 1e-5
