"""Sizes that a module asks for, filled in from the data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn


def asked_for(module: Any) -> set[str]:
    """Names of the parameters that a module class or factory cannot do without.

    These are the ones without a default; an instance asks for nothing.
    """
    if isinstance(module, nn.Module):
        return set()
    try:
        parameters = inspect.signature(module).parameters.values()
    except (TypeError, ValueError):  # some callables have no signature
        return set()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in parameters if p.kind in named and p.default is p.empty}


def fill_sizes(
    module: Any, given: Mapping[str, Any], sizes: Mapping[str, int | None]
) -> dict[str, Any]:
    """Complete the arguments of a module by the sizes that it asks for.

    Parameters
    ----------
    module : callable
        Class or factory of the module.
    given : mapping
        Arguments that the user gave as ``module__name``; these come first.
    sizes : mapping of str to int or None
        Names that a module may ask for, and what the data say; None where they say nothing.

    Raises
    ------
    ValueError
        If a size is asked for that is not known.

    """
    missing = [name for name in sizes if name in asked_for(module) and name not in given]
    unknown = [name for name in missing if sizes[name] is None]
    if unknown:
        names = " and ".join(unknown)
        raise ValueError(
            f"The module asks for {names}, which `fit` learns from a two-dimensional X and from y, "
            f"but got none so far. Set {', '.join(f'module__{name}' for name in unknown)}, or call "
            "`fit` with such data."
        )
    return {**given, **{name: sizes[name] for name in missing}}
