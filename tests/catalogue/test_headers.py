"""Facts about headers: they say what the model is, and nothing in a file runs."""

import json
import pickle
import re
import zipfile

import pytest
import torch

from asteroid_slicq import BandSplit, XUMXSliCQ
from asteroid_slicq.catalogue import HeaderError, presets, read_header, shipped
from asteroid_slicq.registration import SCALE_SUFFIX, to_eight_bits
from asteroid_slicq.vocabulary import BANDSPLIT_PRESETS, XUMX_SLICQ_PRESETS
from tests.helpers import ROOT, noise

TINY = {"n_bins": 14, "f_min_hz": 150.0}
SPEEDS = {  # rows of docs/benchmarks.md, and what they measure
    "V2 offline": "v2",
    "V2 realtime": "v2-realtime",
    "V2 of LSTMs, offline": "v2-lstm",
    "V1, Wiener on the STFT": "v1",
    "V1 of LSTMs, Wiener on the STFT": "v1-lstm",
    "large (the default model)": "large",
    "medium": "medium",
    "small": "small",
    "BandSplit": "bandsplit",
    "BandSplit, small": "bandsplit-small",
    "BandSplit realtime": "bandsplit-realtime",
}


@pytest.fixture(scope="module")
def model():
    return XUMXSliCQ(hidden_channels=(2, 3), sample_rate=8000, transform=TINY)


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_a_checkpoint_says_what_its_model_is(model, tmp_path):
    torch.save(model.serialize(), tmp_path / "model.pth")
    header = read_header(tmp_path / "model.pth")
    assert header.model_name == "XUMXSliCQ"
    assert header.model_args == model.get_model_args()
    assert header.n_parameters == n_parameters(model)
    assert header.sources == tuple(model.sources)
    assert header.sample_rate == 8000


def test_scales_of_weights_in_8_bits_are_no_parameters(model, tmp_path):
    conf = model.serialize()
    packed = {**conf, "state_dict": to_eight_bits(conf["state_dict"])}
    torch.save(packed, tmp_path / "model.pth")
    assert any(name.endswith(SCALE_SUFFIX) for name in packed["state_dict"])
    assert read_header(tmp_path / "model.pth").n_parameters == n_parameters(model)


def test_a_published_folder_says_the_same(model, tmp_path):
    model.save_pretrained(tmp_path)
    pickled = read_header(tmp_path / "pytorch_model.bin")
    safe = read_header(tmp_path / "model.safetensors", tmp_path / "config.json")
    assert safe == pickled
    assert safe.n_parameters == n_parameters(model)


@pytest.mark.slow
def test_facts_of_presets_are_those_of_the_models():
    listed = {entry.name: entry for entry in presets()}
    assert listed.keys() == {*XUMX_SLICQ_PRESETS, *BANDSPLIT_PRESETS}
    for name, entry in listed.items():
        family = {"XUMXSliCQ": XUMXSliCQ, "BandSplit": BandSplit}[entry.model]
        model = family.from_preset(name)
        assert entry.n_parameters == n_parameters(model)
        assert entry.sources == tuple(model.sources)
        assert entry.causal == (model.latency_s < 100)
        assert entry.latency_s == (round(model.latency_s, 3) if entry.causal else None)


def test_speeds_of_presets_are_those_of_the_benchmarks():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([^|]+) \| [\d.]+ M \| ([\d.]+) \|", page)
    measured = {label: float(speed) for label, speed in rows if label in SPEEDS}
    listed = {SPEEDS[label]: speed for label, speed in measured.items()}
    known = {e.name: e.seconds_per_second for e in presets() if e.seconds_per_second is not None}
    assert known == pytest.approx(listed, abs=0.00051, rel=0)
    assert shipped()[0].seconds_per_second == known["large"]


def test_what_ships_is_what_is_listed():
    entry, medians = shipped()
    assert (medians.name, medians.model, medians.n_parameters) == ("hpss", "HPSS", 0)
    assert entry.n_parameters == 10_747_198
    assert entry.problem is None
    assert (entry.license, entry.sources[0]) == ("mit", "bass")


class Boom:
    def __reduce__(self):
        return open, ("boom", "w")


def test_nothing_in_a_file_runs(folder):
    with zipfile.ZipFile("model.bin", "w") as archive:
        conf = {"model_name": "A", "model_args": {}, "state_dict": {"w": Boom()}}
        archive.writestr("archive/data.pkl", pickle.dumps(conf))
    assert read_header(folder / "model.bin") is None
    assert not (folder / "boom").exists()


def test_files_of_other_libraries_are_no_models(folder):
    torch.save({"weight": noise(3)}, "weights.bin")
    assert read_header(folder / "weights.bin") is None
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert read_header(folder / "model.safetensors", folder / "config.json") is None
    assert read_header(folder / "model.safetensors") is None


@pytest.mark.parametrize("size", [0, 4, 100, 2000])
def test_broken_files_are_told(model, folder, size):
    model.save_pretrained(folder)
    for name in ("pytorch_model.bin", "model.safetensors"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(HeaderError, match=r"whole|can be read"):
            read_header(folder / name, folder / "config.json")


def test_headers_that_are_no_tables_of_tensors_are_told(folder):
    (folder / "config.json").write_text('{"model_name": "A", "model_args": {}}')
    for header in ([1], {"a": 1}, {"a": {"shape": ["x"], "data_offsets": [0, 0]}}):
        content = json.dumps(header).encode()
        (folder / "a.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
        with pytest.raises(HeaderError, match="can be read"):
            read_header(folder / "a.safetensors", folder / "config.json")
    (folder / "config.json").write_text("{")
    with pytest.raises(HeaderError, match=r"config\.json is no JSON"):
        read_header(folder / "a.safetensors", folder / "config.json")
