"""Which architectures transformers has: one preferred class for each type of model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Heads in the order of preference; a type without any of them is represented by its base model.
_HEADS = (
    "FOR_CAUSAL_LM", "FOR_IMAGE_TEXT_TO_TEXT", "FOR_MULTIMODAL_LM", "FOR_SEQ_TO_SEQ_CAUSAL_LM", "FOR_SPEECH_SEQ_2_SEQ",
    "FOR_MASKED_LM", "FOR_IMAGE_CLASSIFICATION", "FOR_OBJECT_DETECTION", "FOR_SEMANTIC_SEGMENTATION",
    "FOR_UNIVERSAL_SEGMENTATION", "FOR_DEPTH_ESTIMATION", "FOR_VIDEO_CLASSIFICATION", "FOR_CTC",
    "FOR_AUDIO_CLASSIFICATION", "FOR_SEQUENCE_CLASSIFICATION", "FOR_QUESTION_ANSWERING", "FOR_TOKEN_CLASSIFICATION",
    "FOR_TIME_SERIES_PREDICTION", "FOR_ZERO_SHOT_OBJECT_DETECTION", "FOR_KEYPOINT_DETECTION", "FOR_IMAGE_TO_IMAGE",
)  # fmt: skip


def list_references() -> list[tuple[str, str]]:
    """Return (``ARCHITECTURE@tiny``, model type) for each type of model that transformers knows, in its order."""
    from porters.pytorch.sources import need

    transformers = need("transformers", "text")
    auto = transformers.models.auto.modeling_auto
    known = set(dir(transformers))
    types: dict[str, list[str]] = {}
    for model_type in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        name = _preferred(auto, model_type)
        if name is not None and name in known:
            types.setdefault(name, []).append(model_type)
    return [(f"{name}@tiny", _own_type(name, found)) for name, found in types.items()]


def _own_type(name: str, types: Sequence[str]) -> str:
    """Return the type that an architecture is named after, of those that share it."""
    plain = {item: item.replace("_", "").replace("-", "") for item in types}
    return next((item for item in types if name.lower().startswith(plain[item])), types[0])


def _preferred(auto: Any, model_type: str) -> str | None:
    for head in (*(f"MODEL_{head}_MAPPING_NAMES" for head in _HEADS), "MODEL_MAPPING_NAMES"):
        name = getattr(auto, head, {}).get(model_type)
        if name is not None:
            return str(name if isinstance(name, str) else name[0])
    return None
