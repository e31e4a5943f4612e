"""The reference shows what users call, and leaves out the seams by which we hang in skorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SHOWN = (
    "fit", "partial_fit", "predict", "predict_proba", "decision_function",
    "from_estimator", "from_predictions", "from_history", "plot", "classes_",
)  # fmt: skip
"""Members of estimators and displays; what else is public there is skorch's or overrides it."""


def _left_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    return True if what == "class" and name not in SHOWN else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Choose the members."""
    app.connect("autodoc-skip-member", _left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
