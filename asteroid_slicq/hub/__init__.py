"""Weights of models: loading, converting those of others, and publishing on the Hub."""

from asteroid_slicq import registration
from asteroid_slicq.hub import sharing
from asteroid_slicq.hub.card_facts import CardFacts, read_evaluation, read_training_settings
from asteroid_slicq.hub.loading import HUB_ID, ModelFileError, load_model, not_finite
from asteroid_slicq.hub.mixin_converter import build_mixin
from asteroid_slicq.hub.xumx_slicq_converter import (
    build_xumx_slicq,
    convert_v1_state,
    convert_v2_state,
)

__all__ = [
    "HUB_ID",
    "CardFacts",
    "ModelFileError",
    "build_mixin",
    "build_xumx_slicq",
    "convert_v1_state",
    "convert_v2_state",
    "load_model",
    "not_finite",
    "read_evaluation",
    "read_training_settings",
]

registration.register_hub(sharing)
