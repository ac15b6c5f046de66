"""The shared names are those of the tables that carry them out."""

from asteroid_slicq import vocabulary
from asteroid_slicq.evaluation.oracles import MASKS
from asteroid_slicq.models.mixin import SOURCES
from asteroid_slicq.models.xumx_slicq import PRESETS
from asteroid_slicq.transform.scales import WARPS
from asteroid_slicq.transform.windows import WINDOWS


def test_names_are_those_of_the_tables():
    assert set(vocabulary.SCALES) == {*WARPS, "vqlog", "octave"}
    assert set(vocabulary.WINDOWS) == set(WINDOWS)
    assert set(vocabulary.XUMX_SLICQ_PRESETS) == set(PRESETS)
    assert set(vocabulary.ORACLES) == {"mix-phase", *MASKS, "mwf"}


def test_sources_of_mixin_are_sums_of_stems_that_add_up_to_the_song():
    stems = [s for source in SOURCES for s in vocabulary.SUMS_OF_STEMS.get(source, (source,))]
    assert sorted(stems) == sorted(vocabulary.STEMS)
