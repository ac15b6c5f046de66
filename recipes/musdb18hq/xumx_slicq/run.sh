#!/usr/bin/env bash
# Train and evaluate xumx-sliCQ on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the published V2
#   ./run.sh --quick true --tag try                     all stages in a few minutes, no download
#   ./run.sh --model NAME                               v1, v2, v2_realtime, small, quick
#                                                       (local/<model>.yml), or a YAML file
#
# The experiment is exp/train_<model>_<tag>.
set -e
set -o pipefail

RECIPE=xumx-slicq
EXPERIMENT=
OPTION=model
model=v2
. "$(dirname "${BASH_SOURCE[0]}")/../common/run.sh"
