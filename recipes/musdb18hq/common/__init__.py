"""Shared parts of the recipes of MUSDB18-HQ; README.md beside this file describes them.

Importing the package filters messages that appear at every start and that a user of a recipe cannot
act on. Some of them appear while other packages are imported, so this comes first.
"""

import io
import logging
import sys
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

# Names of files may hold bytes that are no text.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")
