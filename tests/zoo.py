"""A zoo of small modules, on which every way of computing the weights is held to the oracle.

Each case has a check that it is what its name says: that the layer is in the module, or that the
operation is in the graph of the losses.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from tests import zoo_parts as z
from tests.zoo_batches import BATCHES
from tests.zoo_case import Case, build, for_oracle

NO_JVP = {"dual_numbers": "jvp"}
LSTM = {"dual_numbers": "mkldnn_rnn_layer"}
WEIGHT_NORM = {"dual_numbers": "_weight_norm_interface"}
SPECTRAL_NORM = {"dual_numbers": "div_out"}
EMBEDDING_BAG = dict.fromkeys(("forward", "dual_numbers", "double_backward"), "_embedding_bag")
REENTRANT = dict.fromkeys(("forward", "dual_numbers", "double_backward"), "reentrant checkpoint")
CDIST = dict.fromkeys(("forward", "dual_numbers", "double_backward"), "_cdist")
HARDSIGMOID = dict.fromkeys(("forward", "double_backward"), "hardsigmoid_backward")
FAKE_QUANTIZE = dict.fromkeys(
    ("forward", "dual_numbers", "double_backward"), "fake_quantize_learnable"
)
SILENTLY_WRONG = "off by"  # the way runs, and drops a part of the derivative

LAYERS = {
    "mlp": Case(lambda: z.dense(nn.Tanh()), z.layer("Linear")),
    "lenet": Case(z.lenet, z.layer("Conv2d"), X=lambda n: torch.randn(n, 1, 28, 28)),
    "batch_norm_1d": Case(lambda: z.dense(nn.BatchNorm1d(8), nn.ReLU()), z.layer("BatchNorm1d")),
    "batch_norm_2d": Case(
        lambda: z.convolutional(nn.BatchNorm2d(4), nn.ReLU()), z.layer("BatchNorm2d"), X=z.images
    ),
    "batch_norm_eval": Case(
        lambda: z.dense(nn.BatchNorm1d(8), nn.ReLU()),
        z.layer("BatchNorm1d", train=False),
        train=False,
    ),
    "group_norm": Case(
        lambda: z.convolutional(nn.GroupNorm(2, 4)), z.layer("GroupNorm"), X=z.images
    ),
    "layer_norm": Case(lambda: z.dense(nn.LayerNorm(8), nn.ReLU()), z.layer("LayerNorm")),
    "instance_norm": Case(
        lambda: z.convolutional(
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.ReLU()
        ),
        z.layer("InstanceNorm2d"),
        X=z.images,
    ),
    "rms_norm": Case(lambda: z.dense(nn.RMSNorm(8), nn.ReLU()), z.layer("RMSNorm")),
    "dropout": Case(lambda: z.dense(nn.Dropout(0.4), nn.Tanh()), z.layer("Dropout")),
    "dropout_and_batch_norm": Case(
        lambda: z.dense(nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Tanh()), z.layer("BatchNorm1d")
    ),
    "dropout_2d": Case(
        lambda: z.convolutional(nn.Dropout2d(0.3)), z.layer("Dropout2d"), X=z.images
    ),
    "same_layer_twice": Case(z.same_twice, z.shared),
    "tied_embedding": Case(z.tie, z.shared, X=z.tokens),
    "unused_parameters": Case(
        lambda: z.Apply(lambda m, x: m.a(x), a=z.head(5), b=nn.Linear(2, 2)), z.unused
    ),
    "frozen_parameters": Case(lambda: z.freeze(z.dense(nn.Tanh()), "0.weight", "2.bias"), z.frozen),
    "embedding_gru": Case(
        lambda: nn.Sequential(nn.Embedding(7, 6), z.recurrent(nn.GRU(6, 5, batch_first=True))),
        z.layer("GRU"),
        X=z.tokens,
    ),
    "sparse_embedding": Case(
        lambda: z.words(nn.Embedding(7, 5, sparse=True)), z.layer("Embedding"), X=z.tokens
    ),
    "embedding_bag": Case(
        lambda: nn.Sequential(nn.EmbeddingBag(7, 5), z.head(5)),
        z.layer("EmbeddingBag"),
        X=z.tokens,
        literal=False,
        fast=False,
        refused=EMBEDDING_BAG,
    ),
    "sparse_embedding_bag": Case(
        lambda: nn.Sequential(nn.EmbeddingBag(7, 5, mode="sum", sparse=True), z.head(5)),
        z.layer("EmbeddingBag"),
        X=z.tokens,
        literal=False,
        fast=False,
        refused=EMBEDDING_BAG,
    ),
    "packed_bidirectional_gru": Case(
        lambda: z.Apply(
            z.packed, rnn=nn.GRU(6, 5, batch_first=True, bidirectional=True), head=z.head(10)
        ),
        z.layer("GRU"),
        X=z.sequences_and_lengths,
    ),
    "gru_with_dropout": Case(
        lambda: z.recurrent(nn.GRU(6, 5, 2, batch_first=True, dropout=0.3)),
        z.layer("GRU"),
        X=z.sequences,
    ),
    "rnn": Case(lambda: z.recurrent(nn.RNN(6, 5, batch_first=True)), z.layer("RNN"), X=z.sequences),
    "lstm": Case(
        lambda: z.recurrent(nn.LSTM(6, 5, batch_first=True)),
        z.layer("LSTM"),
        X=z.sequences,
        refused=LSTM,
    ),
    "bidirectional_lstm_with_dropout": Case(
        lambda: z.recurrent(
            nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True, dropout=0.3), 10
        ),
        z.layer("LSTM"),
        X=z.sequences,
        refused=LSTM,
    ),
    "rnn_cell": Case(lambda: z.cell(nn.RNNCell(6, 5)), z.layer("RNNCell"), X=z.sequences),
    "gru_cell": Case(lambda: z.cell(nn.GRUCell(6, 5)), z.layer("GRUCell"), X=z.sequences),
    "lstm_cell": Case(lambda: z.cell(nn.LSTMCell(6, 5)), z.layer("LSTMCell"), X=z.sequences),
    "multihead_attention": Case(
        lambda: z.Apply(
            lambda m, x: m.head(m.attention(x, x, x)[0].mean(1)),
            attention=nn.MultiheadAttention(6, 2, batch_first=True),
            head=z.head(6),
        ),
        z.layer("MultiheadAttention"),
        X=z.sequences,
    ),
    "transformer_layer": Case(z.transformer, z.node("ScaledDotProductFlash"), X=z.sequences),
    "transformer_layer_eval": Case(
        lambda: z.transformer(dropout=0.2),
        z.layer("TransformerEncoderLayer", train=False),
        X=z.sequences,
        train=False,
    ),
    "transformer": Case(lambda: z.transformer(2), z.node("ScaledDotProductFlash"), X=z.sequences),
    "transformer_with_dropout": Case(
        lambda: z.transformer(2, dropout=0.2, norm_first=True),
        z.layer("TransformerEncoder"),
        X=z.sequences,
    ),
    "transformer_eval": Case(
        lambda: z.transformer(2, dropout=0.2),
        z.layer("TransformerEncoder", train=False),
        X=z.sequences,
        train=False,
    ),
    "padded_transformer": Case(
        lambda: z.transformer(2), z.layer("TransformerEncoder"), X=z.sequences_and_padding
    ),
    "padded_transformer_eval": Case(
        lambda: z.transformer(2),
        z.layer("TransformerEncoder", train=False),
        X=z.sequences_and_padding,
        train=False,
    ),
    "attention": Case(z.attention, z.node("ScaledDotProductFlash"), X=z.sequences),
    "causal_attention": Case(
        lambda: z.attention(is_causal=True), z.node("ScaledDotProductFlash"), X=z.sequences
    ),
    "tuple_output": Case(
        lambda: z.Apply(lambda m, x: (m.a(x), m.b(x), None), a=z.head(5), b=nn.Linear(5, 2)),
        lambda problem, losses: isinstance(problem.module(problem.batch[0]), tuple),
    ),
    "dict_of_inputs": Case(
        lambda: z.Apply(lambda m, *, b, a: m.a(a) + m.b(b).tanh(), a=z.head(5), b=z.head(5)),
        lambda problem, losses: isinstance(problem.batch[0], dict),
        X=lambda n: {"a": z.vectors(n), "b": z.vectors(n)},
    ),
    "tuple_of_inputs": Case(
        lambda: z.Apply(
            lambda m, x, words: m.a(x) + m.b(words), a=z.head(5), b=z.words(nn.Embedding(7, 5))
        ),
        lambda problem, losses: isinstance(problem.batch[0], tuple),
        X=lambda n: (z.vectors(n), z.tokens(n)),
    ),
    "weight_norm": Case(
        lambda: nn.Sequential(weight_norm(nn.Linear(5, 8)), nn.Tanh(), z.head(8)),
        z.layer("_WeightNorm"),
        refused=WEIGHT_NORM,
    ),
    "spectral_norm": Case(
        lambda: nn.Sequential(spectral_norm(nn.Linear(5, 8)), nn.Tanh(), z.head(8)),
        z.layer("_SpectralNorm"),
        refused=SPECTRAL_NORM,
    ),
    "prelu": Case(lambda: z.dense(nn.PReLU(8)), z.layer("PReLU")),
    "upsampling": Case(
        lambda: z.convolutional(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(4, 4, 3, 2)
        ),
        z.layer("ConvTranspose2d"),
        X=z.images,
    ),
    "residual_in_place": Case(
        lambda: z.Apply(
            z.residual,
            stem=nn.Linear(5, 8),
            block=nn.Sequential(nn.LayerNorm(8), nn.ReLU(inplace=True), nn.Linear(8, 5)),
            tail=z.head(5),
        ),
        z.layer("ReLU"),
    ),
    "checkpoint": Case(lambda: z.checkpointed(reentrant=False), z.runs_again),
    "reentrant_checkpoint": Case(
        lambda: z.checkpointed(reentrant=True),
        z.runs_again,
        literal=False,
        fast=False,
        refused=REENTRANT,
    ),
    "reentrant_checkpoint_between_layers": Case(
        z.checkpointed_between,
        z.runs_again,
        literal=False,
        fast=False,
        refused=REENTRANT,
    ),
    "distances": Case(
        lambda: z.Apply(
            lambda m, x: m.head(torch.cdist(m.first(x), m.centers)),
            first=nn.Linear(5, 8),
            centers=nn.Parameter(torch.randn(4, 8)),
            head=z.head(4),
        ),
        z.node("Cdist"),
        literal=False,
        fast=False,
        refused=CDIST,
    ),
    "hardsigmoid_under_batch_norm": Case(
        lambda: z.dense(nn.BatchNorm1d(8), nn.Hardsigmoid()),
        z.node("Hardsigmoid"),
        literal=False,
        refused=HARDSIGMOID,
    ),
    "learned_quantization": Case(
        lambda: z.Apply(
            z.quantized,
            first=nn.Linear(5, 8),
            scale=nn.Parameter(torch.tensor([0.1])),
            zero=nn.Parameter(torch.zeros(1)),
            head=z.head(8),
        ),
        z.node("FakeQuantize"),
        literal=False,
        fast=False,
        smooth=False,
        refused=FAKE_QUANTIZE,
    ),
    "gradient_reversal": Case(
        lambda: z.custom(z.Reversal), z.node("ReversalBackward"), smooth=False, refused=NO_JVP
    ),
    "function_without_jvp": Case(
        lambda: z.custom(z.Square), z.node("SquareBackward"), refused=NO_JVP
    ),
    "function_without_second_derivative": Case(
        lambda: z.custom(z.SquareOnce),
        z.node("SquareOnceBackward"),
        literal=False,
        fast=False,
        refused={**NO_JVP, "forward": SILENTLY_WRONG, "double_backward": SILENTLY_WRONG},
    ),
    "scripted": Case(
        z.scripted,
        lambda problem, losses: isinstance(problem.module, torch.jit.ScriptModule),
        literal=False,
    ),
    "compiled": Case(z.compiled, lambda problem, losses: hasattr(problem.module, "_orig_mod")),
    "counting_buffer": Case(z.counting, z.counted),
    "complex_parameters": Case(
        z.complex_valued,
        lambda problem, losses: any(p.is_complex() for p in problem.module.parameters()),
    ),
    "autocast": Case(
        lambda: z.Apply(z.autocast, net=z.dense(nn.ReLU())), z.node("ToCopy"), tolerance=5e-2
    ),
    "class_weights_and_label_smoothing": Case(
        lambda: z.dense(nn.Tanh()),
        lambda problem, losses: True,
        loss=lambda: nn.CrossEntropyLoss(
            weight=torch.tensor([0.5, 1.0, 3.0]), label_smoothing=0.1, reduction="none"
        ),
    ),
    "ignored_labels": Case(
        lambda: z.dense(nn.Tanh()),
        lambda problem, losses: bool((losses == 0).any()),
        y=z.labels_or_none,
        loss=lambda: nn.CrossEntropyLoss(ignore_index=z.CLASSES, reduction="none"),
    ),
    "segmentation": Case(
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)),
        lambda problem, losses: problem.batch[1].ndim == 3,
        X=z.images,
        y=z.label_maps,
    ),
}

ZOO = {**LAYERS, **BATCHES}

__all__ = ["ZOO", "Case", "build", "for_oracle"]
