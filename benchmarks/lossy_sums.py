"""How far the sum of stems in lossy files is from the mix.

``python benchmarks/lossy_sums.py`` separates a song of ``synth`` with ``--residual`` in every
format, at its default bitrate, and prints the difference of the stems' sum from the mix in dB
relative to the mix. docs/output.md has the numbers. ``--quick`` takes three seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from torchaudio.functional import resample

import asteroid_slicq
from asteroid_slicq.audio import AudioReader
from asteroid_slicq.data.procedural import synthesize_track
from asteroid_slicq.separation import Separator

RATE = 44100
FORMATS = ("flac", "mp3", "m4a", "opus")


def read(path: Path) -> tuple[torch.Tensor, int]:
    """A file as ``(channel, time)``, and its rate in Hz."""
    with AudioReader(path) as reader:
        samples = np.concatenate(list(reader.buffers(2**16)), axis=1)
        return torch.from_numpy(samples).double(), reader.sample_rate


def difference_db(stems: Iterable[Path], mix: torch.Tensor) -> float:
    """Of the stems' sum from the mix, at the stems' rate."""
    read_stems = [read(path) for path in stems]
    rate = read_stems[0][1]
    total = torch.stack([samples for samples, _ in read_stems]).sum(0)
    mix = resample(mix, RATE, rate)
    n = min(mix.shape[1], total.shape[1])
    error = (total[:, :n] - mix[:, :n]).square().mean() / mix[:, :n].square().mean()
    return float(10 * error.clamp_min(1e-20).log10())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    track = synthesize_track(1, 3.0 if args.quick else 30.0, RATE)
    song = np.sum(list(track.values()), axis=0)
    separator = Separator(asteroid_slicq.load_default_model())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "song.wav")
        sf.write(path, song.T, RATE, "PCM_16")
        mix, _ = read(path)
        for name in FORMATS:
            stems = separator.separate_file(path, folder, residual=True, audio_format=name)
            print(f"{name}\t{difference_db(stems.values(), mix):.0f}")


if __name__ == "__main__":
    main()
