"""A small filterbank and how its traces and errors are judged."""

import pytest
import torch

SMALL = {"n_filters": 32, "kernel_size": 16, "stride": 4}

# What torch says about tracing at all, and of Python numbers that its traces hold as constants.
traces = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning",
    "ignore:.*torch.jit:FutureWarning",
    "ignore::torch.jit.TracerWarning",
)


def error_db(found: torch.Tensor, wanted: torch.Tensor) -> float:
    assert found.shape == wanted.shape
    return 20 * float(torch.log10((found - wanted).norm() / wanted.norm() + 1e-30))
