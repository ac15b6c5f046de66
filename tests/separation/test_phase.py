"""Facts about models whose sources get other phases: whose they are, sums, segments, refusals."""

import pytest
import torch
from torch import nn

from asteroid_slicq import BandSplit, MiXiN, SliCQT, XUMXSliCQ
from asteroid_slicq.separation import MaskedCoefficients, PhaseModel, Separator, fingerprint
from asteroid_slicq.transform import griffin_lim
from tests.helpers import Split, noise

SMALL = {"n_bins": 14, "f_min_hz": 150.0}


class Masked(nn.Module):
    """Source j has gain_j times the magnitudes of the mix, turned by an angle."""

    sources, sample_rate, n_channels = ("a", "b"), 44100, 2

    def __init__(self, angle=0.0):
        super().__init__()
        self.transform = SliCQT(**SMALL)
        self.gains = nn.Parameter(torch.polar(torch.tensor([0.5, 0.25]), torch.tensor(angle)))

    def masked_coefficients(self, mix):
        blocks = self.transform(mix)
        sources = [self.gains[:, None, None, None, None] * block[:, None] for block in blocks]
        return MaskedCoefficients(sources, blocks, self.transform)


def models():
    torch.manual_seed(0)
    yield XUMXSliCQ(hidden_channels=(2, 2), transform=SMALL)
    yield BandSplit(width=32, n_layers=1, head_width=4, transform_arguments=SMALL)
    yield MiXiN(transform={"n_bins": 14, "f_min_hz": 150.0, "length": 4096})


def test_the_phase_of_the_mix_is_given_whatever_the_model_says():
    mix = noise(1, 2, 5000)
    with torch.no_grad():
        separated = PhaseModel(Masked(angle=1.0), "mix")(mix)
    torch.testing.assert_close(separated[:, 0], 0.5 * mix, atol=1e-5, rtol=0)
    torch.testing.assert_close(separated[:, 1], 0.25 * mix, atol=1e-5, rtol=0)


def test_griffin_lim_begins_with_the_phase_of_the_model():
    mix, model = noise(1, 2, 5000), Masked(angle=3.1415926)
    with torch.no_grad():
        begun = PhaseModel(model, "griffin-lim", 0)(mix)
        gone_on = PhaseModel(model, "fast-griffin-lim", 5)(mix)
    torch.testing.assert_close(begun[:, 0], -0.5 * mix, atol=1e-5, rtol=0)
    torch.testing.assert_close(gone_on[:, 0], -0.5 * mix, atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["griffin-lim", "fast-griffin-lim", "misi"])
def test_it_is_griffin_lim_on_the_magnitudes_of_the_model(method):
    mix, model = noise(1, 2, 5000), next(models()).eval()
    with torch.no_grad():
        sources, of_mix, transform = model.masked_coefficients(mix)
        expected = griffin_lim(
            [source.abs() for source in sources],
            transform,
            5000,
            phase=[block[:, None] for block in of_mix],
            iterations=2,
            momentum=0.0 if method == "griffin-lim" else 0.99,
            mix=mix if method == "misi" else None,
        )
        found = PhaseModel(model, method, 2)(mix)
    torch.testing.assert_close(found, expected)
    sums = torch.allclose(found.sum(1), mix, atol=1e-4)
    assert sums == (method == "misi")


@pytest.mark.slow
def test_every_model_of_masks_is_served_with_its_own_phases_where_nothing_is_refined():
    for model in models():
        mix = noise(1, 2, 5000)
        if isinstance(model, XUMXSliCQ):
            model.wiener_iterations = 0
        with torch.no_grad():
            own = model.eval()(mix)
            begun = PhaseModel(model, "griffin-lim", 0)(mix)
            torch.testing.assert_close(begun, own, atol=1e-4, rtol=1e-3)
            found = PhaseModel(model, "griffin-lim", 2)
            assert found.sources == list(model.sources)
            separated = Separator(found, 0.2).separate_waveform(noise(2, 20_000))
        assert separated.shape == (len(model.sources), 2, 20_000)
        assert separated.isfinite().all()


def test_silence_gives_silence():
    with torch.no_grad():
        assert not PhaseModel(next(models()).eval(), "griffin-lim", 2)(
            torch.zeros(1, 2, 3000)
        ).any()


def test_method_and_iterations_are_part_of_the_identity():
    prints = {
        fingerprint(PhaseModel(Masked(), *words))
        for words in (("mix",), ("griffin-lim", 2), ("griffin-lim", 3), ("misi", 3))
    }
    assert len(prints) == 4
    assert fingerprint(PhaseModel(Masked(), "mix", 3)) == fingerprint(PhaseModel(Masked(), "mix"))


def test_models_of_waveforms_and_unknown_methods_are_refused():
    with pytest.raises(
        TypeError,
        match=r"model must mask .* transform, .*; Split gives",
    ):
        PhaseModel(Split(), "mix")
    with pytest.raises(ValueError, match="method must be one of mix, griffin-lim, fast-"):
        PhaseModel(Masked(), "griffin")
