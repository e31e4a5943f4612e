"""What mypy sees beneath the mixins, which at run time go before any subclass of NeuralNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skorch import NeuralNet as Net
else:
    Net = object

__all__ = ["Net"]
