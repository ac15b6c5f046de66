"""Facts about every place that takes a waveform: which numbers it takes, and in which form."""

import pytest
import torch

from asteroid_slicq import (
    NSGT,
    MiXiN,
    SeparatorStream,
    SliCQT,
    SliCQTFB,
    SliCQTStream,
    XUMXSliCQ,
)
from asteroid_slicq.evaluation import utterance_sdr
from asteroid_slicq.evaluation.metrics import frame_sdr
from asteroid_slicq.losses import combination_mse
from asteroid_slicq.oracles import oracle
from asteroid_slicq.plot import plot_stft, plot_waveform_spectrogram
from asteroid_slicq.transform import STFT
from tests.helpers import Split, noise

SMALL = {"n_bins": 14, "f_min_hz": 150.0}
WAVEFORM = noise(2, 6000, scale=0.1)


def model(preset="v2"):
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset(preset, transform=SMALL, hidden_channels=(2, 2)).eval()


def encode(waveform):
    bank = SliCQTFB(64, 64, stride=12, sample_rate=8000)
    return bank.post_analysis(bank.pre_analysis(waveform[:, None]).unflatten(-1, (-1, 12)).mT)


def drawn(plot):
    def levels(waveform):
        axes = plot(waveform, 44100)
        return torch.from_numpy([*axes.images, *axes.collections][0].get_array().data)

    return levels


TAKERS = {
    "SliCQT": lambda x: SliCQT(**SMALL)(x),
    "NSGT": lambda x: NSGT(length=6000, **SMALL)(x),
    "STFT": lambda x: STFT(1024, 256)(x),
    "SliCQTStream": lambda x: SliCQTStream(SliCQT(**SMALL)).push(x),
    "SeparatorStream": lambda x: SeparatorStream(model("v2-realtime")).push(x),
    "XUMXSliCQ": lambda x: model()(x),
    "MiXiN": lambda x: MiXiN().eval()(x),
    "separate": lambda x: model().separate(x),
    "oracle": lambda x: oracle("irm1", SliCQT(**SMALL), x, x[None]),
    "filterbank": encode,
    "plot_stft": drawn(plot_stft),
    "plot_waveform_spectrogram": drawn(plot_waveform_spectrogram),
}


@pytest.mark.parametrize("dtype", [torch.int16, torch.bool])
@pytest.mark.parametrize("taker", TAKERS)
def test_integers_are_refused_alike(taker, dtype):
    waveform = (1000 * WAVEFORM).to(dtype)
    words = rf"waveform must be floating point in \[-1, 1\], got {dtype}; divide integer samples"
    with pytest.raises(TypeError, match=words):
        TAKERS[taker](waveform)


def negated_lazily(x):
    y = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert y.is_neg()
    return y


def equal(found, wanted):
    if isinstance(wanted, torch.Tensor):
        torch.testing.assert_close(found, wanted)
        return
    for a, b in zip(found, wanted, strict=True):
        equal(a, b)


@pytest.mark.parametrize("taker", ["separate", "XUMXSliCQ", "SliCQT", "filterbank", "plot_stft"])
def test_lazily_negated_waveforms_are_what_they_stand_for(taker):
    with torch.no_grad():
        torch.manual_seed(0)
        wanted = TAKERS[taker](WAVEFORM)
        torch.manual_seed(0)
        equal(TAKERS[taker](negated_lazily(WAVEFORM)), wanted)


def test_a_model_may_negate_lazily():
    class Negating(Split):
        def forward(self, mix):
            return negated_lazily(super().forward(mix))

    from asteroid_slicq.separation import separate

    torch.testing.assert_close(separate(Negating().eval(), WAVEFORM).sum(0), WAVEFORM)


@pytest.mark.parametrize("metric", [lambda a, b: frame_sdr(a, b, 2000), utterance_sdr])
def test_metrics_take_tensors_of_any_kind(metric):
    true, estimate = noise(3, 2, 6000), noise(3, 2, 6000, seed=1)
    wanted = metric(true.numpy(), estimate.numpy())
    found = metric(negated_lazily(true), estimate.clone().requires_grad_())
    equal(torch.as_tensor(found), torch.as_tensor(wanted))


def test_losses_take_lazily_conjugated_coefficients():
    estimate, target = (list(SliCQT(**SMALL)(noise(1, 3, 2, 6000, seed=s))) for s in (0, 1))
    lazily = [[b.conj().resolve_conj().conj() for b in blocks] for blocks in (estimate, target)]
    assert all(block.is_conj() for blocks in lazily for block in blocks)
    torch.testing.assert_close(combination_mse(*lazily), combination_mse(estimate, target))
