"""Nets of timm, transformers and peft: tiny ones, with random weights, for three classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import tests.real  # noqa: F401  # torchvision, before what imports it

CLASSES, WORDS, LENGTH = 3, 30, 7
LORA = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}


class Real(NamedTuple):
    """What makes a net, and its inputs."""

    make: Callable[[], nn.Module]
    X: Callable[[int], Any]


def images(n: int) -> Tensor:
    return torch.randn(n, 3, 32, 32)


def texts(n: int) -> Any:
    """As a tokenizer makes them of texts of several lengths."""
    transformers = pytest.importorskip("transformers")
    lengths = torch.randint(2, LENGTH + 1, (n, 1))
    mask = (torch.arange(LENGTH) < lengths).long()
    ids = torch.randint(1, WORDS, (n, LENGTH)) * mask
    return transformers.BatchEncoding({"input_ids": ids, "attention_mask": mask})


def pixels(n: int) -> dict[str, Tensor]:
    return {"pixel_values": images(n)}


def of_timm(name: str, **sizes: Any) -> nn.Module:
    timm = pytest.importorskip("timm")
    module: nn.Module = timm.create_model(name, num_classes=CLASSES, **sizes)
    return module


def of_transformers(name: str, kind: str = "SequenceClassification", **sizes: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**{"num_labels": CLASSES, **sizes})
    module: nn.Module = getattr(transformers, f"{name}For{kind}")(config)
    return module


def bert(**sizes: Any) -> nn.Module:
    small = {"hidden_size": 12, "intermediate_size": 16, "max_position_embeddings": LENGTH}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": WORDS}
    return of_transformers("Bert", **{**small, **heads, **sizes})


def distilbert() -> nn.Module:
    sizes: dict[str, Any] = {"dim": 12, "hidden_dim": 16, "n_layers": 2, "n_heads": 2}
    return of_transformers("DistilBert", vocab_size=WORDS, max_position_embeddings=LENGTH, **sizes)


def gpt2() -> nn.Module:
    sizes: dict[str, Any] = {"n_embd": 12, "n_layer": 2, "n_head": 2, "n_positions": LENGTH}
    ends: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    return of_transformers("GPT2", vocab_size=WORDS, **sizes, **ends)


def hub_vit() -> nn.Module:
    sizes = {"hidden_size": 12, "intermediate_size": 16, "image_size": 32, "patch_size": 16}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 2}
    return of_transformers("ViT", "ImageClassification", **sizes, **heads)


def with_lora(module: nn.Module, **settings: Any) -> nn.Module:
    """The net frozen, with adapters, and a head that is trained."""
    peft = pytest.importorskip("peft")
    adapted: nn.Module = peft.get_peft_model(module, peft.LoraConfig(**LORA, **settings))
    for name, p in adapted.named_parameters():
        if "lora_B" in name:  # zero at the start, where A has no gradient
            nn.init.normal_(p, std=0.1)
    return adapted


def vit() -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 16, "embed_dim": 12, "depth": 2, "num_heads": 2}
    return of_timm("vit_tiny_patch16_224", **sizes)


NETS = {
    "timm resnet": Real(
        lambda: of_timm("resnet18", layers=(1, 1, 1, 1), channels=(4, 6, 8, 8)), images
    ),
    "timm convnext": Real(
        lambda: of_timm("convnext_atto", depths=(1, 1, 1, 1), dims=(4, 6, 8, 8)), images
    ),
    "timm vit": Real(vit, images),
    "timm mobilenet": Real(lambda: of_timm("mobilenetv3_small_050"), images),
    "timm vit, LoRA": Real(
        lambda: with_lora(vit(), target_modules=["qkv"], modules_to_save=["head"]), images
    ),
    "bert": Real(bert, texts),
    "bert without dropout": Real(
        lambda: bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), texts
    ),
    "bert, LoRA": Real(lambda: with_lora(bert(), task_type="SEQ_CLS"), texts),
    "bert, LoRA on all layers": Real(
        lambda: with_lora(bert(), task_type="SEQ_CLS", target_modules="all-linear"), texts
    ),
    "distilbert": Real(distilbert, texts),
    "gpt2": Real(gpt2, texts),
    "transformers vit": Real(hub_vit, pixels),
}
