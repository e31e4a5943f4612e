"""How a module is called: with several inputs, and for the logits among what it puts out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from skorch import NeuralNet
from skorch.utils import to_tensor
from torch import nn

from ..nested import logits_of


def takes_each(module: nn.Module, n: int, keywords: Mapping[str, Any]) -> bool:
    """Whether a module has n inputs as arguments of their own, and not as one list."""
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        module = module.module
    try:
        inspect.signature(module.forward).bind(*range(n), **keywords)
    except TypeError:
        return False
    except ValueError:  # some callables have no signature
        return True
    return True


def called(net: Any, infer: Any, x: Any, fit_params: Mapping[str, Any]) -> Any:
    """What a net's module puts out: of a list of inputs as arguments of their own, if it can."""
    if isinstance(x, list) and len(x) > 1 and takes_each(net.module_, len(x), fit_params):
        return logits_of(net.module_(*to_tensor(x, device=net.device), **fit_params))
    return logits_of(infer(x, **fit_params))


class Calling(NeuralNet):
    """skorch's NeuralNet, which calls the module in one more way, and returns logits.

    To be placed behind a NeuralNet class that looks at what the module puts out.
    """

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Apply the module; see :meth:`skorch.NeuralNet.infer`."""
        return called(self, super().infer, x, fit_params)
