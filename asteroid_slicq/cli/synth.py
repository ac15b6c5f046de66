"""``asteroid-slicq synth``: a data set of composed songs."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asteroid_slicq.cli.messages import one_line, say
from asteroid_slicq.data.procedural import plan_dataset, write_dataset
from asteroid_slicq.data.sampled import default_folder


def run(args: argparse.Namespace) -> int:
    """Write the data set; return the exit code."""
    options: dict[str, Any] = {"n_test": args.test_tracks}
    if args.sounds != "procedural":
        options |= {"render": _renderer(args.sounds, args.cache), "label": args.sounds}
    plan = plan_dataset(args.out, args.tracks, args.seconds, args.seed, **options)
    n_kept = sum(job.folder.exists() for job in plan)
    with tqdm(total=len(plan), unit="track", desc="synth", delay=0.5, disable=None) as bar:

        def advance(folder: Path) -> None:
            bar.set_postfix_str(folder.name, refresh=False)
            bar.update()

        write_dataset(
            args.out,
            args.tracks,
            args.seconds,
            args.seed,
            **options,
            jobs=args.jobs,
            progress=advance,
        )
    n = Counter(job.split for job in plan)
    songs = "song" if n["train"] == 1 else "songs"
    kept = f" ({n_kept} there already)" if n_kept else ""
    say(one_line(f"{args.out}: {n['train']} {songs} in train, {n['test']} in test{kept}"))
    return 0


def _renderer(sounds: str, folder: Path | None) -> Any:
    try:
        from asteroid_slicq.data.sampled.track import Renderer
    except ImportError as error:
        raise ValueError(
            f'--sounds {sounds} needs the extra sounds: pip install "asteroid-slicq[sounds]"'
        ) from error
    return Renderer(sounds, default_folder() if folder is None else folder)
