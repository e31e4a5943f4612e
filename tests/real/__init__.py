"""Nets and loops of other packages, as they come; tests are skipped where a package is missing."""

from typing import Any

import torch

# PyPI's torchvision, which timm, transformers and Lightning import, is built for CUDA's torch, and
# is not imported beside a CPU build for want of two operators, which nothing here uses.
_library: Any = torch.library.Library
TORCHVISION = _library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        TORCHVISION.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
