"""Nets as their packages make them, with random weights: timm's, and a BERT of transformers'.

Nothing is downloaded. Needs the extra ``real``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from benchmarks.nets.torchvision_operators import let_torchvision_in

VOCABULARY = 1000


def _timm(name: str, n_outputs: int, **more: Any) -> nn.Module:
    let_torchvision_in()
    import timm

    net: nn.Module = timm.create_model(name, num_classes=n_outputs, **more)
    return net


def resnet18(n_outputs: int = 10) -> nn.Module:
    """Residual net with BatchNorm."""
    return _timm("resnet18", n_outputs)


def convnext_atto(n_outputs: int = 10) -> nn.Module:
    """Convolutions, LayerNorm over channels, and a scale for each layer."""
    return _timm("convnext_atto", n_outputs)


def mobilenetv3_small(n_outputs: int = 10) -> nn.Module:
    """Depthwise convolutions, BatchNorm, hard sigmoids."""
    return _timm("mobilenetv3_small_100", n_outputs)


def vit_tiny(n_outputs: int = 10) -> nn.Module:
    """Vision transformer of 65 tokens, for images of 32 by 32 pixels."""
    return _timm("vit_tiny_patch16_224", n_outputs, img_size=32, patch_size=4)


class Bert(nn.Module):
    """A BERT of two layers of 128: tokens (n, length) to logits (n, n_outputs)."""

    def __init__(self, n_outputs: int = 10) -> None:
        super().__init__()
        let_torchvision_in()
        from transformers import BertConfig, BertForSequenceClassification

        sizes: dict[str, Any] = {
            "vocab_size": VOCABULARY, "hidden_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 512, "num_labels": n_outputs,
        }  # fmt: skip
        self.bert: nn.Module = BertForSequenceClassification(BertConfig(**sizes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (n, n_outputs)."""
        logits: Tensor = self.bert(input_ids=tokens).logits
        return logits
