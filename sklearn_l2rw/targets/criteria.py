"""What a criterion takes for the module's output: logits, or something else."""

from __future__ import annotations

from typing import Any

from torch import nn

LOGITS_OF_LABELS = (nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss)


def is_kind(criterion: Any, kinds: Any) -> bool:
    """Tell whether a criterion, class or instance, is of one of the kinds."""
    criterion = getattr(criterion, "_orig_mod", criterion)  # of torch.compile
    return isinstance(criterion, kinds) or (
        isinstance(criterion, type) and issubclass(criterion, kinds)
    )
