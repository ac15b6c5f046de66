"""Single hits of drums and percussion: which of a package's files are which piece of a kit."""

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from asteroid_slicq.data.sampled.bank import BankWriter, Recording
from asteroid_slicq.data.sampled.catalogue import Credit, Source
from asteroid_slicq.data.sampled.copyrights import credit_by_name, parse_stanzas
from asteroid_slicq.data.sampled.sounds import encode_flac_file

# Voices of a kit by pattern of the file's name, in the order in which they are tried.
_SONIC_PI = (
    (r"bd_.*|drum_bass_.*|drum_heavy_kick|elec_hollow_kick|elec_soft_kick", "kick"),
    (r"sn_.*|drum_snare_.*|elec_\w*snare", "snare"),
    (r"perc_snap2?", "clap"),
    (r"drum_cymbal_closed|elec_cymbal", "hat"),
    (r"drum_cymbal_pedal", "pedal"),
    (r"drum_cymbal_open", "open"),
    (r"drum_cymbal_hard|drum_splash_.*", "crash"),
    (r"drum_cymbal_soft", "ride"),
    (r"drum_tom_hi_.*", "tom1"),
    (r"drum_tom_mid_.*", "tom2"),
    (r"drum_tom_lo_.*|elec_fuzz_tom", "tom3"),
    (r"elec_(tick|wood|blip2?|pop|triangle)|tabla_.*|drum_cowbell", "perc"),
)
# What the collection has beyond the one above; long ones are open hi-hats.
_SONIC_PI_4 = (
    (r"bd_jazz|bd_chip", "kick"),
    (r"hat_(gump|len|metal|noiz)", "open"),
    (r"hat_.*|tbd_perc_hat", "hat"),
    (r"ride_.*", "ride"),
    (r"tbd_perc_(blip|tap_\d)", "perc"),
)
_RUMPF = (
    (r"bass drum", "kick"),
    (r"snare", "snare"),
    (r"clap", "clap"),
    (r"stick", "rim"),
    (r"hi-hat closed", "hat"),
    (r"hi-hat pedal", "pedal"),
    (r"hi-hat open", "open"),
    (r"crash|cymbal", "crash"),
    (r"ride", "ride"),
    (r"high tom", "tom1"),
    (r"middle tom", "tom2"),
    (r"low tom", "tom3"),
    (r"cowbell", "perc"),
)


def extract_sonic_pi(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take single hits whose author and licence the copyright file names, one by one."""
    stanzas = parse_stanzas(copyright_text)
    for path in sorted((root / source.folder).glob("*.flac")):
        voice = next((v for pattern, v in _SONIC_PI if re.fullmatch(pattern, path.stem)), None)
        named = credit_by_name(stanzas, f"etc/samples/{path.name}")
        if voice is not None and named is not None:
            _add_hit(bank, path, voice, source, *named)


def extract_sonic_pi_4(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take single hits whose page on freesound.org, and so their maker, the list names."""
    pages = dict(re.findall(r"^\* `:?(\w+)`\s+- (\S+)$", copyright_text, re.M))
    for path in sorted((root / source.folder).glob("*.flac")):
        voice = next((v for pattern, v in _SONIC_PI_4 if re.fullmatch(pattern, path.stem)), None)
        page = pages.get(path.stem, "")
        maker = re.search(r"freesound\.org/people/([^/]+)/", page, re.I)
        if voice is not None and maker is not None:
            credit = Credit(unquote(maker[1]), source.credit.licence)
            _add_hit(bank, path, voice, source, credit, page)


def extract_rumpf_kit(root: Path, source: Source, copyright_text: str, bank: BankWriter) -> None:
    """Take the pieces of the kit that its map names."""
    folder = root / source.folder
    for instrument in ElementTree.parse(folder / "drumkit.xml").iter("instrument"):
        name = instrument.findtext("name", "")
        path = folder / instrument.findtext("filename", "")
        voice = next((v for pattern, v in _RUMPF if re.search(pattern, name)), None)
        if voice is not None and path.is_file():
            _add_hit(bank, path, voice, source, source.credit)


def _add_hit(
    bank: BankWriter, path: Path, voice: str, source: Source, credit: Credit, origin: str = ""
) -> None:
    data, rate = encode_flac_file(path)
    file = bank.add_file(path.stem, data, ".flac", source.name, credit, origin)
    bank.hits.setdefault(voice, []).append([bank.add_recording(Recording(file, rate))])
