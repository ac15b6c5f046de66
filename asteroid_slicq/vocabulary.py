"""Names and defaults that users write and several rooms share.

It imports nothing, so that the command line knows its options before PyTorch is loaded. Tests hold
these names and the tables that carry them out together.
"""

STEMS = ("vocals", "drums", "bass", "other")
"""Stems of MUSDB18, in the order of most publications."""

SUMS_OF_STEMS = {
    "accompaniment": ("bass", "drums", "other"),
    "harmonic": ("bass", "other"),
    "percussive": ("drums",),
}
"""Stems that make up a source which has none of its own."""

SCALES = ("bark", "mel", "erb", "log", "linear", "vqlog", "octave")
"""Frequency scales of a transform."""

WINDOWS = ("blackman-harris", "hann", "sine")
"""Analysis windows of a transform."""

RASTERIZATIONS = ("none", "piecewise", "full")
"""Rasterizations of the sliCQT; the NSGT has no ``"piecewise"``."""

XUMX_SLICQ_PRESETS = ("v2", "v2-realtime", "v2-lstm", "v1", "v1-lstm", "large", "medium", "small")
"""Presets of ``XUMXSliCQ``."""

BANDSPLIT_PRESETS = ("bandsplit", "bandsplit-small", "bandsplit-large", "bandsplit-realtime")
"""Presets of ``BandSplit``."""

ORACLES = ("mix-phase", "irm1", "irm2", "ibm1", "ibm2", "mwf")
"""Oracles of a transform."""

SPARSITY_MEASURES = ("gini", "renyi", "kurtosis", "ridge")
"""Measures of the sparsity of coefficients."""

SEARCH_METHODS = ("random", "bayesian")
"""Methods of the search for a frame."""

LOSSY_FORMATS = ("mp3", "m4a", "opus")
"""Lossy formats that stems are written in."""

AUDIO_FORMATS = ("wav", "flac", *LOSSY_FORMATS)
"""Formats that stems are written in."""

BIT_DEPTHS = ("16", "24", "32f")
"""Bit depths that stems are written in; FLAC has no ``"32f"``."""

ENSEMBLE_DOMAINS = ("waveform", "mask")
"""Domains in which the estimates of several models may be averaged."""

PHASES = ("mix", "griffin-lim", "fast-griffin-lim", "misi")
"""Phases that the magnitudes of sources may get."""

HPSS_TRANSFORMS = ("slicqt", "nsgt", "stft")
"""Transforms of harmonic/percussive separation."""

DEFAULT_PHASE_ITERATIONS = 16
"""Iterations of Griffin-Lim for the phases of sources."""

CLIPPINGS = ("rescale", "clamp")
"""Ways to keep samples within full scale: one scale for all stems of a song, or limits."""

STEM_FIELDS = ("track", "stem", "ext", "artist", "album", "title", "number")
"""Fields of a template of the names of stems; the last four come from the tags of a song."""

DEFAULT_TEMPLATE = "{track}/{stem}.{ext}"
"""Template of the names of stems, below the output folder."""

DEFAULT_SEGMENT_S = 12.0
"""Length of the segments in which songs are separated, in seconds."""

DEFAULT_OVERLAP_S = 2.0
"""Overlap of neighbouring segments, in seconds; of segments under 8 s, a quarter."""
