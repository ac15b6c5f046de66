"""The script that measures a GPU runs without one, so that it works where there is one."""

import re
import subprocess
import sys

import pytest
import torch

from tests.helpers import ROOT, environment


@pytest.mark.slow
def test_the_script_writes_its_section(tmp_path):
    page = tmp_path / "benchmarks.md"
    parts = ("gpu", "gpu transform", "gpu kernels", "gpu separation", "gpu training", "gpu tests")
    sections = "\n\nours\n\n".join(f"<!-- {p} -->\noutdated\n<!-- end of {p} -->" for p in parts)
    page.write_text(f"# Benchmarks\n\nbefore\n\n{sections}\n\nafter\n")
    script = ROOT / "benchmarks/gpu.py"
    command = [sys.executable, script, "--device", "cpu", "--quick", "--page", page]
    done = subprocess.run(
        command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "outdated" not in text
    assert text.count("\n\nours\n\n") == 5
    assert text.startswith("# Benchmarks\n\nbefore\n")
    assert text.endswith("\nafter\n")
    for heading in ("Transform", "Kernels", "Separation of 60 s", "Training steps", "Tests"):
        assert f"### {heading}" in text
    assert "Not measured" not in text
    assert "Left out" not in text
    for row in (
        "| sliced, ragged | 1 × 1 s |",
        "| STFT, forward |",
        "`aten::_fft_r2c`",
        "| V2 realtime |",
        "| V2 offline | 1 × 2 s | bf16",
    ):
        assert row in text
    assert re.search(r"\d+ tests collected", text)


@pytest.mark.slow
def test_without_a_gpu_it_says_so(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    script = ROOT / "benchmarks/gpu.py"
    done = subprocess.run(
        [sys.executable, script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no GPU here" in done.stderr
