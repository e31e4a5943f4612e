"""A callback by which a worker dies in the middle of a fit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from skorch.callbacks import Callback


class Dies(Callback):
    """Kills the process in the second epoch: each time, or once where a file is to be made."""

    def __init__(self, parent: int, once: Path | None = None) -> None:
        self.parent = parent
        self.once = once

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if os.getpid() == self.parent or len(net.history) < 2:
            return
        if self.once is not None:
            try:
                self.once.touch(exist_ok=False)
            except FileExistsError:
                return
        os.kill(os.getpid(), signal.SIGKILL)
