"""Copyright and licence of a file, as its installed Debian package states them."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from asteroid_slicq.data.sampled.catalogue import Credit, LicenceError, Source

# Debian's short names of licences, and their SPDX identifiers.
SPDX = {
    "CC0": "CC0-1.0",
    "CC0-1.0": "CC0-1.0",
    "CC-BY-3.0": "CC-BY-3.0",
    "CC-BY-4.0": "CC-BY-4.0",
    "Expat": "MIT",
    "MIT": "MIT",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "Apache-2.0": "Apache-2.0",
    "public-domain": "LicenseRef-public-domain",
}


@dataclass(frozen=True)
class Stanza:
    """Files of a package, whose they are, and under which licence."""

    patterns: tuple[str, ...]
    author: str
    licence: str
    origin: str


def read_copyright(root: Path, source: Source) -> str:
    """Read the copyright file of a source, and hold it against the catalogue.

    Args:
        root: Root of the file system that the package is installed in.
        source: The source.

    Raises:
        LicenceError: If the file is missing, or lacks a statement of the catalogue.
    """
    path = root / source.copyright_file
    if not path.is_file():
        raise LicenceError(f"{source.package} has no copyright file at {path}")
    text = path.read_text(encoding="utf-8")
    flat = " ".join(text.split())
    for statement in source.statements:
        if " ".join(statement.split()) not in flat:
            raise LicenceError(
                f"{path} does not say {statement!r}: has the licence of {source.package} changed?"
            )
    return text


def parse_stanzas(text: str) -> list[Stanza]:
    """Parse the stanzas ``Files:`` of a copyright file in Debian's machine-readable format 1.0."""
    out = []
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if "Files" in fields and "License" in fields:
            out.append(
                Stanza(
                    tuple(fields["Files"].split()),
                    " ".join(fields.get("Copyright", "").split()),
                    fields["License"].split("\n")[0].strip(),
                    " ".join(fields.get("Source", "").split()),
                )
            )
    return out


def credit_by_name(stanzas: list[Stanza], path: str) -> tuple[Credit, str] | None:
    """Find who made a file that a copyright file names, its licence, and its origin.

    Args:
        stanzas: As `parse_stanzas` gives them.
        path: Of the file in the sources of the package.

    Returns:
        Credit and origin; ``None`` where no stanza names the file itself, a pattern for all files
        being no statement about a sound.
    """
    found = None
    for stanza in stanzas:
        if any(p != "*" and fnmatchcase(path, p) for p in stanza.patterns):
            licence = SPDX.get(stanza.licence, stanza.licence)
            found = (Credit(stanza.author, licence), stanza.origin)
    return found
