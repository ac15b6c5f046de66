"""Names of the files of stems, by a template such as ``{track}/{stem}.{ext}``."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path, PurePath

from asteroid_slicq.audio import Tags
from asteroid_slicq.vocabulary import STEM_FIELDS

_TAGS = {"artist": "artist", "album": "album", "title": "title", "number": "track"}
_UNKNOWN = {"artist": "Unknown artist", "album": "Unknown album", "number": "00", "stem": "stem"}
_UNSAFE = re.compile(r'[\0-\x1f\x7f/\\<>:"|?*]')
_MOST_BYTES = 120  # of a tag in a name


def needs_tags(template: str) -> bool:
    """Whether a song's tags are in the names of its stems."""
    return any(field in _TAGS for field in _fields(template))


def check_template(template: str, n_stems: int = 2) -> None:
    """Refuse a template whose names would collide, leave the folder or hide their format.

    Args:
        template: with fields of `vocabulary.STEM_FIELDS`.
        n_stems: that a song has.

    Raises:
        ValueError: it cannot be used.
    """
    fields = _fields(template)
    named = f"template must %s, got {template!r}"
    for field in fields:
        if field not in STEM_FIELDS:
            raise ValueError(
                f"template must have fields out of {', '.join(STEM_FIELDS)} in braces, "
                f"got {{{field}}} in {template!r}"
            )
    if not template.endswith(".{ext}"):
        raise ValueError(named % "end in .{ext}")
    path = PurePath(template)
    if path.is_absolute() or ".." in path.parts or template.startswith(("/", "\\")):
        raise ValueError(named % "stay in the output folder")
    if "stem" not in fields and n_stems > 1:
        raise ValueError(named % "hold {stem}, or the stems of a song would have one name")


def stem_paths(
    folder: Path, template: str, track: str, stems: Sequence[str], ext: str, tags: Tags
) -> dict[str, Path]:
    """The file of each stem of a song.

    What tags do not say is "Unknown artist", "Unknown album", the name of the track and "00".

    Args:
        folder: below which they are.
        template: checked.
        track: name of the song, which may have folders.
        stems: names.
        ext: suffix, without the dot.
        tags: of the song.

    Raises:
        ValueError: two stems would share a file.
    """
    fields = {"track": track, "ext": ext} | {
        field: _safe(tags.texts.get(tag, ""), field) for field, tag in _TAGS.items()
    }
    fields["title"] = fields["title"] or Path(track).name
    paths = {stem: folder / template.format(**fields, stem=file_name(stem)) for stem in stems}
    owners: dict[str, str] = {}
    for stem, path in paths.items():
        owner = owners.setdefault(str(path).casefold(), stem)
        if owner != stem:
            raise ValueError(f"stems {owner!r} and {stem!r} would share the file {path}")
    return paths


def file_name(stem: str) -> str:
    """What the name of a stem becomes in that of its file."""
    return _safe(stem, "stem")


def _fields(template: str) -> list[str]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"template {template!r} has braces that do not match") from error
    fields = []
    for _, field, spec, conversion in parts:
        if field is not None:
            if spec or conversion:
                raise ValueError(f"template must have plain fields in braces, got {template!r}")
            fields.append(field)
    return fields


def _safe(text: str, field: str) -> str:
    """A text as a part of one name, or what stands for it."""
    if field == "number" and (number := re.match(r"\s*(\d+)", text)):
        return f"{int(number[1]):02d}"
    text = _UNSAFE.sub("_", text).strip(". ")
    text = text.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip(". ")
    return text or _UNKNOWN.get(field, "")
