"""What the recipes of MUSDB18-HQ share; see README.md beside this file.

Importing it leaves out of the logs what is said at every start and what nobody who runs a recipe
can change. Some of that is said while packages are imported, so this comes before the rest.
"""

import logging
import warnings

for message in (
    "pkg_resources is deprecated",  # the version of torchmetrics that Asteroid asks for
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning, of itself
    "Checkpoint directory .* exists and is not empty",  # as it is wherever a training goes on
    # Curves go on over the epochs, however short these are.
    "The number of training batches .* is smaller than the logging interval",
    # Workers for the few segments of a validation would only hold memory between epochs.
    "The 'val_dataloader' does not have many workers",
):
    warnings.filterwarnings("ignore", message)


def _is_news(record: logging.LogRecord) -> bool:
    return "Tip: For seamless cloud" not in record.getMessage()


logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_is_news)
