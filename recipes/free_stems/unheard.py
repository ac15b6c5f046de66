"""A bank of sounds that the models of this recipe never hear, to test them on.

``python unheard.py DIR`` builds it from packages whose licences the banks to train on refuse: other
SoundFonts, other kits, other voices. Then

``asteroid-slicq synth U --sounds sampled --cache DIR --tracks 12 --test-tracks 12`` composes songs
as for training, of none of its sounds: the domain to choose models by. Synthesisers only play
what the bank has nothing for. Such a bank plays songs of
the test split alone, and nothing of it is distributed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile

from asteroid_slicq.data.sampled.bank import BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Credit, Source
from asteroid_slicq.data.sampled.extraction import add_instrument
from asteroid_slicq.data.sampled.packages import installed_version
from asteroid_slicq.data.sampled.soundfont import SoundFont
from asteroid_slicq.data.sampled.sounds import encode_flac, trim
from asteroid_slicq.data.sampled.voices.building import add_voices
from asteroid_slicq.data.sampled.voices.speech import Speaker, festival_speaker

_VERIFIED = "its Debian copyright file says so; songs of it are only tested on"


def _source(
    package: str,
    author: str,
    licence: str,
    folder: str,
    taken: str,
    credits: dict[str, Credit] | None = None,
) -> Source:
    return Source(
        name=package,
        package=package,
        installer="apt-get install",
        folder=folder,
        copyright_file=f"usr/share/doc/{package}/copyright",
        credit=Credit(author, licence),
        taken=taken,
        verified=_VERIFIED,
        statements=(),
        url=f"https://packages.debian.org/{package}",
        credits=credits or {},
        for_tests=True,
    )


SOUNDFONTS, KITS = "usr/share/sounds/sf2", "usr/share/hydrogen/data/drumkits"
VOICES = "usr/share/festival/voices"
TIM = _source(
    "timgm6mb-soundfont", "Tim Brechbill, David Bolton", "GPL-2.0-only", SOUNDFONTS, "instruments"
)
AVL = _source(
    "avldrums.lv2-soundfont",
    "Glen MacArthur, Robin Gareus",
    "GPL-2.0-or-later",
    SOUNDFONTS,
    "two kits of five layers",
)
HYDROGEN = _source(
    "hydrogen-drumkits",
    "Vladimir Sadovnikov, Alexander Belokurov, Glen MacArthur, Emiliano Grilli",
    "GPL-2.0-only",
    KITS,
    "pieces of recorded kits and of machines",
    {
        "ColomboAcousticDrumkit": Credit("Marcos Guglielmetti", "GPL-2.0-or-later"),
        "[EHV]*": Credit("Artemiy Pavlov", "GPL-2.0-or-later"),
    },
)
HYDROGEN_DATA = _source(
    "hydrogen-data",
    "the makers of Hydrogen and of each kit",
    "GPL-2.0-or-later",
    KITS,
    "pieces of a recorded kit and of a machine",
)
# Package, maker, licence, voice, its folder, whether it is a man's, and the language it sings in.
_CZECH = ("Brailcom, o.p.s.", "GPL-3.0-or-later")
_ITALIAN = ("IFM Development Team (ISTC-SPFD CNR, ITC-irst)", "GPL-2.0-or-later")
_FINNISH = ("University of Helsinki", "LGPL-2.0-or-later")
_SPEAKERS = (
    ("festvox-italp16k", *_ITALIAN, "lp_diphone", "italian/lp_diphone", False, "it"),
    ("festvox-itapc16k", *_ITALIAN, "pc_diphone", "italian/pc_diphone", True, "it"),
    (
        "festvox-czech-ph",
        "Brailcom, o.p.s.",
        "GPL-2.0-or-later",
        "czech_ph",
        "czech/czech_ph",
        True,
        "cs",
    ),
    ("festvox-czech-machac", *_CZECH, "czech_machac", "czech/czech_machac", True, "cs"),
    ("festvox-czech-dita", *_CZECH, "czech_dita", "czech/czech_dita", False, "cs"),
    (
        "festvox-suopuhe-lj",
        *_FINNISH,
        "suo_fi_lj_diphone",
        "finnish/suo_fi_lj_diphone",
        False,
        "fi",
    ),
    ("festvox-suopuhe-mv", *_FINNISH, "hy_fi_mv_diphone", "finnish/hy_fi_mv_diphone", True, "fi"),
)
_WORDS = {
    "it": "la notte il mare sole luna stella cielo vita cuore strada vento dolce lontano sempre "
    "canto vola resta ricorda sogno parole bella piano ancora senza voce mani fuoco",
    "cs": "noc more slunce hvezda nebe cesta vitr dlouho zase domov hlas ruce ohen voda pisen "
    "letim cekam hledam zpivam malo mnoho svet jaro zima lasko pojd se mnou kde jsi",
    "fi": "meri aurinko kuu taivas tie tuuli kaukana aina laulu lento muista uni sanat hiljaa "
    "nyt ilman valo kuka tuli vesi talvi joki rakas tule kanssani koska olet",
}

# A kit of General MIDI, as the SoundFont's own are; the two of five layers are kits of their own.
_AVL_KITS = {"128:1": "Black_Pearl_4_LV2.sf2", "128:2": "Red_Zeppelin_4_LV2.sf2"}
_INSTRUMENTS = (*((0, programme) for programme in range(119)), *((128, kit) for kit in range(49)))
# Pieces of a kit by pattern of their name, in the order in which they are tried.
_PIECES = (
    (r"choke|flink|noise|zap|fx|main|roll|glass|\bbell|cup|swish|semi", None),
    (r"kick|bass ?drum|thump", "kick"),
    (r"side ?stick|stick|rim ?click|click", "rim"),
    (r"snare", "snare"),
    (r"clap|snap", "clap"),
    (r"(hat|hh).*ped|ped.*(hat|hh)|hat \d pd", "pedal"),
    (r"(hat|hh).*op|op.*(hat|hh)|ohh", "open"),
    (r"hat|hh", "hat"),
    (r"ride", "ride"),
    (r"crash|splash|cymbal", "crash"),
    (r"tom.*(hi|1)|hi.*tom", "tom1"),
    (r"tom.*(mid|2)", "tom2"),
    (r"tom", "tom3"),
    (r"maraca|shaker", "shaker"),
    (r"bongo|conga|clave|cowbell|tambourine|wood|agogo", "perc"),
)
# Folders of kits; those whose makers the package does not name, or under CC-BY-SA, are left out.
_KITS = {
    HYDROGEN.name: (
        "ColomboAcousticDrumkit",
        "ElectricEmpireKit",
        "ForzeeStereo",
        "Gimme A Hand 1.0",
        "HardElectro1",
        "Millo-Drums_v.1",
        "Millo_MultiLayered2",
        "The Black Pearl 1.0",
        "VariBreaks",
    ),
    HYDROGEN_DATA.name: ("GMRockKit", "TR808EmulationKit"),
}
_MOST_LAYERS = 5


def piece_of(name: str) -> str | None:
    """Which piece of a kit a name says; None if none that songs play."""
    name = re.sub(r"\(.*\)", "", name).lower()  # the maker and the size
    return next((piece for pattern, piece in _PIECES if re.search(pattern, name)), None)


def layers_of(instrument: ElementTree.Element) -> list[str]:
    """Files of an instrument from soft to hard, at most five of them."""
    layers = [
        (float(layer.findtext("min", "0")), layer.findtext("filename", ""))
        for layer in instrument.iter("layer")
    ]
    files = [file for _, file in sorted(layers)] or [instrument.findtext("filename", "")]
    if len(files) > _MOST_LAYERS:
        step = (len(files) - 1) / (_MOST_LAYERS - 1)
        files = [files[round(i * step)] for i in range(_MOST_LAYERS)]
    return [file for file in files if file]


def add_kit(folder: Path, source: Source, bank: BankWriter) -> None:
    """Enter the pieces of a kit of Hydrogen, each with its layers from soft to hard.

    Raises:
        OSError: where a file cannot be read.
        ValueError: where the kit is damaged.
    """
    try:
        tree = ElementTree.parse(folder / "drumkit.xml")
    except ElementTree.ParseError as error:
        raise ValueError(f"{folder / 'drumkit.xml'} is damaged: {error}") from error
    space = re.match(r"\{.*\}", tree.getroot().tag)
    for element in tree.iter():  # older kits have no namespace
        element.tag = element.tag.removeprefix(space[0] if space else "")
    for instrument in tree.iter("instrument"):
        name = instrument.findtext("name", "")
        piece = piece_of(name)
        paths = [folder / file for file in layers_of(instrument)]
        if piece is None or not paths or not all(path.is_file() for path in paths):
            continue
        numbers = []
        for path in paths:
            x, rate = soundfile.read(path, always_2d=True)
            x = x.mean(axis=1)
            if np.abs(x).max(initial=0.0) < 1e-4:
                continue
            data = encode_flac(trim(x, rate), rate)
            title = f"{folder.name}: {name}"
            file = bank.add_file(title, data, ".flac", source.name, source.credit_of(folder.name))
            numbers.append(bank.add_recording(Recording(file, rate)))
        if numbers:
            bank.hits.setdefault(piece, []).append(numbers)


def speakers(root: Path) -> Iterator[tuple[Source, Speaker]]:
    """The voices that are installed, with their sources."""
    if shutil.which("text2wave") is None:
        return
    for package, author, licence, voice, folder, male, language in _SPEAKERS:
        if not (root / VOICES / folder).is_dir():
            continue
        source = _source(package, author, licence, f"{VOICES}/{folder}", "lines")

        def draw(rng: np.random.Generator, language: str = language) -> str:
            words = _WORDS[language].split()
            return " ".join(str(rng.choice(words)) for _ in range(int(rng.integers(5, 10))))

        yield source, festival_speaker(voice, source.name, male, draw)


def build(folder: Path, root: Path = Path("/"), say=print) -> list[str]:
    """Build the bank from what is installed.

    Args:
        folder: of the bank.
        root: of the file system; voices speak only from ``/``.
        say: called with what is done.

    Returns:
        Packages that were not there.

    Raises:
        FileNotFoundError: where none was.
        OSError: where a file cannot be read or written.
        ValueError: where a SoundFont or a kit is damaged.
        CalledProcessError: where Festival does not speak.
    """
    bank, missing = BankWriter(for_tests=True), []

    def there(source: Source, *paths: str) -> bool:
        if not all((root / source.folder / path).exists() for path in paths):
            missing.append(source.package)
            return False
        bank.add_source(source, installed_version(root, source.package))
        say(f"  {source.package}")
        return True

    if there(TIM, "TimGM6mb.sf2"):
        font = SoundFont(root / TIM.folder / "TimGM6mb.sf2")
        for number in _INSTRUMENTS:
            if number in font.presets:
                preset = font.preset(*number)
                key = f"{number[0]}:{number[1]}"
                add_instrument(bank, TIM, key, font, preset.name, list(preset.zones))
    if there(AVL, *_AVL_KITS.values()):
        for key, file in _AVL_KITS.items():
            font = SoundFont(root / AVL.folder / file)
            preset = font.preset(*font.presets[0])
            add_instrument(bank, AVL, key, font, preset.name, list(preset.zones))
    for source in (HYDROGEN, HYDROGEN_DATA):
        if there(source, *(f"{kit}/drumkit.xml" for kit in _KITS[source.name])):
            for kit in _KITS[source.name]:
                add_kit(root / source.folder / kit, source, bank)
    found = list(speakers(root)) if root == Path("/") else []
    for source, _ in found:
        bank.add_source(source, installed_version(root, source.package))
    if shutil.which("text2wave") is None:
        missing.append("festival")
    missing += sorted({entry[0] for entry in _SPEAKERS} - {source.package for source, _ in found})
    voices: Iterable[Speaker] = [speaker for _, speaker in found]
    add_voices(bank, [(source, root) for source, _ in found], voices, say, folder / "voices")
    if not bank.n_bytes:
        packages = " ".join(missing)
        raise FileNotFoundError(f"no package is there; `apt-get install {packages}` installs them")
    bank.write(folder)
    return missing


def main(arguments: list[str] | None = None) -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the bank")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where packages are unpacked")
    args = parser.parse_args(arguments)
    try:
        missing = build(args.folder, args.root)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        parser.exit(1, f"unheard.py: {error}\n")
    if missing:
        print(f"for more sounds: apt-get install {' '.join(missing)}")


if __name__ == "__main__":
    main()
