"""The example that swaps a filterbank."""

import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT, environment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ([], ["mixture", "stft", "free", "slicqt"]),
        (["--only", "slicqt", "--phase", "local"], ["mixture", "slicqt"]),
    ],
)
def test_it_prints_a_row_for_each_filterbank(options, rows):
    script = ROOT / "examples" / "swap_filterbank.py"
    command = [sys.executable, script, "--steps", "2", "--songs", "1", *options]
    done = subprocess.run(command, env=environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^(\w+) +(-?\d+\.\d+) +(-?\d+\.\d+)", done.stdout, re.MULTILINE)
    assert [row[0] for row in printed] == rows
