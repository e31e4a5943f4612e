"""What scikit-learn expects of an estimator, and skorch's nets do not do by themselves."""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor, nn

from ..nested import leaves
from ..training.copying import copy_of
from ..training.net import Net
from .mlp import MLP
from .sizes import fill_sizes


def _kept_privately(name: str) -> property:
    """Make an attribute that is stored under a private name.

    skorch sets it in the constructor, which scikit-learn allows for parameters alone.
    """
    key = "_" + name
    return property(attrgetter(key), lambda self, value: self.__dict__.__setitem__(key, value))


def _shown(value: Any) -> str:
    """Text of a parameter's value, with shapes in place of numbers."""
    if isinstance(value, (tuple, list)) and any(hasattr(x, "shape") for x in value):
        return f"({', '.join(_shown(x) for x in value)})"
    if isinstance(value, (np.ndarray, Tensor)) or sparse.issparse(value):
        return f"<array of shape {tuple(value.shape)}>"
    if hasattr(value, "shape") and hasattr(value, "iloc"):
        return f"<{type(value).__name__} of shape {tuple(value.shape)}>"
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, nn.Module):
        return f"<{type(value).__name__} instance>"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Summary:
    """A value that is shown by the shapes of its arrays."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _shown(self.value)


class ScikitLearnAPI(Net):
    """Cloning, representation, tags, and sizes that modules ask for."""

    history_ = _kept_privately("history_")
    initialized_ = _kept_privately("initialized_")
    virtual_params_ = _kept_privately("virtual_params_")

    def _get_param_names(self) -> list[str]:
        names: list[str] = super()._get_param_names()
        return [name for name in names if not name.startswith("_")]

    def __sklearn_clone__(self) -> Any:
        """Make an unfitted estimator of the same parameters, which shares the clean set.

        A search makes hundreds of clones, and a copy of a large clean set in each is too much, as
        is one of what is frozen in a module.
        """
        shell = type(self).__new__(type(self))
        shell.__dict__.update(self.__dict__, clean_set=None)
        given = vars(self)["module"]
        if isinstance(given, nn.Module):
            shell.__dict__["module"] = None
        clone: Any = super(ScikitLearnAPI, shell).__sklearn_clone__()
        clone.clean_set = vars(self)["clean_set"]
        if isinstance(given, nn.Module):
            vars(clone)["module"] = copy_of(given)
        return clone

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    def __repr__(self) -> str:
        defaults = {
            name: parameter.default
            for owner in reversed(type(self).__mro__)
            for name, parameter in inspect.signature(owner).parameters.items()
        }
        params: dict[str, Any] = self.get_params(deep=False)
        changed = [
            f"{name}={_shown(value)}"
            for name, value in sorted(params.items())
            if name not in defaults or not _same(value, defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there was a fit; skorch's own checks are content with `initialize`."""
        made = all(f"{name}_" in vars(self) for name in self._modules or ["module"])
        return made and "targets_" in vars(self)

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        params: Any = super()._get_params_html(*args, **kwargs)
        for name, value in params.items():
            if any(hasattr(leaf, "shape") for leaf in leaves(value)):
                params[name] = Summary(value)
        return params

    # -- the module -------------------------------------------------------------------------

    def initialized_instance(self, instance_or_cls: Any, kwargs: Any) -> Any:
        """Make a component; a module, by default an `MLP`, gets the sizes that it asks for."""
        if instance_or_cls is not None and instance_or_cls is not self.module:
            return super().initialized_instance(instance_or_cls, kwargs)
        module = MLP if instance_or_cls is None else instance_or_cls
        n_outputs = getattr(getattr(self, "targets_", None), "n_outputs", None)
        sizes = {
            "n_features": getattr(self, "n_features_in_", None),
            "n_outputs": n_outputs,
            "n_classes": n_outputs,
        }
        return super().initialized_instance(module, fill_sizes(module, kwargs, sizes))


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and isinstance(a, (bool, int, float, str)) and a == b)
