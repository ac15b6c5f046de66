"""The example that swaps a filterbank."""

import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT, environment


@pytest.mark.slow
def test_it_prints_a_row_for_each_filterbank():
    script = ROOT / "examples" / "swap_filterbank.py"
    options = ["--steps", "2", "--songs", "1"]
    done = subprocess.run(
        [sys.executable, script, *options], env=environment(), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\w+) +(-?\d+\.\d+) +(-?\d+\.\d+)", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["mixture", "stft", "free", "slicqt"]
