"""Building a bank of sounds from the packages that are installed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from asteroid_slicq.data.sampled.bank import BankWriter, default_folder
from asteroid_slicq.data.sampled.catalogue import SOURCES, Source
from asteroid_slicq.data.sampled.copyrights import read_copyright
from asteroid_slicq.data.sampled.extraction import EXTRACTORS
from asteroid_slicq.data.sampled.packages import (
    find_packages,
    installation,
    installed_version,
    packages_folder,
)
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from asteroid_slicq.data.sampled.voices import VOICE_SOURCES, add_voices

MAX_BYTES = 64_000_000
_VOICES = "voices"  # folder of what was spoken, in that of the bank


@dataclass(frozen=True)
class Built:
    """A bank that was built: its folder, its manifest, and the sources that were missing."""

    folder: Path
    manifest: dict[str, Any]
    missing: tuple[Source, ...]


def build_bank(
    folder: Path | None = None,
    root: Path = Path("/"),
    progress: Callable[[str], None] | None = None,
    packed: Path | None = None,
) -> Built:
    """Build a bank from every source that is there.

    The same packages give the same bytes, voices of neural networks on processors of one kind.

    Voices take minutes each. They are kept in the folder of the bank, so that a build which was
    stopped goes on where it was, and one with more packages speaks only what is new.

    Args:
        folder: Where the bank goes; `default_folder` by default.
        root: Root of the file system that the packages are installed in, or unpacked to.
        progress: Called with the name of each source and speaker that is done.
        packed: Folder of the archives that ``npm pack`` downloaded; ``packages`` in the folder of
            the bank by default.

    Raises:
        FileNotFoundError: If no source is there.
        LicenceError: If a package says another licence than the catalogue.
        ValueError: If an archive is damaged, or the bank would pass 64 MB.
        OSError: If the folder cannot be written.
    """
    folder = default_folder() if folder is None else folder
    packed = packages_folder(folder) if packed is None else packed
    # Speech is synthesised by programs, which an unpacked package does not run.
    sources = SOURCES + PACKED_SOURCES + (VOICE_SOURCES if root == Path("/") else ())
    with TemporaryDirectory() as scratch:
        found, missing = find_packages(sources, root, packed, Path(scratch))
        if not found:
            commands = " or ".join(f"`{c}`" for c in installation(missing, packed))
            raise FileNotFoundError(f"no source of sounds is installed; {commands} installs them")
        bank = BankWriter()
        for source, here in found:
            text = read_copyright(here, source)
            bank.add_source(source, installed_version(here, source.package))
            if source.name in EXTRACTORS:
                EXTRACTORS[source.name](here, source, text, bank)
                if progress is not None:
                    progress(source.name)
        voices = [(source, here) for source, here in found if source in VOICE_SOURCES]
        if voices:
            add_voices(bank, voices, progress=progress, kept=folder / _VOICES)
    if bank.n_bytes > MAX_BYTES:
        raise ValueError(f"the bank would have {bank.n_bytes} bytes, more than {MAX_BYTES}")
    return Built(folder, bank.write(folder), tuple(missing))
