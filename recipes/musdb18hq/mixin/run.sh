#!/usr/bin/env bash
# Train and evaluate MiXiN on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the published settings
#   ./run.sh --quick true --tag try                     all stages in minutes, no download
#   ./run.sh --conf NAME                                published, quick (local/<conf>.yml), or a
#                                                       YAML file
#
# The experiment is exp/train_mixin_<tag>.
set -e
set -o pipefail

RECIPE=mixin
EXPERIMENT=mixin
OPTION=conf
conf=published
. "$(dirname "${BASH_SOURCE[0]}")/../common/run.sh"
