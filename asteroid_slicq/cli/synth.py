"""The command ``asteroid-slicq synth``: write a data set of composed songs."""

import argparse
from pathlib import Path
from typing import Any

from asteroid_slicq.cli.messages import complain
from asteroid_slicq.data.procedural import plan_dataset, write_dataset
from asteroid_slicq.data.sampled import default_folder


def add_synth_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command ``synth`` to a parser.

    Args:
        subparsers: What ``ArgumentParser.add_subparsers`` returned.

    Returns:
        The parser of the command; its default ``run`` is `run_synth`.
    """
    parser = subparsers.add_parser(
        "synth",
        help="write a data set of composed songs",
        description="Write composed multitrack songs in the folder layout of MUSDB18-HQ, played by "
        "synthesisers or from recorded sounds. Tracks that are already there are kept.",
    )
    parser.add_argument("out", metavar="OUT", help="folder of the data set")
    parser.add_argument("--tracks", type=int, default=150, help="tracks in all (default: 150)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same songs (default: 0)")
    parser.add_argument(
        "--test-tracks", type=int, default=None, help="tracks in test (default: a third)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at work (default: 1)")
    parser.add_argument(
        "--sounds",
        choices=("procedural", "sampled", "both"),
        default="procedural",
        help="synthesisers, the recordings of `asteroid-slicq sounds build`, or either one, as "
        "each track's seed decides (default: procedural)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of the recordings (default: your cache)"
    )
    parser.set_defaults(run=run_synth)
    return parser


def run_synth(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: As parsed by the parser of `add_synth_parser`.

    Returns:
        Exit code: 0, or 2 after one sentence on stderr about what was wrong.
    """
    from tqdm import tqdm

    try:
        options: dict[str, Any] = {"n_test": args.test_tracks}
        if args.sounds != "procedural":
            options |= {"render": _renderer(args.sounds, args.cache), "label": args.sounds}
        plan = plan_dataset(args.out, args.tracks, args.seconds, args.seed, **options)
        with tqdm(total=len(plan), unit="track", desc="synth", delay=0.5) as bar:

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
    except (ValueError, OSError) as error:
        complain(f"synth: {error}")
        return 2
    return 0


def _renderer(sounds: str, folder: Path | None) -> Any:
    try:
        from asteroid_slicq.data.sampled.track import Renderer
    except ImportError as error:
        raise ValueError(
            f'--sounds {sounds} needs the extra sounds: pip install "asteroid-slicq[sounds]"'
        ) from error
    return Renderer(sounds, default_folder() if folder is None else folder)
