"""Nets, criteria and arguments that change between fits, epochs and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import IterableDataset

from sklearn_l2rw import L2RWClassifier, example_weights
from tests.reference import normalized, per_example_slopes
from tests.small import MLP, Y_NOISY, X, Y, make_net, state_of

LOSS = nn.CrossEntropyLoss(reduction="none")


class Held(Callback):
    """Holds the weights of every step to one backward pass an example."""

    def __init__(self, loss: Any = LOSS) -> None:
        self.loss, self.errors = loss, []  # type: ignore[var-annotated]

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kw: Any
    ) -> None:
        if training:
            X_clean, y_clean = net.clean_set
            clean = (torch.as_tensor(X_clean), torch.as_tensor(y_clean))
            pair = (batch[0], torch.as_tensor(batch[1]))
            self.expected = normalized(per_example_slopes(net.module_, self.loss, pair, clean))

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            error = (kwargs["weights"] - self.expected).abs().max()
            self.errors.append(float(error / self.expected.max().clamp(min=1e-12)))


class InEpoch(Callback):
    """Does something to the net when a later epoch begins."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 2:
            self.change(net)


def new_head(net: Any) -> None:
    net.module_.outer = nn.Linear(6, 2)
    net.optimizer_.add_param_group({"params": list(net.module_.outer.parameters())})


CHANGES: dict[str, Any] = {
    "another head": new_head,
    "pruned": lambda net: getattr(prune, "l1_unstructured")(net.module_.inner, "weight", 0.5),  # noqa: B009
    "weight norm": lambda net: weight_norm(net.module_.inner),
}


@pytest.mark.parametrize("name", CHANGES)
def test_layers_that_a_callback_changes_in_mid_fit(name: str) -> None:
    held = Held()
    callbacks = [("change", InEpoch(CHANGES[name])), ("held", held)]
    net = make_net(callbacks=callbacks, max_epochs=4).fit(X, Y_NOISY)
    assert len(held.errors) == 12
    assert max(held.errors) < 1e-3
    assert np.isfinite(net.example_weights_).all()


class Along(nn.Module):
    """Cross entropy over classes, or over the examples of a batch."""

    reduction = "mean"

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        losses = -output.log_softmax(self.dim).gather(1, y[:, None])[:, 0]
        return losses if self.reduction == "none" else losses.mean()


def test_criterion_that_is_set_between_fits() -> None:
    net = make_net(criterion=Along).fit(X, Y)
    loss = Along(0)
    loss.reduction = "none"
    held = Held(loss)
    net.set_params(criterion__dim=0, callbacks=[("held", held)])
    net.initialize_callbacks()
    net.partial_fit(X, Y)
    assert held.errors
    assert max(held.errors) < 1e-3


def test_criterion_that_takes_another_output_is_refused() -> None:
    net = make_net().fit(X, Y)
    with pytest.raises(ValueError, match="no probabilities"):
        net.set_params(criterion=nn.NLLLoss).partial_fit(X, Y)


class Scaled(MLP):
    seen: list[float] = []  # noqa: RUF012

    def forward(self, X: Tensor, scale: float = 1.0) -> Tensor:
        Scaled.seen.append(scale)
        return super().forward(X) * scale


class ScaledByEpoch(L2RWClassifier):
    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        return super().train_step(batch, scale=float(len(self.history)))


def test_arguments_of_forward_are_those_of_the_step() -> None:
    Scaled.seen.clear()
    settings = make_net(Scaled).get_params(deep=False)
    net = ScaledByEpoch(**{k: v for k, v in settings.items() if not k.startswith("callbacks")})
    net.set_params(max_epochs=3).fit(X, Y)
    assert [scale for scale in dict.fromkeys(Scaled.seen) if scale > 1] == [2, 3]


class Square(torch.autograd.Function):
    """Says in its own words that it has no second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise ValueError("no second derivative")
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Squared(MLP):
    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.outer(Square.apply(self.inner(X)))  # type: ignore[no-untyped-call]
        return output


@pytest.mark.filterwarnings("ignore:The meta-gradient is computed by one backward pass")
def test_errors_of_the_users_code_are_no_end_of_a_fit() -> None:
    held = Held()
    make_net(Squared, callbacks=[("held", held)]).fit(X, Y)
    assert max(held.errors) < 1e-3


def test_loss_that_is_no_tensor() -> None:
    class Odd(nn.CrossEntropyLoss):
        def forward(self, output: Any, y: Any) -> Any:
            return {"loss": super().forward(output, y)}

    with pytest.raises(ValueError, match="expected one loss for each example"):
        make_net(criterion=Odd, max_epochs=1).fit(X, Y)


def test_split_of_a_fitted_net() -> None:
    train, valid = make_net().fit(X, Y).get_split_datasets(X, Y)
    assert len(train) == len(X)
    assert valid is None


def test_gradients_of_leaves_that_are_no_parameters() -> None:
    module, temperature = nn.Linear(4, 2), torch.ones(1, requires_grad=True)
    soft = torch.rand(12, 2).softmax(1).requires_grad_()
    before = state_of(module)
    batch, clean = (torch.as_tensor(X[:12]), soft), (torch.as_tensor(X[:6]), soft[:6].detach())
    example_weights(module, lambda output, y: LOSS(output / temperature, y), batch, clean)
    assert temperature.grad is None
    assert soft.grad is None
    assert all(torch.equal(value, before[name]) for name, value in state_of(module).items())


def test_module_with_nothing_to_learn() -> None:
    class Frozen(MLP):
        def __init__(self) -> None:
            super().__init__()
            self.requires_grad_(False)

    with pytest.raises(ValueError, match="Unfreeze at least one parameter"):
        make_net(Frozen).fit(X, Y)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


@pytest.mark.parametrize("name", ["sample_weight", "clean_mask"])
def test_nothing_is_given_by_row_of_a_stream(name: str) -> None:
    clean_set = {} if name == "sample_weight" else {"clean_set": None}
    with pytest.raises(ValueError, match=rf"Got {name} with a Stream that has no length"):
        make_net(classes=[0, 1], **clean_set).fit(Stream(), None, **{name: np.ones(len(X), bool)})


def scaled_batch(items: list[Any]) -> Any:
    rows = torch.stack([torch.as_tensor(x) for x, _ in items]) / 255
    return rows, torch.stack([torch.as_tensor(y) for _, y in items])


@pytest.mark.filterwarnings("ignore:The features of the clean set do not look like those of X")
def test_collate_function_that_changes_the_inputs_keeps_the_record() -> None:
    plain = make_net(module__hidden=6).fit(X / np.float32(255), Y_NOISY)
    clean = plain.clean_set[0], plain.clean_set[1]
    net = make_net(iterator_train__collate_fn=scaled_batch, clean_set=clean).fit(X, Y_NOISY)
    np.testing.assert_allclose(net.example_weights_, plain.example_weights_, rtol=1e-4)


class Cached(L2RWClassifier):
    """Makes its batches once, and yields the same objects in every epoch."""

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        loader = super().get_iterator(dataset, training)
        return list(loader) if training else loader


def test_batches_that_are_the_same_objects_in_every_epoch() -> None:
    held = Held()
    settings = {k: v for k, v in make_net().get_params(deep=False).items() if "callbacks" not in k}
    whole = {"callbacks": [("held", held)], "batch_size": -1, "max_epochs": 4}
    Cached(**{**settings, **whole}).fit(X, Y_NOISY)
    assert len(held.errors) == 4
    assert max(held.errors) < 1e-3
