"""What the registry holds of an arm, and how most arms are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from benchmarks.methods.net import Net
from benchmarks.methods.options import OPTIONS
from benchmarks.methods.setting import Setting


@dataclass(frozen=True)
class Arm:
    """How an arm is made.

    Parameters
    ----------
    make : callable
        Makes the estimator for a `Setting`.
    about : str
        A line for the tables.
    takes_clean : bool
        Whether ``fit`` is told by ``clean_mask`` which rows are clean.
    tuned_as : str or None
        Arm whose learning rate it takes, which is its own name by default: a wrapper around the
        unweighted net takes that of the net. None for arms without a net.
    binary : bool
        Whether it is for two classes alone.
    package : str or None
        What has to be installed.
    scaled_outside : bool
        Whether a scaler comes before it in a Pipeline, rather than inside.
    has_options : bool
        Whether it has the `OPTIONS`: not where an epoch is chosen, whose parameters are kept.

    """

    make: Callable[[Setting], Any]
    about: str
    takes_clean: bool = False
    tuned_as: str | None = "itself"
    binary: bool = False
    package: str | None = None
    scaled_outside: bool = True
    has_options: bool = True

    def with_options(self, names: tuple[str, ...]) -> Arm:
        """Make the same arm, whose net is trained with some of the `OPTIONS`."""
        make, tuned_as = self.make, self.tuned_as
        return replace(
            self,
            make=lambda setting: make(replace(setting, options=names)),
            about=f"{self.about}; {', '.join(names)}",
            tuned_as=tuned_as if tuned_as in (None, "itself") else "_".join([tuned_as, *names]),
        )


def with_all_options(arms: dict[str, Arm]) -> dict[str, Arm]:
    """Arms, and behind each net with an option or several: ``unweighted_falling_averaged``."""
    sets = [names for n in range(len(OPTIONS) + 1) for names in combinations(OPTIONS, n)]
    return {
        "_".join([name, *names]): arm.with_options(names) if names else arm
        for name, arm in arms.items()
        for names in sets
        if not names or (arm.has_options and arm.tuned_as is not None)
    }


def net(kind: type[Net], **more: Any) -> Callable[[Setting], Any]:
    """Maker of a net that is trained in its kind's way."""
    return lambda setting: setting.net(kind, **more)
