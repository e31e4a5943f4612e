"""Learning to reweight examples (Ren et al., ICML 2018) for scikit-learn and PyTorch."""

from importlib.metadata import version

from ._classifier import L2RWClassifier
from ._mixin import L2RWMixin
from ._weights import example_weights

__all__ = ["L2RWClassifier", "L2RWMixin", "example_weights"]
__version__ = version("sklearn_l2rw")
