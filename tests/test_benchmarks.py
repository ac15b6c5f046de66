"""Quick runs of scripts in `benchmarks/` that measure what the documentation says of algorithms."""

import subprocess
import sys

import pytest

from tests.helpers import ROOT, environment


def rows_of(script: str) -> list[list[str]]:
    """Lines that a quick run prints, in cells; it writes no page."""
    pages = {page: page.read_bytes() for page in (ROOT / "docs").glob("*.md")}
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert run.returncode == 0, run.stderr
    assert pages == {page: page.read_bytes() for page in (ROOT / "docs").glob("*.md")}
    return [line.split("\t") for line in run.stdout.splitlines()]


@pytest.mark.slow
def test_a_network_undoes_the_overlap_add_in_part_and_the_inverse_exactly():
    network, one_pass, exact = rows_of("deoverlap.py")
    assert 3 < float(network[-2]) < 60  # dB, of noise
    assert 60 < float(one_pass[-2]) < 120 < float(exact[-2])


@pytest.mark.slow
def test_griffin_lim_gains_with_true_magnitudes_and_loses_with_estimated_ones():
    rows = {(row[0], row[1]): row for row in rows_of("phase.py")}
    *_, mix_phase, _, last = rows["STFT 4096/1024", "fast, sums to the mix"]
    assert float(last.split()[0]) > float(mix_phase.split()[0]) + 3
    *_, mix_phase, _, last = rows["true ± 6 dB", "fast"]
    assert float(last.split()[0]) < float(mix_phase.split()[0]) - 1


@pytest.mark.slow
def test_medians_are_nearer_than_the_mix():
    rows = {row[0]: [float(cell) for cell in row[1:6]] for row in rows_of("hpss.py")}
    _, drums, _, drums_beside_a_voice, vocals = rows["the mix"]
    found = rows["medians, sliCQT"]
    assert found[1] > drums + 2
    assert found[3] > drums_beside_a_voice + 3
    assert found[4] > vocals + 2


@pytest.mark.slow
def test_stems_sum_to_the_mix_in_flac_and_up_to_the_noise_of_lossy_codecs():
    found = {name: float(level) for name, level in rows_of("lossy_sums.py")}
    assert found.pop("flac") < -150
    assert set(found) == {"mp3", "m4a", "opus"}
    assert all(-70 < level < -20 for level in found.values())


def test_the_loader_finds_the_settings_of_every_configuration(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import loader

    for name in loader.CONFIGURATIONS:
        _, n_segments = loader.training_step(name, "cpu", 1)
        assert n_segments == 1
        assert (loader.augmentation_of(name) is None) == (name != "free")


def test_every_separator_is_measured_in_one_run_or_another(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import separator

    runs = [separator.names_of(kind) for kind in (None, "LSTM", "BandSplit")]
    assert set().union(*runs) == set(separator.MODELS)
    assert all("Open-Unmix" in names and len(names) == len(set(names)) for names in runs)
    assert separator.DEFAULT in runs[2]
