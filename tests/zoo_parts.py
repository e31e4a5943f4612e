"""Parts of the zoo: inputs, modules with something to trip over each, and checks of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

CLASSES = 3


class Problem(NamedTuple):
    """Arguments of `example_weights`."""

    module: nn.Module
    loss: Callable[[Any, Any], Tensor]
    batch: tuple[Any, Tensor]
    clean_batch: tuple[Any, Tensor]


Check = Callable[[Problem, Tensor], bool]


# Inputs and targets of n examples


def vectors(n: int) -> Tensor:
    return torch.randn(n, 5)


def images(n: int) -> Tensor:
    return torch.randn(n, 2, 6, 6)


def sequences(n: int) -> Tensor:
    return torch.randn(n, 4, 6)


def tokens(n: int) -> Tensor:
    return torch.randint(7, (n, 4))


def labels(n: int) -> Tensor:
    return torch.randint(CLASSES, (n,))


def sequences_and_lengths(n: int) -> tuple[Tensor, Tensor]:
    return sequences(n), torch.randint(1, 5, (n,))


def sequences_and_padding(n: int) -> dict[str, Tensor]:
    return {"x": sequences(n), "padding": torch.arange(4) >= torch.randint(1, 5, (n, 1))}


def labels_or_none(n: int) -> Tensor:
    """Every fourth one is missing: it has the class after the last."""
    return torch.where(torch.arange(n) % 4 == 0, CLASSES, labels(n))


def label_maps(n: int) -> Tensor:
    return torch.randint(CLASSES, (n, 6, 6))


# Modules


class Apply(nn.Module):
    """A module whose forward is a function of itself, for its layers, and of the inputs."""

    def __init__(self, function: Callable[..., Any], **layers: Any) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def head(n_features: int) -> nn.Linear:
    return nn.Linear(n_features, CLASSES)


def dense(*layers: nn.Module) -> nn.Sequential:
    """Layers of 8 features between two linear ones."""
    return nn.Sequential(nn.Linear(5, 8), *layers, head(8))


def convolutional(*layers: nn.Module) -> nn.Sequential:
    """Layers of 4 channels between a convolution and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), head(16)
    )


def lenet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), head(10)),
    )


def words(embedding: nn.Embedding) -> Apply:
    """Class of a text by the mean embedding of its words."""
    return Apply(lambda m, x: m.head(m.embedding(x).mean(1)), embedding=embedding, head=head(5))


def recurrent(rnn: nn.Module, n_features: int = 5) -> Apply:
    """Class of a sequence by the last state that a layer puts out."""
    return Apply(lambda m, x: m.head(m.rnn(x)[0][:, -1]), rnn=rnn, head=head(n_features))


def cell(rnn: nn.Module) -> Apply:
    """A recurrent cell, called step by step."""

    def forward(m: Any, x: Tensor) -> Tensor:
        state = None
        for x_t in x.unbind(1):
            state = m.cell(x_t, state)
        return m.head(state[0] if isinstance(state, tuple) else state)  # type: ignore[no-any-return]

    return Apply(forward, cell=rnn, head=head(5))


def packed(m: Any, x: Tensor, lengths: Tensor) -> Tensor:
    sequence = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    last = m.rnn(sequence)[1]
    return m.head(torch.cat([last[0], last[1]], 1))  # type: ignore[no-any-return]


def transformer(n_layers: int | None = None, **settings: Any) -> Apply:
    """One encoder layer, or an encoder of several; takes a padding mask, too."""
    layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, **{"dropout": 0.0, **settings})
    encoder: nn.Module = layer
    if n_layers:
        nested = not settings.get("norm_first", False)
        encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=nested)

    def forward(m: Any, x: Tensor, padding: Tensor | None = None) -> Tensor:
        return m.head(m.encoder(x, src_key_padding_mask=padding).mean(1))  # type: ignore[no-any-return]

    return Apply(forward, encoder=encoder, head=head(6))


def attention(**settings: Any) -> Apply:
    """`F.scaled_dot_product_attention` with two heads."""

    def forward(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.qkv(x).unflatten(2, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, **settings)
        return m.head(heads.transpose(1, 2).flatten(2).mean(1))  # type: ignore[no-any-return]

    return Apply(forward, qkv=nn.Linear(6, 18), head=head(6))


def residual(m: Any, x: Tensor) -> Tensor:
    h = m.block(m.stem(x).relu_())
    h += x
    return m.tail(h.relu_())  # type: ignore[no-any-return]


class Square(torch.autograd.Function):
    """x^2, without a formula for forward mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        return 2 * x * grad_outputs[0]


class SquareOnce(Square):
    """x^2, whose backward is not differentiable, as it happens with NumPy or C inside."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        return 2 * x.detach() * grad_outputs[0].detach()


class Reversal(Square):
    """x, with a gradient of the other sign, as in training against a discriminator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return -grad_outputs[0]


def custom(function: type[torch.autograd.Function]) -> Apply:
    return Apply(
        lambda m, x: m.head(function.apply(m.first(x))),  # type: ignore[no-untyped-call]
        first=nn.Linear(5, 8),
        head=head(8),
    )


def checkpointed(*, reentrant: bool) -> Apply:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_() if reentrant else x
        return m.head(checkpoint(m.block, x, use_reentrant=reentrant))  # type: ignore[no-any-return]

    block = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 8))
    return Apply(forward, block=block, head=head(8))


def checkpointed_between() -> Apply:
    """A reentrant checkpoint whose input needs a gradient."""

    def forward(m: Any, x: Tensor) -> Tensor:
        return m.head(checkpoint(m.block, m.first(x), use_reentrant=True))  # type: ignore[no-any-return]

    block = nn.Sequential(nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 8))
    return Apply(forward, first=nn.Linear(5, 8), block=block, head=head(8))


def quantized(m: Any, x: Tensor) -> Tensor:
    """Quantization whose step is learned."""
    h = torch._fake_quantize_learnable_per_tensor_affine(
        m.first(x).float(), m.scale.float(), m.zero.float(), -8, 7, 1.0
    )
    return m.head(h.to(x))  # type: ignore[no-any-return]


def scripted() -> nn.Module:
    with warnings.catch_warnings():  # "`torch.jit.script` is deprecated", from torch 2.13 on
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.script(dense(nn.Tanh()))
    return module


def compiled() -> nn.Module:
    module: Any = torch.compile(dense(nn.Tanh()), backend="aot_eager")
    return module  # type: ignore[no-any-return]


def counting() -> Apply:
    """The result depends on a buffer that counts the calls."""

    def forward(m: Any, x: Tensor) -> Tensor:
        m.calls += 1
        return m.net(x / m.calls)  # type: ignore[no-any-return]

    module = Apply(forward, net=head(5))
    module.register_buffer("calls", torch.zeros(()))
    return module


def complex_valued() -> Apply:
    return Apply(
        lambda m, x: m.head((x.to(m.weight) @ m.weight).sigmoid().abs()),
        weight=nn.Parameter(torch.randn(5, 8, dtype=torch.complex64)),
        head=head(8),
    )


def autocast(m: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return m.net(x)  # type: ignore[no-any-return]


def tied(m: Any, x: Tensor) -> Tensor:
    return m.output(m.embedding(x).mean(1).tanh())[:, :CLASSES]  # type: ignore[no-any-return]


def tie() -> Apply:
    embedding, output = nn.Embedding(7, 5), nn.Linear(5, 7)
    output.weight = embedding.weight
    return Apply(tied, embedding=embedding, output=output)


def same_twice() -> nn.Sequential:
    linear = nn.Linear(8, 8)
    return dense(nn.Tanh(), linear, nn.Tanh(), linear)


def freeze(module: nn.Module, *names: str) -> nn.Module:
    for name, p in module.named_parameters():
        if name in names:
            p.requires_grad_(False)
    return module


# Checks that a case is what it is meant to be


def layer(name: str, *, train: bool = True) -> Check:
    """A layer of this class is there, in this mode."""
    return lambda problem, losses: any(
        type(m).__name__ == name and m.training == train for m in problem.module.modules()
    )


def node(name: str) -> Check:
    """An operation of this name is in the graph of the losses."""

    def check(problem: Problem, losses: Tensor) -> bool:
        seen, todo = set(), [losses.grad_fn]
        while todo:
            function = todo.pop()
            if function is not None and function not in seen:
                seen.add(function)
                todo += [below for below, _ in function.next_functions]
        return any(name in function.name() for function in seen)

    return check


def runs_again(problem: Problem, losses: Tensor) -> bool:
    """The backward pass runs some layer's forward once more."""
    calls: list[nn.Module] = []
    hooks = [
        m.register_forward_pre_hook(lambda m, args: calls.append(m))
        for m in problem.module.modules()
    ]
    losses.sum().backward()  # type: ignore[no-untyped-call]
    for hook in hooks:
        hook.remove()
    return bool(calls)


def shared(problem: Problem, losses: Tensor) -> bool:
    """Some layer is used twice, or some parameter has two names."""
    names = list(problem.module.named_parameters(remove_duplicate=False))
    return len(names) > len(list(problem.module.parameters()))


def unused(problem: Problem, losses: Tensor) -> bool:
    """Some parameter gets no gradient."""
    parameters = [p for p in problem.module.parameters() if p.requires_grad]
    return None in torch.autograd.grad(losses.sum(), parameters, allow_unused=True)


def frozen(problem: Problem, losses: Tensor) -> bool:
    """Some parameter requires no gradient, and some does."""
    return len({p.requires_grad for p in problem.module.parameters()}) == 2


def counted(problem: Problem, losses: Tensor) -> bool:
    """The forward changed a buffer."""
    return bool(problem.module.get_buffer("calls") == 1)
