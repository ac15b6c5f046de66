"""The files that the separation of one song writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asteroid_slicq.audio import (
    AudioError,
    AudioReader,
    StemFormat,
    StemWriter,
    Tags,
    check_clip,
    read_tags,
)
from asteroid_slicq.separation.selection import Selection, select
from asteroid_slicq.separation.templates import check_template, needs_tags, stem_paths
from asteroid_slicq.vocabulary import DEFAULT_TEMPLATE


@dataclass(frozen=True)
class FileOutput:
    """What the separation of a file writes, whichever file it is.

    Its fields are keyword arguments of `Separator.separate_file`: ``**vars(output)``.

    Attributes:
        stems: which sources to write; ``None`` for all.
        two_stems: a source that is written with the rest of the mix, ``no_<source>``: the two sum
            to the mix.
        residual: what the stems leave of the mix goes to ``other`` if it is written, else to a stem
            ``residual``, or to the stem of a name that is given: all stems sum to the mix.
        remix: gains of stems; their sum is the one file that is written, ``remix``.
        audio_format: ``"wav"``, ``"flac"``, ``"mp3"``, ``"m4a"`` (AAC) or ``"opus"``.
        bit_depth: of WAV and FLAC, ``"16"``, ``"24"`` or ``"32f"``; ``None`` for what the mix has
            (16 for lossy and 8-bit files; FLAC holds 24 at most).
        bitrate: of lossy formats, in bits a second; ``None``: see `StemFormat`.
        clip: what happens where a sample would exceed full scale, which ``"32f"`` has not:
            ``"rescale"`` lowers all stems of the song by the same factor, ``"clamp"`` limits the
            sample; ``None`` for ``"clamp"`` where stems shall sum to the mix, else ``"rescale"``.
        template: of the names of the files, with fields of ``vocabulary.STEM_FIELDS``.
        downmix: mix more than two channels to stereo by the coefficients of ITU-R BS.775.

    Raises:
        ValueError: an unknown format, or what it does not have or hold; a template that cannot be
            used.
    """

    stems: Sequence[str] | None = None
    two_stems: str | None = None
    residual: bool | str = False
    remix: Mapping[str, float] | None = None
    audio_format: str = "wav"
    bit_depth: str | None = None
    bitrate: int | None = None
    clip: str | None = None
    template: str = DEFAULT_TEMPLATE
    downmix: bool = False

    def __post_init__(self) -> None:
        StemFormat(self.audio_format, self.bit_depth, self.bitrate)
        check_clip(self.clip)
        check_template(self.template, 1 if self.remix is not None else 2)

    @property
    def needs_tags(self) -> bool:
        """Whether a song's tags are in the names of its stems."""
        return needs_tags(self.template)

    def selection(self, sources: Sequence[str]) -> Selection:
        """The stems that are written of a model's sources.

        Raises:
            ValueError: arguments that do not fit the sources, or contradict one another.
        """
        return select(sources, self.stems, self.two_stems, self.residual, self.remix)

    def format_for(self, bit_depth: str) -> StemFormat:
        """The format of the stems of a mix with a bit depth."""
        if self.audio_format == "flac" and bit_depth == "32f":
            bit_depth = "24"
        lossy = StemFormat(self.audio_format).is_lossy
        return StemFormat(
            self.audio_format, self.bit_depth or (None if lossy else bit_depth), self.bitrate
        )

    def paths(
        self, path: Path, folder: Path, track: str, names: Sequence[str], tags: Tags | None = None
    ) -> dict[str, Path]:
        """The file of each stem of a song.

        Args:
            path: the song, whose tags are read where the template has some.
            folder: below which the stems go.
            track: name of the song.
            names: of the stems.
            tags: of the song, where they are known.
        """
        if tags is None:
            tags = read_tags(path) if self.needs_tags else Tags()
        return stem_paths(folder, self.template, track, names, self.audio_format, tags)

    def writer(
        self,
        reader: AudioReader,
        targets: Mapping[str, Path],
        chosen: Selection,
        name: str,
        tags: Tags,
        overwrite: bool,
    ) -> StemWriter:
        """A writer of the stems of a song that is being read.

        Args:
            reader: of the song.
            targets: the file of each stem.
            chosen: the stems.
            name: of the song.
            tags: of the song.
            overwrite: replace stems that exist.

        Raises:
            AudioError: the stems cannot be written.
        """
        stem_format = self.format_for(reader.bit_depth)
        if error := stem_format.channel_error(reader.n_channels):
            raise AudioError(f"{reader.path}: {error}")
        writer = StemWriter(
            targets,
            reader.sample_rate,
            reader.n_channels,
            stem_format,
            n_samples=reader.n_expected,
            overwrite=overwrite,
            clip=self.clip,
            rest=chosen.rest if chosen.gains is None else None,
            tags={stem: tags.of_stem(stem, Path(name).name) for stem in chosen.names},
            song=name,
        )
        if any(path.exists() and path.samefile(reader.path) for path in writer.paths.values()):
            raise AudioError(f"{reader.path}: would be replaced by one of its own stems")
        return writer

    def refuse_collisions(
        self, songs: Mapping[Path | str, str], folder: Path, sources: Sequence[str]
    ) -> None:
        """Refuse a template by which stems, of two songs or of one, would share a file.

        Args:
            songs: the track's name of each; those at an address where no tags are needed.
            folder: below which the stems go.
            sources: names of the model's.

        Raises:
            ValueError: they would; or see `selection`.
        """
        names = self.selection(sources).names
        owners: dict[str, Path | str] = {}
        for song, track in songs.items():
            for path in self.paths(Path(song), folder, track, names).values():
                owner = owners.setdefault(os.path.normpath(path).casefold(), song)
                if owner != song:
                    hint = "in folders" if "{track}" in self.template else "with"
                    raise ValueError(
                        f"template {self.template!r} gives {owner} and {song} the same file, "
                        f"{path}; {hint} {{track}} they differ"
                    )
