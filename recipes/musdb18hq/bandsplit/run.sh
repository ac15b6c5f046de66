#!/usr/bin/env bash
# Train and evaluate BandSplit on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the preset bandsplit
#   ./run.sh --quick true --tag try                     all stages in a few minutes, no download
#   ./run.sh --model NAME                               published, small, large, realtime, stft, quick
#                                                       (local/<model>.yml), or a YAML file
#
# The experiment is exp/train_<model>_<tag>.
set -e
set -o pipefail

RECIPE=bandsplit
EXPERIMENT=
OPTION=model
model=published
. "$(dirname "${BASH_SOURCE[0]}")/../common/run.sh"
