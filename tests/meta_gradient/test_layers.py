"""Layers: which modules are taken, weights that are shared, subsets of the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_l2rw import example_weights
from sklearn_l2rw.meta_gradient.graph import inputs_first
from sklearn_l2rw.meta_gradient.layers import Layer, RefusedError, find_layers
from tests.oracle import assert_close, oracle_of
from tests.slopes import CROSS_ENTROPY, assert_right, problem_of
from tests.zoo_parts import Apply, head

T = 4  # steps of a sequence, and features of a step
SIZES = {"layerwise": ((T, 3), (7, 2)), "merged": ((T, 1), (9, 2))}


def rows(n: int) -> Tensor:
    return torch.randn(n, T, dtype=torch.float64)


def sequences(n: int) -> Tensor:
    return torch.randn(n, T, T, dtype=torch.float64)


def tokens(n: int) -> Tensor:
    return torch.randint(7, (n, T))


def free(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


def linear(n_outputs: int = T, **settings: Any) -> nn.Linear:
    return nn.Linear(T, n_outputs, **settings)


def rms(h: Tensor, scale: Tensor) -> Tensor:
    return h * (h.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * scale


def standardized(weight: Tensor) -> Tensor:
    centred = weight - weight.mean((1, 2), keepdim=True)
    return centred / (weight.std((1, 2), keepdim=True) + 1e-5)


class Case(NamedTuple):
    """A module, what it takes, and what is known about it.

    `merged` is whether both batches may go through in one pass, and `deepest` the name of a node
    that has to be a layer of its own: so that what is below is not pushed forward.
    """

    module: Callable[[], nn.Module]
    X: Callable[[int], Tensor]
    deepest: str
    merged: bool = True


def encoder(**settings: Any) -> Apply:
    layer = nn.TransformerEncoderLayer(T, 2, 8, 0.0, **settings)
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(m: Any, x: Tensor) -> Tensor:
        if layer.self_attn.batch_first:
            return m.head(m.stack(m.first(x)).mean(1))  # type: ignore[no-any-return]
        return m.head(m.stack(m.first(x).transpose(0, 1)).mean(0))  # type: ignore[no-any-return]

    return Apply(forward, first=linear(), stack=stack, head=head(T))


def recurrent(kind: Callable[..., nn.Module], **settings: Any) -> Apply:
    """Last step, with the state."""

    def forward(m: Any, x: Tensor) -> Tensor:
        first = m.rnn.batch_first
        h, state = m.rnn(m.first(x) if first else m.first(x).transpose(0, 1))
        state = state[0] if isinstance(state, tuple) else state
        return m.head(h[:, -1] if first else h[-1]) + m.other(state.mean(0))  # type: ignore[no-any-return]

    twice = 2 if settings.get("bidirectional") else 1
    rnn, other = kind(T, 5, **settings), head(5)
    return Apply(forward, first=linear(), rnn=rnn, head=head(5 * twice), other=other)


def over(function: Callable[..., Any], **layers: Any) -> Callable[[], Apply]:
    """Makes modules of parts that are copied."""
    return lambda: Apply(function, **copy.deepcopy(layers))


CASES: dict[str, Case] = {
    "position embeddings": Case(
        over(
            lambda m, x: m.head((m.first(x) + m.place).tanh().mean(1)),
            first=linear(), place=free(1, T, T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "position embeddings, of more steps": Case(
        over(
            lambda m, x: m.head((m.first(x) + m.place[:, : x.shape[1]]).tanh().mean(1)),
            first=linear(), place=free(1, 9, T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "positions looked up": Case(
        over(
            lambda m, x: m.head((m.first(m.words(x)) + m.places(torch.arange(T))).tanh().mean(1)),
            words=nn.Embedding(7, T), places=nn.Embedding(9, T), first=linear(), head=head(T),
        ),
        tokens, "AddmmBackward0",
    ),
    "class token": Case(
        over(
            lambda m, x: m.head(
                torch.cat([m.token.expand(len(x), -1, -1), m.first(x)], 1).softmax(1)[:, 0].tanh()
            ),
            first=linear(), token=free(1, 1, T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "layer scale": Case(
        over(
            lambda m, x: m.head((m.first(x) + m.scale * m.second(x).tanh()).mean(1)),
            first=linear(), second=linear(), scale=free(T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "root mean square": Case(
        over(
            lambda m, x: m.head(rms(m.first(x), m.scale).mean(1)),
            first=linear(), scale=free(T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "root mean square, one plus": Case(
        over(
            lambda m, x: m.head(rms(m.first(x), 1 + m.scale).mean(1)),
            first=linear(), scale=free(T), head=head(T),
        ),
        sequences, "AddmmBackward0",
    ),
    "standardized weight": Case(
        over(
            lambda m, x: m.head(F.conv1d(m.first(x), standardized(m.weight)).tanh().flatten(1)),
            first=linear(), weight=free(3, T, 2), head=head(9),
        ),
        sequences, "AddmmBackward0", merged=False,
    ),
    "low rank": Case(
        over(
            lambda m, x: m.head(F.linear(m.first(x), m.weight + m.b @ m.a).tanh()),
            first=linear(), weight=free(T, T), b=free(T, 2), a=free(2, T), head=head(T),
        ),
        rows, "AddmmBackward0", merged=False,
    ),
    "weight added to itself": Case(
        over(
            lambda m, x: m.head(((x @ m.w).tanh() @ m.w.T).tanh() @ (m.w + m.w.T)),
            w=free(T, T), head=head(T),
        ),
        rows, "MmBackward0", merged=False,
    ),
    "tied": Case(
        over(
            lambda m, x: (m.inner(m.words(x).mean(1)).tanh() @ m.words.weight.T)[:, :3],
            words=nn.Embedding(7, T), inner=linear(),
        ),
        tokens, "EmbeddingBackward0",
    ),
    "tied, of a function": Case(
        over(
            lambda m, x: (m.words(x).mean(1).tanh() @ m.words.weight.sin().T)[:, :3],
            words=nn.Embedding(7, T),
        ),
        tokens, "EmbeddingBackward0", merged=False,
    ),
    "mixture of experts": Case(
        over(
            lambda m, x: m.head(
                torch.einsum("ne,nf,efk->nk", m.gate(x).softmax(1), x, m.w)
            ),
            gate=linear(2), w=free(2, T, T), head=head(T),
        ),
        rows, "AddmmBackward0", merged=False,
    ),
    "encoder": Case(lambda: encoder(batch_first=True), sequences, "AddmmBackward0"),
    "encoder, norm first": Case(
        lambda: encoder(batch_first=True, norm_first=True), sequences, "AddmmBackward0"
    ),
    "encoder, time first": Case(lambda: encoder(), sequences, "AddmmBackward0"),
    **{
        f"{kind.__name__}{how}": Case(
            lambda kind=kind, settings=settings: recurrent(kind, **settings),  # type: ignore[misc]
            sequences, "AddmmBackward0", merged=merged,
        )
        for kind, merged in ((nn.GRU, True), (nn.LSTM, True), (nn.RNN, True))
        for how, settings in {
            "": {"batch_first": True},
            ", time first": {},
            ", two of both ways": {"batch_first": True, "num_layers": 2, "bidirectional": True},
        }.items()
    },
}  # fmt: skip


def layers_of(case: Case, n: int = 5) -> list[Layer]:
    problem = problem_of(case.module(), case.X, n, 1)
    X, y = problem.batch
    return find_layers(CROSS_ENTROPY(problem.module(X), y))


@pytest.mark.parametrize("way", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_modules_that_are_taken(name: str, way: str) -> None:
    case = CASES[name]
    for n, m in (*SIZES[way], (1, 1)):
        problem = problem_of(case.module(), case.X, n, m)
        if way == "merged" and not case.merged and m < n:
            with pytest.raises(RefusedError, match="both batches"):
                assert_right(problem, way)
        else:
            assert_right(problem, way)


@pytest.mark.parametrize("name", CASES)
def test_no_layer_is_pushed_forward_that_need_not_be(name: str) -> None:
    """The lowest layer is a layer of its own, also where sizes are the number of examples."""
    case = CASES[name]
    for n in (1, 2, T, 5):
        layers = layers_of(case, n)
        assert case.deepest in {layer.node.name() for layer in layers}
        for layer in layers:
            for slot in filter(None, layer.slots):
                below = [] if slot.output is None else inputs_first(slot.output[0])
                assert case.deepest not in {node.name() for node in below}


# Shared weights


SHARED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "twice": lambda m, x: m.h(m.l(m.l(x).tanh()).mean(1)),
    "of steps and of what they are": lambda m, x: m.h(m.l(m.l(x).tanh().mean(1)) + m.l(x)[:, 0]),
    "of steps and of fewer steps": lambda m, x: m.h(
        m.l(x).tanh().mean(1) + m.l(x[:, :2]).tanh().sum(1) + m.l(x[:, 0]).tanh()
    ),
    "of time first and of batch first": lambda m, x: m.h(
        m.l(x).tanh().mean(1) + m.l(x.transpose(0, 1)).tanh().mean(0)
    ),
    "step by step": lambda m, x: m.h(
        m.l(m.l(m.l(x[:, 0]).tanh() + x[:, 1]).tanh() + x[:, 2]).tanh()
    ),
    "by another view": lambda m, x: m.h(
        (m.l(x).tanh() @ m.l.weight + x @ m.l.weight.view(2, 8).t().reshape(T, T)).mean(1)
    ),
    "without its bias": lambda m, x: m.h(
        (m.l(x).tanh() + F.linear(x, m.l.weight)).mean(1) + F.linear(x[:, 1], m.l.weight, m.b)
    ),
    "with a bias of examples": lambda m, x: m.h(
        torch.addmm(m.l(x[:, 0]), x[:, 1], m.l.weight.T) + F.linear(x[:, 2], m.l.weight)
    ),
    "with a bias for all columns": lambda m, x: m.h(F.linear(x[:, 0], m.l.weight, m.b[:1])),
    "with a bias of one row": lambda m, x: m.h(torch.addmm(m.b[None], x[:, 0], m.l.weight)),
    "scaled": lambda m, x: m.h(torch.addmm(m.b, x[:, 0], m.l.weight, beta=2, alpha=3)),
    "as a weight and in a function": lambda m, x: m.h(
        (m.l(x).tanh() @ (m.l.weight * m.b).softmax(0) * m.l.weight.mean() + m.b).mean(1)
    ),
    "as what is looked up": lambda m, x: m.h(
        (F.embedding((x > 0).long(), m.l.weight).mean(1) * m.l(x)).tanh().mean(1)
    ),
    "as a convolution's": lambda m, x: m.h(
        (F.conv1d(x.mT, m.l.weight[:, :, None], m.b).mT + m.l(x)).tanh().mean(1)
    ),
}
CHOSEN: dict[str, Callable[[str], bool] | None] = {
    "all": None,
    "weights": lambda name: name.endswith("weight"),
    "biases": lambda name: name.endswith(("bias", ".b")),
    "last": lambda name: ".h." in name,
    "shared weight": lambda name: name.endswith("l.weight"),
}


FUNCTIONS_OF_WEIGHTS = {
    "by another view",
    "with a bias for all columns",
    "with a bias of one row",
    "as a weight and in a function",
    "as a convolution's",
}


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("name", SHARED)
def test_shared_weights(name: str, chosen: str) -> None:
    module = Apply(SHARED[name], l=linear(), h=head(T), b=free(T))
    for way, sizes in SIZES.items():
        for n, m in sizes:
            problem = problem_of(module, sequences, n, m)
            try:
                assert_right(problem, way, CHOSEN[chosen])
            except RefusedError:
                assert way == "merged"
                assert name in FUNCTIONS_OF_WEIGHTS


@pytest.mark.parametrize("frozen", ["l.weight", "l.bias", "h.weight", "b"])
@pytest.mark.parametrize("name", ["twice", "without its bias", "with a bias of examples", "scaled"])
def test_frozen_parameters(name: str, frozen: str) -> None:
    module = Apply(SHARED[name], l=linear(), h=head(T), b=free(T))
    module.get_parameter(frozen).requires_grad_(False)
    for way, sizes in SIZES.items():
        for n, m in sizes:
            assert_right(problem_of(module, sequences, n, m), way)


@pytest.mark.parametrize("way", SIZES)
def test_bias_for_all_columns_of_a_wide_layer(way: str) -> None:
    """Where products of examples stand in for a clean gradient, there is one entry to a column."""
    module = Apply(
        lambda m, x: m.h(F.linear(x, m.w, m.b).tanh()), w=free(32, T), b=free(1), h=head(32)
    )
    assert_right(problem_of(module, rows, 9, 1), way)


class Product(torch.autograd.Function):
    """a * b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return grad_outputs[0] * b, grad_outputs[0] * a


def product(a: Tensor, b: Tensor) -> Tensor:
    return Product.apply(a, b)  # type: ignore[no-any-return, no-untyped-call]


FUNCTIONS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "of a layer and itself": lambda m, x: product(m.l(x), m.l(x)),
    "of the same": lambda m, x: (lambda h: product(h, h))(m.l(x)),
    "of what depends on the other": lambda m, x: (lambda h: product(h, h.exp()))(m.l(x)),
    "of the same parameter": lambda m, x: m.l(x) * product(m.b, m.b),
    "of a parameter, and a function": lambda m, x: m.l(x) * product(m.b, m.b.exp()),
    "of both": lambda m, x: product(m.l(x), m.b),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_users(name: str) -> None:
    module = Apply(lambda m, x: m.h(FUNCTIONS[name](m, x).tanh()), l=linear(), h=head(T), b=free(T))
    for n, m in SIZES["layerwise"]:
        assert_right(problem_of(module, rows, n, m), "layerwise")


@pytest.mark.parametrize("dim", [0, 1])
def test_outputs_of_one_node_that_are_used_in_different_ways(dim: int) -> None:
    """What is split has no place, and both of its parts have one."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.l(x)
        a, b = h.split([2, 2], 1)
        return m.h(torch.cat([b.tanh(), a.exp()], 1) - h.mean(dim, keepdim=True))  # type: ignore[no-any-return]

    module = Apply(forward, l=linear(), h=head(T))
    for n, m in SIZES["layerwise"]:
        assert_right(problem_of(module, rows, n, m), "layerwise")


# Both batches in one pass


MIXED: dict[str, tuple[Callable[[Any, Tensor], Tensor], Callable[[int], Tensor]]] = {
    "scaled rows": (lambda m, x: (lambda h: h - h[:1])(x * m.b), rows),
    "divided rows": (lambda m, x: (lambda h: h - h[:1])(m.b / (3 + x.sigmoid())), rows),
    "shifted rows": (lambda m, x: (lambda h: h * h[:1])(x + m.b), rows),
    "embedded words": (
        lambda m, x: (lambda h: torch.cat([h[1:], h[:1]]))(m.e(x).flatten(1)[:, :T]), tokens
    ),
    "places in the batch": (lambda m, x: x + m.places[: len(x)], rows),
    "rows that require a gradient": (
        lambda m, x: (lambda z: m.l((z @ z.T).softmax(1) @ x))(x.detach().requires_grad_()), rows
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_examples_put_together_above_no_layer(name: str) -> None:
    """Where only what is looked up, or scaled, goes in, it is data of both batches all the same."""
    function, X = MIXED[name]
    module = Apply(
        lambda m, x: m.h(function(m, x).tanh()),
        h=head(T), b=free(T), e=nn.Embedding(7, T), places=free(50, T), l=linear(),
    )  # fmt: skip
    for n, m in SIZES["merged"]:
        assert_right(problem_of(module, X, n, m), "layerwise")
        with pytest.raises(RefusedError):
            assert_right(problem_of(module, X, n, m), "merged")


def test_flag_that_puts_words_together() -> None:
    """Nodes of the same names take something away along the words, then along the batch."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.words(x)
        return m.head((h - h.select(m.along, 0).unsqueeze(m.along)).mean(1).tanh())  # type: ignore[no-any-return]

    module: Any = Apply(forward, words=nn.Embedding(7, 5), head=head(5))
    problem = problem_of(module, tokens, 32, 8)
    for along in (1, 1, 0, 1, 0):
        module.along = along
        assert_close(example_weights(*problem), oracle_of(problem), atol=1e-10)


def test_words_whose_gradient_is_divided_by_their_number() -> None:
    """Forward mode does not know that; and both batches would be counted together."""
    words = nn.Embedding(7, T, scale_grad_by_freq=True)
    module = Apply(lambda m, x: m.h(m.words(x).mean(1).tanh()), words=words, h=head(T))
    for n, m in SIZES["merged"]:
        problem = problem_of(module, tokens, n, m)
        for way, message in (("merged", "both batches"), ("layerwise", "frequencies")):
            with pytest.raises(NotImplementedError, match=message):
                assert_right(problem, way)


def test_output_with_the_examples_along_another_axis() -> None:
    """Of both batches, what the training batch put out could not be told."""
    module = Apply(lambda m, x: m.h(m.l(x).tanh()).transpose(0, 1), l=linear(), h=head(T))

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return CROSS_ENTROPY(output.mean(0), y)  # type: ignore[no-any-return]

    with pytest.raises(RefusedError, match="one for each example"):
        assert_right(problem_of(module, sequences, 9, 2, loss), "merged")
