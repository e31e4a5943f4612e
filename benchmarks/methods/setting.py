"""What an arm is made for: a task, a way to train, a learning rate, a seed, options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.data.task import Task
from benchmarks.methods.net import Net
from benchmarks.methods.options import OPTIONS
from benchmarks.methods.training import NetFactory, Training
from benchmarks.methods.watched import Watched


@dataclass(frozen=True)
class Setting:
    """What makers of arms get.

    ``options`` are some of `OPTIONS`, for every net of the arm; ``watched`` says whether test
    errors are kept during a fit, by `Watched`.
    """

    task: Task
    training: Training
    lr: float
    seed: int
    device: str = "cpu"
    options: tuple[str, ...] = ()
    watched: bool = False

    @property
    def factory(self) -> NetFactory:
        """Makes the net."""
        return self.training.factory(self.task.shape, self.task.n_classes)

    @property
    def n_rarest(self) -> int:
        """Size of the rarest class of all that is trained on."""
        _, y, _ = self.task.with_clean()
        return int(np.bincount(y).min())

    def settings(self, n_steps: int) -> dict[str, Any]:
        """Parameters of a skorch net that is trained for a number of steps."""
        settings = self.training.settings(self.lr, n_steps, self.device)
        chosen = [(name, OPTIONS[name](n_steps)) for name in self.options]
        if self.watched:
            test = self.task.X_test, self.task.y_test
            chosen.append(("watched", Watched(*test, self.training.n_steps)))
        if chosen:
            settings["callbacks"] = [*settings.get("callbacks", []), *chosen]
        return settings

    def net(self, kind: type[Net] = Net, module: Any = None, **more: Any) -> Net:
        """Make a net that is trained in its kind's way."""
        own = {"n_steps": self.training.n_steps, "random_state": self.seed, **more}
        settings = self.settings(own["n_steps"])
        return kind(self.factory if module is None else module, **{**settings, **own})
