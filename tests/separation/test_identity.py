"""Facts about the identity of a separation: all that changes its stems, and nothing else."""

import copy
import json

import pytest
import torch

from asteroid_slicq.separation import Ensemble, Separator, describe, fingerprint
from tests.helpers import Split


def changed(model, factor=0.5):
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.gains.mul_(factor)
    return other


@pytest.mark.parametrize(
    "options",
    [
        {"segment_s": 3.0},
        {"overlap_s": 0.5},
        {"shifts": 2},
        {"model": changed(Split())},
        {"model": Ensemble([Split(), Split()])},
    ],
)
def test_what_changes_stems_is_told(options):
    plain = describe(Separator(Split()))
    assert describe(Separator(Split(), device="cpu")) == plain
    assert json.loads(json.dumps(plain)) == plain
    other = describe(Separator(**{"model": Split(), **options}))
    assert other != plain
    assert (other["model"] != plain["model"]) == ("model" in options)


def test_ensembles_are_told_apart():
    a, b = Split(), changed(Split())
    ensembles = [
        Ensemble([a, b]),
        Ensemble([b, a]),
        Ensemble([a, b], weights=[2, 1]),
        Ensemble([a, b], domain="mask"),
        Ensemble([a, changed(b)]),
    ]
    assert len({fingerprint(model) for model in ensembles}) == len(ensembles)
    assert fingerprint(Ensemble([Split(), changed(Split())])) == fingerprint(ensembles[0])


def test_a_model_in_evaluation_is_the_same():
    assert fingerprint(Split().eval()) == fingerprint(Split().train())
