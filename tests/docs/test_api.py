"""Everything public has an example, which doctest runs, and a place in the reference."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sklearn_l2rw
from docs.machinery.api import SHOWN
from sklearn_l2rw.estimators import paper

REFERENCE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLE = r"Examples\n-{8}\n(?:.+\n\n)?>>> "  # a sentence may come before it


def own_methods() -> Iterator[tuple[str, Any]]:
    """Methods that the reference shows and this package defines, by the name that defines them."""
    for name in sklearn_l2rw.__all__:
        thing = getattr(sklearn_l2rw, name)
        for member in SHOWN:
            found = inspect.getattr_static(thing, member, None) if inspect.isclass(thing) else None
            found = getattr(found, "__func__", getattr(found, "fn", found))
            if inspect.isfunction(found) and found.__module__.startswith("sklearn_l2rw"):
                yield found.__qualname__, found


METHODS = dict(own_methods())


@pytest.mark.parametrize("name", sklearn_l2rw.__all__)
def test_a_public_name_has_an_example_and_a_place(name: str) -> None:
    thing = getattr(sklearn_l2rw, name)
    documented = callable(thing)  # a constant's words are those below it
    text = inspect.getdoc(thing) if documented else inspect.getsource(paper)
    assert text is not None
    assert re.search(EXAMPLE, text), name
    assert f"   {name}\n" in REFERENCE


@pytest.mark.parametrize("name", METHODS)
def test_a_public_method_has_an_example(name: str) -> None:
    text = inspect.getdoc(METHODS[name])
    assert text is not None
    assert re.search(EXAMPLE, text), name


def test_methods_are_found() -> None:
    assert set(METHODS) >= {
        "Fitting.fit", "Fitting.partial_fit", "L2RWClassifier.predict",
        "L2RWClassifier.decision_function", "Display.plot", "GroupedDisplay.from_predictions",
    }  # fmt: skip


def test_the_reference_names_what_is_there() -> None:
    assert set(re.findall(r"^   (\w+)$", REFERENCE, re.MULTILINE)) == set(sklearn_l2rw.__all__)
