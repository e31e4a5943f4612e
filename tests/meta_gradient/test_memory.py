"""What is remembered of an architecture, and what is not."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw.meta_gradient.choice import Chooser
from sklearn_l2rw.meta_gradient.memory import MEMORY, architecture
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.trial import Trial
from tests import zoo_parts as z
from tests.oracle import assert_close, oracle_of
from tests.small import X, Y, make_net
from tests.zoo_parts import Problem


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """Trials that are made."""
    made: list[Trial] = []
    first = Trial.__init__

    def init(self: Trial, *args: Any) -> None:
        made.append(self)
        first(self, *args)

    monkeypatch.setattr(Trial, "__init__", init)
    return made


def problem(net: nn.Module, seed: int = 0) -> Problem:
    torch.manual_seed(seed)
    batches = [(torch.randn(n, 5).double(), z.labels(n)) for n in (16, 4)]
    return Problem(net.double(), nn.CrossEntropyLoss(reduction="none"), *batches)


def weights_of(given: Problem, chooser: Chooser | None = None) -> Tensor:
    objective = Objective(given.module, given.loss)
    parameters = dict(objective.named_parameters())
    found = (chooser or Chooser("auto"))(objective, *given[2:], parameters)
    w = found.slopes.clamp(min=0)
    return w / w.sum()


def test_a_second_net_of_the_same_kind_needs_no_trial(trials: list[Trial]) -> None:
    for seed in range(3):
        given = problem(z.dense(nn.Tanh()), seed)
        assert_close(weights_of(given), oracle_of(given), 1e-9)
    assert len(trials) == 1


OTHERS: dict[str, Any] = {
    "another width": lambda: z.dense(nn.Tanh(), nn.Linear(8, 8)),
    "another function": lambda: z.dense(nn.ReLU()),
    "another setting": lambda: z.dense(nn.Dropout(0.3), nn.Tanh()),
    "frozen": lambda: z.freeze(z.dense(nn.Tanh()), "0.weight"),
    "eval": lambda: z.dense(nn.Tanh()).eval(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_another_architecture(name: str, trials: list[Trial]) -> None:
    weights_of(problem(z.dense(nn.Tanh())))
    given = problem(OTHERS[name]())
    parameters = [p for p in given.module.parameters() if p.requires_grad]
    objective = Objective(given.module, given.loss)
    named = {k: p for k, p in objective.named_parameters() if any(p is q for q in parameters)}
    Chooser("auto")(objective, *given[2:], named)
    assert len(trials) == 2


class Along(nn.Module):
    """Takes a mean away: of each example, or over examples."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.head, self.dim = nn.Linear(5, 8), z.head(8), dim

    other = False  # of the class: no setting of a module

    def forward(self, X: Tensor) -> Tensor:
        h = self.first(X).softmax(0) if self.other else self.first(X)
        output: Tensor = self.head((h - h.mean(self.dim, keepdim=True)).tanh())
        return output


def test_a_setting_that_makes_examples_interact(trials: list[Trial]) -> None:
    for dim in (1, 0, 1, 0):
        given = problem(Along(dim))
        assert_close(weights_of(given), oracle_of(given), 1e-9)
    assert len(trials) == 2


def test_same_settings_another_path(trials: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is not believed where something else is computed."""
    weights_of(problem(Along(1)))
    monkeypatch.setattr(Along, "other", True)
    given = problem(Along(1))
    assert_close(weights_of(given), oracle_of(given), 1e-9)
    assert len(trials) == 2


class Holder:
    """Holds something that is no setting."""

    __slots__ = ("held",)


def test_what_cannot_be_told_apart_is_not_remembered() -> None:
    net = z.dense(nn.Tanh())
    assert architecture(net.modules()) is not None
    net.extra = partial(torch.add, alpha=2)  # type: ignore[assignment]
    assert architecture(net.modules()) is not None
    net.extra = Holder()  # type: ignore[assignment]
    assert architecture(net.modules()) is None
    net.extra = {Holder()}  # type: ignore[assignment]
    assert architecture(net.modules()) is None


def test_a_search_pays_once(trials: list[Trial]) -> None:
    for seed in range(3):
        make_net(random_state=seed, lr=0.1 * (seed + 1)).fit(X, Y)
    assert len(trials) == 1


def test_memory_is_bounded() -> None:
    for width in range(1, 70):
        weights_of(problem(nn.Sequential(nn.Linear(5, width), z.head(width))))
    assert len(MEMORY._plans) == 64
