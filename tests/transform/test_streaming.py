import random

import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import SliCQTInverseStream, SliCQTStream
from tests.helpers import listed, noise, stored_bytes

SMALL = {"n_bins": 8, "f_min_hz": 300.0, "sample_rate": 8000, "window": "hann"}
LAYOUTS = [
    {"rasterize": rasterize, "overlap_added": added, "phase": phase}
    for rasterize in ("none", "piecewise", "full")
    for added in (False, True)
    for phase in ("local", "global")
]
FOUR = [
    layout for layout in LAYOUTS if layout["phase"] == "local" and layout["rasterize"] != "full"
]
BOTH = FOUR[:2]


def name(layout: dict) -> str:
    added = "overlap-added" if layout["overlap_added"] else "sliced"
    return f"{added}-{layout['rasterize']}-{layout['phase']}"


def joined(parts: list, slicqt: SliCQT):
    """What a stream has yielded, as the offline transform returns it."""
    axis = -1 if slicqt.frame.overlap_added else -2
    rows = zip(*(listed(part) for part in parts), strict=True)
    blocks = tuple(torch.cat(row, dim=axis) for row in rows)
    return blocks[0] if isinstance(parts[0], torch.Tensor) else blocks


def pieces(x: torch.Tensor, sizes: str, seed: int = 0) -> list[torch.Tensor]:
    """A waveform in blocks; a slice of the small frame has 160 samples."""
    draw, left, cuts = random.Random(seed), x.shape[-1], []
    some = {"random": [0, 1, 7, 64, 150, 431, 1500], "0 and 1": [0, 1, 1, 1], "whole": [left]}
    while left:
        cuts.append(min(draw.choice(some[sizes]), left))
        left -= cuts[-1]
    return list(x.split(cuts, dim=-1))


def near(a, b, tolerance: float) -> bool:
    """Equal in form, and within a share of the largest value, or of one where that is larger."""
    pairs = list(zip(listed(a), listed(b), strict=True))
    if type(a) is not type(b) or any(p.shape != q.shape or p.dtype != q.dtype for p, q in pairs):
        return False
    peak = max(float(q.abs().max()) for _, q in pairs)
    return max(float((p - q).abs().max()) for p, q in pairs) <= tolerance * max(1.0, peak)


@pytest.mark.parametrize("sizes", ["random", "0 and 1", "whole"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=name)
def test_a_stream_equals_the_whole(layout, sizes):
    slicqt = SliCQT(**SMALL, **layout)
    x = noise(2, 241 if sizes == "0 and 1" else 4001)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    parts = [analysis.push(block) for block in pieces(x, sizes)] + [analysis.flush()]
    whole = slicqt(x)
    assert near(joined(parts, slicqt), whole, 1e-6)
    out = [synthesis.push(part) for part in parts[:-1]]
    out.append(synthesis.flush(parts[-1], length=x.shape[-1]))
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(whole, x.shape[-1]), 1e-6)
    if not layout["overlap_added"]:
        assert near(torch.cat(out, dim=-1), x, 1e-5)


@pytest.mark.parametrize("layout", FOUR, ids=name)
@pytest.mark.parametrize("passes", [1, 2, 4])
def test_in_float64_to_1e_12(layout, passes):
    slicqt = SliCQT(**SMALL, **layout).double()
    x = noise(3, 1, 3333, dtype=torch.float64)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes)
    parts = [analysis.push(block) for block in pieces(x, "random")] + [analysis.flush()]
    assert near(joined(parts, slicqt), slicqt(x), 1e-12)
    out = [synthesis.push(part) for part in parts[:-1]] + [synthesis.flush(parts[-1], 3333)]
    assert near(torch.cat(out, dim=-1), slicqt.inverse(slicqt(x), 3333, passes), 1e-12)


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_changed_coefficients_in_steps_of_any_size(layout, passes):
    """What a mask or a network returns lies outside the range of the transform."""
    slicqt = SliCQT(**SMALL, **layout)
    blocks = [
        block * noise(*block.shape, seed=1) for block in listed(slicqt(noise(1, 2500, seed=2)))
    ]
    axis = -1 if layout["overlap_added"] else -2
    units = [m // 2 if layout["overlap_added"] else 1 for _, m in slicqt.frame.blocks]
    n_steps, draw = blocks[0].shape[axis] // units[0], random.Random(3)
    synthesis, out, at = SliCQTInverseStream(slicqt, passes), [], 0
    while at < n_steps - 3:
        n = min(draw.choice([0, 1, 2, 5]), n_steps - 3 - at)
        cut = [b.narrow(axis, at * u, n * u) for b, u in zip(blocks, units, strict=True)]
        out.append(synthesis.push(cut))
        at += n
    last = [b.narrow(axis, at * u, 3 * u) for b, u in zip(blocks, units, strict=True)]
    out.append(synthesis.flush(last, length=2500))
    assert near(torch.cat(out, dim=-1), slicqt.inverse(blocks, 2500, passes), 2e-6)


def test_passes_make_the_overlap_added_stream_exact():
    slicqt = SliCQT(**SMALL, min_width=32, overlap_added=True)
    passes = slicqt.passes_needed(torch.complex64)
    assert passes > 1
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes)
    x = noise(1, 5000)
    out = [synthesis.push(analysis.push(block)) for block in x.split(99, dim=-1)]
    out.append(synthesis.flush(analysis.flush(), length=5000))
    assert (torch.cat(out, dim=-1) - x).abs().max() < 1e-5


@pytest.mark.parametrize("length", [1, 2, 149, 1000])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_short_streams(layout, length):
    slicqt = SliCQT(**SMALL, **layout)
    x = noise(1, length)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    parts = [analysis.push(x), analysis.flush()]
    assert near(joined(parts, slicqt), slicqt(x), 1e-6)
    out = [synthesis.push(parts[0]), synthesis.flush(parts[1], length)]
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(slicqt(x), length), 1e-6)


@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("layout", BOTH, ids=name)
@pytest.mark.parametrize("transition", [2, None, "half"])
def test_lengths_around_the_edges_of_slices(layout, excess, transition):
    n = SliCQT(**SMALL).frame.slice_length
    transition = n // 2 if transition == "half" else transition
    slicqt = SliCQT(**SMALL, **layout, transition_length=transition)
    frame = slicqt.frame
    for edge in (3 * frame.slice_hop, 3 * frame.slice_hop + SliCQTStream(slicqt).latency_samples):
        x = noise(1, edge + excess)
        analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
        parts = [analysis.push(block) for block in x.split(50, dim=-1)] + [analysis.flush()]
        assert near(joined(parts, slicqt), slicqt(x), 1e-6)
        out = [synthesis.push(part) for part in parts[:-1]]
        out.append(synthesis.flush(parts[-1], x.shape[-1]))
        assert near(torch.cat(out, -1), slicqt.synthesis(slicqt(x), x.shape[-1]), 1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 2)])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_any_leading_shape(layout, shape):
    slicqt = SliCQT(**SMALL, **layout)
    x = noise(*shape, 1234)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    parts = [analysis.push(block) for block in pieces(x, "random")] + [analysis.flush()]
    assert near(joined(parts, slicqt), slicqt(x), 1e-6)
    out = [synthesis.push(part) for part in parts[:-1]] + [synthesis.flush(parts[-1], 1234)]
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(slicqt(x), 1234), 1e-6)


@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_flush_and_reset_begin_a_new_stream(layout):
    slicqt = SliCQT(**SMALL, **layout)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes=2)
    for shape, interrupted in (((2, 999), False), ((1, 1400), True), ((3, 1001), False)):
        x = noise(*shape)
        first = analysis.push(x)
        out = synthesis.push(first)
        if interrupted:
            analysis.reset()
            synthesis.reset()
            continue
        rest = analysis.flush()
        assert near(joined([first, rest], slicqt), slicqt(x), 1e-6)
        out = torch.cat([out, synthesis.flush(rest, shape[-1])], dim=-1)
        assert near(out, slicqt.inverse(slicqt(x), shape[-1], passes=2), 1e-6)


@pytest.mark.parametrize("transition", [2, None])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_latency_of_the_analysis(layout, transition):
    """Slice s is out with sample s·hop + latency; that sample is in it, the next is not."""
    slicqt = SliCQT(**SMALL, **layout, transition_length=transition).double()
    frame, stream = slicqt.frame, SliCQTStream(slicqt)
    hop, latency = frame.slice_hop, stream.latency_samples
    assert latency < frame.slice_length // 2
    x, n_out = noise(1, 4 * hop, dtype=torch.float64), 0
    for n in range(x.shape[-1]):
        block = listed(stream.push(x[:, n : n + 1]))[0]
        unit = frame.blocks[0][1] // 2
        n_out += block.shape[-1] // unit if frame.overlap_added else block.shape[-2]
        assert n_out == max(0, (n - latency) // hop + 1)
    cut = -1 if frame.overlap_added else -2
    for offset in (0, 1):
        changed = x.clone()
        changed[:, 2 * hop + latency + offset] += 1e3
        both = [listed(slicqt(signal)) for signal in (x, changed)]
        until = [3 * (m // 2) if frame.overlap_added else 3 for _, m in frame.blocks]
        change = sum(
            float((a.narrow(cut, 0, u) - b.narrow(cut, 0, u)).abs().max())
            for a, b, u in zip(*both, until, strict=True)
        )
        assert (change > 1e-6) == (offset == 0), change


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_latency_of_the_round_trip(layout, passes):
    """Sample n is out with sample n + latency, and some sample no earlier."""
    slicqt = SliCQT(**SMALL, **layout)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes)
    latency, n_out, spare = analysis.latency_samples + synthesis.latency_samples, 0, []
    slices = passes + 0.5 if layout["overlap_added"] else 1
    assert latency < slices * slicqt.frame.slice_length
    x = noise(1, latency + 3 * slicqt.frame.slice_hop)
    for n in range(x.shape[-1]):
        n_out += synthesis.push(analysis.push(x[:, n : n + 1])).shape[-1]
        if n >= latency:
            spare.append(n_out - (n - latency + 1))
    assert min(spare) == 0


def test_the_default_latency():
    sliced, added = SliCQT(), SliCQT(window="hann", min_width=32, overlap_added=True)
    analysis, synthesis = SliCQTStream(sliced), SliCQTInverseStream(sliced)
    assert (analysis.latency_samples, synthesis.latency_samples) == (6772, 9030)
    assert sliced.frame.slice_length > 6772 + 9030
    assert SliCQTStream(added).latency_samples == 6772
    for passes in (1, 2):
        assert SliCQTInverseStream(added, passes).latency_samples == passes * 18060


@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_a_changed_future_changes_nothing_that_is_out(layout):
    """Bit for bit; and what is out are the offline coefficients of either future."""
    slicqt = SliCQT(**SMALL, **layout)
    x, now = noise(2, 3000), 1777
    futures = [x, torch.cat([x[:, :now], 100 * noise(2, 3000 - now, seed=9)], dim=-1)]
    outs = []
    for future in futures:
        analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
        parts = [analysis.push(block) for block in future[:, :now].split(111, dim=-1)]
        samples = torch.cat([synthesis.push(part) for part in parts], dim=-1)
        early, kept = joined(parts, slicqt), samples.clone()
        copies = [block.clone() for block in early]
        synthesis.push(analysis.push(future[:, now:]))
        assert all(torch.equal(a, b) for a, b in zip(early, copies, strict=True))
        assert torch.equal(samples, kept)
        whole = slicqt(future)
        for block, part in zip(whole, early, strict=True):
            axis = -1 if layout["overlap_added"] else -2
            assert near(block.narrow(axis, 0, part.shape[axis]), part, 1e-4)
        outs.append((early, samples))
    assert torch.equal(outs[0][1], outs[1][1])
    assert all(torch.equal(a, b) for a, b in zip(outs[0][0], outs[1][0], strict=True))


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("layout", FOUR, ids=name)
def test_the_state_is_bounded(layout, passes):
    """In units of a slice of samples, and of a slice of coefficients."""
    slicqt = SliCQT(**SMALL, **layout)
    frame, added = slicqt.frame, layout["overlap_added"]
    samples, coefficients = 2 * 4 * frame.slice_length, 2 * 8 * frame.coefficients_per_slice
    more = (passes - 1) * added
    in_analysis = samples + added * coefficients / 2
    in_synthesis = (0.5 + 2.5 * more) * samples + added * (0.5 + 2 * more) * coefficients
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes)
    draw, sizes = random.Random(0), []
    for _ in range(120):
        synthesis.push(analysis.push(noise(2, draw.choice([0, 1, 33, 200]))))
        sizes.append((stored_bytes(analysis), stored_bytes(synthesis)))
    largest = [max(column) for column in zip(*sizes, strict=True)]
    assert 0 < largest[0] < in_analysis
    assert 0 < largest[1] <= in_synthesis
    assert max(size for size, _ in sizes[:60]) >= 0.9 * largest[0]
    assert max(size for _, size in sizes[:60]) == largest[1]


@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_inputs_are_neither_kept_nor_changed(layout):
    slicqt = SliCQT(**SMALL, **layout)
    x = noise(1, 2000, seed=4)
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    parts, out = [], []
    for block in x.split(77, dim=-1):
        block, before = block.clone().requires_grad_(), block.clone()
        parts.append(analysis.push(block))
        assert torch.equal(block, before)
        block.data.fill_(float("nan"))
        copies = tuple(part.clone() for part in parts[-1])
        out.append(synthesis.push(copies))
        assert all(torch.equal(a, b) for a, b in zip(copies, parts[-1], strict=True))
        for copy in copies:
            copy.fill_(float("nan"))
    parts.append(analysis.flush())
    out.append(synthesis.flush(parts[-1], 2000))
    assert not any(tensor.requires_grad for tensor in (*parts[3], *out))
    assert near(joined(parts, slicqt), slicqt(x), 1e-6)
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(slicqt(x), 2000), 1e-6)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_streams_follow_the_device(layout, passes):
    """Meta tensors refuse to meet any other device's, so they show what is made elsewhere."""
    slicqt = SliCQT(**SMALL, **layout).to("meta")
    analysis, synthesis = SliCQTStream(slicqt), SliCQTInverseStream(slicqt, passes)
    parts = [analysis.push(torch.empty(2, 300, device="meta")) for _ in range(9)]
    parts.append(analysis.flush())
    out = [synthesis.push(part) for part in parts[:-1]] + [synthesis.flush(parts[-1], 2700)]
    assert torch.cat(out, dim=-1).shape == (2, 2700)
    assert out[-1].device.type == "meta"
    with pytest.raises(ValueError, match="must lie on the transform's device meta, got cpu"):
        analysis.push(noise(1, 10))


def test_other_dtypes_become_float32_and_a_stream_starts_with_nothing():
    slicqt = SliCQT(**SMALL)
    stream = SliCQTStream(slicqt)
    assert {block.shape[-2] for block in stream.push(torch.zeros(2, 0))} == {0}
    halves = noise(2, 2000).half()
    parts = [stream.push(halves), stream.flush()]
    assert near(joined(parts, slicqt), slicqt(halves), 1e-4)


def test_wrong_waveforms_are_refused_and_the_stream_goes_on():
    slicqt = SliCQT(**SMALL)
    stream, x = SliCQTStream(slicqt), noise(2, 1000)
    parts = [stream.push(x[:, :700])]
    for wrong, message in (
        (noise(1, 50), r"leading shape \(2,\) .* got \(1,\)"),
        (noise(50), r"leading shape \(2,\) .* got \(\)"),
        (noise(1, 2, 50), r"leading shape \(2,\) .* got \(1, 2\)"),
        (noise(2, 50).double(), "precision of torch.float32 .* torch.float64"),
        (noise(2, 50).cfloat(), "waveform must be real"),
        (noise(0, 50), "one channel or more"),
        (torch.tensor(1.0), "waveform must be real and"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.push(wrong)
    with pytest.raises(TypeError, match="waveform must be a tensor, got list"):
        stream.push([0.0])  # type: ignore[arg-type]
    parts += [stream.push(x[:, 700:]), stream.flush()]
    assert near(joined(parts, slicqt), slicqt(x), 1e-6)
    for push in (None, torch.zeros(2, 0)):
        if push is not None:
            stream.push(push)
        with pytest.raises(ValueError, match="at least one sample"):
            stream.flush()


@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_wrong_coefficients_are_refused_and_the_stream_goes_on(layout):
    slicqt = SliCQT(**SMALL, **layout)
    hop, x = slicqt.frame.slice_hop, noise(2, 2000)
    analysis, stream = SliCQTStream(slicqt), SliCQTInverseStream(slicqt)
    first, last = analysis.push(x), analysis.flush()
    with pytest.raises(ValueError, match="two slices or more, got 0"):
        stream.flush()
    out = [stream.push(first)]
    for wrong, message in (
        ([], r"coefficients must be \d+ blocks"),
        (first[:-1], r"coefficients must be \d+ blocks .* got \d+"),
        (first[::-1], "coefficients must be"),
        ([block[..., :-1] for block in first], "coefficients must be"),
        ([block[0, 0, ..., 0] for block in first], "coefficients must be"),
        ([block.real for block in first], "must be complex"),
        ([*first[:-1], first[-1].to(torch.complex128)], "of one dtype"),
        ([block[:1] for block in first], r"leading shape \(2,\) .* got \(1,\)"),
        ([block.to(torch.complex128) for block in first], "precision of torch.float32"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.push(wrong)
    n_out = out[0].shape[-1]
    longest = (slicqt.frame.n_slices(2000) - 1) * hop
    for length in (0, n_out - 1, longest + 1):
        with pytest.raises(
            ValueError, match=f"length must lie in {n_out} … {longest} .* {length};"
        ):
            stream.flush(last, length)
    out.append(stream.flush(last))
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(slicqt(x), longest), 1e-6)
    with pytest.raises(ValueError, match="passes must be at least 1, got 0"):
        SliCQTInverseStream(slicqt, passes=0)


@pytest.mark.parametrize("layout", BOTH, ids=name)
def test_all_coefficients_may_be_pushed_before_flush(layout):
    slicqt = SliCQT(**SMALL, **layout)
    blocks, hop = slicqt(noise(1, 1500)), slicqt.frame.slice_hop
    stream = SliCQTInverseStream(slicqt)
    out = [stream.push(blocks), stream.flush()]
    longest = (slicqt.frame.n_slices(1500) - 1) * hop
    assert near(torch.cat(out, dim=-1), slicqt.synthesis(blocks, longest), 1e-6)
