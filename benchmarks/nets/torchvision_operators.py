"""What lets torchvision, which timm and transformers import, in beside a CPU build of torch."""

from __future__ import annotations

import importlib
from typing import Any

import torch

_DEFINED: list[Any] = []  # a library's operators live as long as it does


def let_torchvision_in() -> None:
    """Define what torchvision's wheel lacks beside a CPU build of torch, and refuses to go without.

    timm and transformers import it; none of the nets here calls these two operators.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        library: Any = vars(torch.library)["Library"]("torchvision", "FRAGMENT")  # without types
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DEFINED.append(library)
        importlib.import_module("torchvision")
    except ImportError:  # then what needs it is skipped
        pass
