"""The sources of recorded sounds: package, author, licence, and how the licence was verified.

Nothing of the sounds is in this repository. They are read from packages that a user installs, and
only where the copyright file of the installed package says what this list says. A source is listed
here only if anyone may use its sounds for anything, given a notice at most; `refused` names what
was looked at and left out.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatch

# SPDX identifiers. A notice of the authors, as the manifest of a bank is, meets their terms.
# LicenseRef-CMU: the notice licence of the speech software of CMU and of CSTR Edinburgh.
ALLOWED_LICENCES = (
    "MIT",
    "MIT-0",
    "CC0-1.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Apache-2.0",
    "LicenseRef-CMU",
    "LicenseRef-public-domain",
)


class LicenceError(ValueError):
    """A licence that is not among `ALLOWED_LICENCES`, or a copyright file that says another one."""


@dataclass(frozen=True)
class Credit:
    """Who made a sound, and under which licence (an SPDX identifier)."""

    author: str
    licence: str


@dataclass(frozen=True)
class Source:
    """A package whose sounds a bank may hold.

    Args:
        name: Short name, as the manifest writes it.
        package: Name of the package.
        installer: ``"apt-get install"``, ``"pip install"`` or ``"npm pack"``.
        folder: Where its sounds lie, relative to the root of the file system, or of the archive
            that ``npm pack`` downloads.
        copyright_file: Where its copyright file lies, likewise.
        credit: Author and licence of its sounds, where they do not have their own.
        taken: What of it goes into a bank.
        verified: How the licence was verified.
        statements: Sentences that the copyright file must contain; a build refuses it otherwise.
        url: Where it comes from.
        credits: Authors and licences of parts, by pattern of their name.
        for_tests: Whether its sounds only go into songs that models are tested on, never trained:
            then its licence may be any.
    """

    name: str
    package: str
    installer: str
    folder: str
    copyright_file: str
    credit: Credit
    taken: str
    verified: str
    statements: tuple[str, ...]
    url: str
    credits: dict[str, Credit] = field(default_factory=dict)
    for_tests: bool = False

    def __post_init__(self) -> None:
        if self.for_tests:
            return
        for credit in (self.credit, *self.credits.values()):
            check_licence(credit.licence, self.name)

    @property
    def install_command(self) -> str:
        """What to type to install it."""
        return f"{self.installer} {self.package}"

    @property
    def archive(self) -> str | None:
        """Name of the file that ``npm pack`` downloads; ``None`` of what is installed."""
        return f"{self.package.replace('@', '-')}.tgz" if self.installer == "npm pack" else None

    def credit_of(self, part: str) -> Credit:
        """Find the author and licence of one of its parts, by the first pattern that fits."""
        for pattern, credit in self.credits.items():
            if fnmatch(part, pattern):
                return credit
        return self.credit


def check_licence(licence: str, what: str) -> str:
    """Return an allowed licence.

    Args:
        licence: SPDX identifier.
        what: Whose licence it is, for the error.

    Raises:
        LicenceError: If the licence is not among `ALLOWED_LICENCES`.
    """
    if licence not in ALLOWED_LICENCES:
        raise LicenceError(
            f"{what} is under {licence}; a bank takes only {', '.join(ALLOWED_LICENCES)}"
        )
    return licence


_COLLINS = Credit("S. Christian Collins", "MIT")
_MIXED = Credit("S. Christian Collins; Frank Wen and contributors", "MIT")
_PIANO = Credit("AKAI (Splendid Grand), edited by S. Christian Collins", "LicenseRef-public-domain")
_STRINGS = Credit(
    "Sam Gossner, Simon Dalzell, Elan Hickler (VSCO 2 CE), adapted by S. Christian Collins",
    "CC0-1.0",
)

SOURCES = (
    Source(
        name="musescore-general",
        package="musescore-general-soundfont",
        installer="apt-get install",
        folder="usr/share/sounds/sf3",
        copyright_file="usr/share/doc/musescore-general-soundfont/copyright",
        credit=Credit(
            "Frank Wen and contributors (Fluid R3), Michael Cowgill (mono version), "
            "S. Christian Collins (MuseScore General)",
            "MIT",
        ),
        taken="drum kits, basses, guitars, keys, strings, winds, brass and synthesisers; the "
        "largest instruments thinned",
        verified="its Debian copyright file names the licence of the whole (MIT, parts public "
        "domain or CC0); its table of sample sources names those parts",
        statements=(
            "MuseScore_General_HQ SoundFont (MIT, parts PD or CC0)",
            "Permission is hereby granted, free of charge, to any person",
            "Splendid Grand piano from AKAI S5000 (verified Public Domain)",
        ),
        url="https://github.com/musescore/MuseScore (MuseScore_General_HQ 0.2)",
        # By bank:programme, as the table of sample sources in the package has it.
        credits={
            "0:[013]": _PIANO,
            "8:0": _PIANO,
            "0:4[4589]": _STRINGS,
            "8:48": _STRINGS,
            "[2345][05]:4[4589]": _STRINGS,
            "8:5": _COLLINS,
            "0:5": _COLLINS,
            "0:38": _COLLINS,
            "0:39": Credit("unknown, by the table of sample sources", "LicenseRef-public-domain"),
            "8:38": _COLLINS,
            "0:50": _COLLINS,
            "0:51": _COLLINS,
            "0:56": Credit("unknown, by the table of sample sources", "LicenseRef-public-domain"),
            "0:6[23]": _COLLINS,
            "0:8[0167]": _COLLINS,
            "0:88": _COLLINS,
            "0:9[0257]": _COLLINS,
            "0:9[34689]": _MIXED,
            "0:10[03]": _MIXED,
        },
    ),
    Source(
        name="sonic-pi",
        package="sonic-pi-samples",
        installer="apt-get install",
        folder="usr/share/sonic-pi/samples",
        copyright_file="usr/share/doc/sonic-pi-samples/copyright",
        credit=Credit("contributors of freesound.org, named sound by sound", "CC0-1.0"),
        taken="single hits of drums and percussion; no loops, since their makers are not known",
        verified="its Debian copyright file names author, origin and licence of each file; files "
        "that it does not name are left out",
        statements=("License: CC0",),
        url="https://sonic-pi.net",
    ),
    Source(
        name="rumpf-kit",
        package="hydrogen-drumkits",
        installer="apt-get install",
        folder="usr/share/hydrogen/data/drumkits/rumpf_kit_z01_h2",
        copyright_file="usr/share/doc/hydrogen-drumkits/copyright",
        credit=Credit("Emanuel Rumpf", "CC-BY-3.0"),
        taken="the named pieces of the kit; the other kits of the package are refused",
        verified="its README and drumkit.xml say CC-BY 3.0, and so does the Debian copyright file",
        statements=("Files: drumkits/rumpf_kit_z01_h2.h2drumkit", "License is CC-BY"),
        url="https://sourceforge.net/projects/rumpf-kit",
    ),
    Source(
        name="guitar-strums",
        package="hydrogen-drumkits-effects",
        installer="apt-get install",
        folder="usr/share/hydrogen/data/drumkits/belofilms_GuitarStrums",
        copyright_file="usr/share/doc/hydrogen-drumkits-effects/copyright",
        credit=Credit("Gabriel Verdugo Soto (belofilms)", "CC-BY-3.0"),
        taken="down and up strokes of major and minor chords on a steel-string guitar",
        verified="its drumkit.xml says CC-BY 3.0 Unported, and so does the Debian copyright file",
        statements=(
            "Files: drumkits/belofilms_GuitarStrums.h2drumkit",
            "Copyright: Gabriel Verdugo Soto <belo@belofilms.com>\nLicense: CC-BY-3.0",
        ),
        url="http://hydrogen-music.org",
    ),
)
