"""Files of parameters that a new net can predict from, and that run no code when they are read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skorch.history import History
from torch import Tensor

from ..training.accelerated import accelerator_of
from ..training.net import Net
from ..training.rollback import rollback
from .header import header_of, read_header, recall


class Saving(Net):
    """skorch's `save_params` and `load_params`; with safetensors, all that predictions need."""

    device: Any

    def save_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        use_safetensors: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save parameters; with safetensors in a file that a new net can predict from.

        These are the parameters of `module_`: outside of training epochs the averaged ones.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history : file-like object, str or None, default=None
            Where to write parameters of the module, states of optimizer and criterion, and the
            history. None is not written.
        use_safetensors : bool, default=False
            Whether to write files that can hold no code. Then that of f_params tells the classes
            or targets, number and names of columns, too, in its header, which other software
            passes over; it can hold no optimizer. With False files are torch's, as in skorch.
        **kwargs : dict
            Further modules, as ``f_mymodule``; ``f_module`` is f_params.

        Raises
        ------
        ValueError
            If safetensors cannot hold something, as an optimizer, or tensors that are sparse.

        See Also
        --------
        load_params : Reads the files.

        """
        files = {"f_optimizer": f_optimizer, "f_criterion": f_criterion, "f_history": f_history}
        files |= kwargs
        if f_params is None:
            f_params = files.pop("f_module", None)  # as skorch's checkpoints name it
        if not (use_safetensors and f_params and hasattr(self, "module_")) or "f_module" in files:
            super().save_params(f_params, use_safetensors=use_safetensors, **files)
            return
        header = header_of(self)
        if any(files.values()):
            super().save_params(use_safetensors=True, **files)
        accelerator = accelerator_of(self)
        if accelerator is None or accelerator.is_main_process:
            _write(f_params, self.module_.state_dict(), header)

    def load_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        checkpoint: Any = None,
        use_safetensors: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load what `save_params` wrote; with safetensors the net can predict then.

        A net that is not initialized is, once the file of f_params has told its sizes, so that
        neither `initialize` nor `fit` are needed. Its parameters are to be given as those of the
        net that was saved. A load that fails leaves the net as it was.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history : file-like object, str or None, default=None
            Where to read from. None is not read.
        checkpoint : skorch.callbacks.Checkpoint or None, default=None
            A checkpoint, whose files are read where none are named above.
        use_safetensors : bool, default=False
            Whether files are those of ``save_params(use_safetensors=True)``. A file of plain
            skorch has parameters alone: `classes` and `initialize` are needed for it.
        **kwargs : dict
            Further modules, as ``f_mymodule``; ``f_module`` is f_params.

        Returns
        -------
        self : object
            The net.

        Raises
        ------
        ValueError
            With safetensors: if a file is cut short, is of a newer format, or is of other classes,
            columns or shapes than this net has.

        """
        files = {"f_optimizer": f_optimizer, "f_criterion": f_criterion, "f_history": f_history}
        files |= kwargs
        if f_params is None:
            f_params = files.pop("f_module", None)
        accelerator = accelerator_of(self)
        if accelerator is not None:
            accelerator.wait_for_everyone()  # the first process may be writing yet
        with rollback(self, keep=bool(self.initialized_)):
            if not use_safetensors:
                super().load_params(f_params, checkpoint=checkpoint, **files)
                return self
            if checkpoint is not None and not f_params:
                f_params = self._file_in(checkpoint, f_history)
            if hasattr(f_params, "read"):
                f_params = io.BytesIO(f_params.read())  # it is read twice
            if f_params:
                self._recall(f_params)
            with _explained(f_params, *files.values()):
                super().load_params(f_params, checkpoint=checkpoint, use_safetensors=True, **files)
        return self

    def _file_in(self, checkpoint: Any, f_history: Any) -> Any:
        """File of a checkpoint, whose name may depend on the history."""
        if f_history is None and checkpoint.f_history is not None:
            self.history = History.from_file(checkpoint.f_history_)
        return checkpoint.get_formatted_files(self)["f_params"]

    def _recall(self, f_params: Any) -> None:
        """Take in what the header of a file says, and make the module where there is none."""
        try:
            if isinstance(f_params, io.BytesIO):
                found = read_header(f_params)
                f_params.seek(0)
            else:
                with Path(f_params).open("rb") as file:
                    found = read_header(file)
        except (ValueError, TypeError, AttributeError) as error:  # of json, and of what is in it
            raise _broken(f_params, error=error) from error
        if found is None:
            return
        try:
            recall(self, found)
        except (KeyError, TypeError, AttributeError) as error:
            raise _broken(f_params, error=error) from error
        if not self.initialized_:
            self._initialize_to_load()

    def _initialize_to_load(self) -> None:
        """Initialize; AccelerateMixin has set a device for the load that it takes none with."""
        device, accelerator = self.device, accelerator_of(self)
        if accelerator is not None and accelerator.device_placement:
            self.device = None
        self.initialize()
        self.device = device


def _write(file: Any, state: Mapping[str, Any], header: dict[str, str]) -> None:
    from safetensors.torch import save, save_file  # it is optional, as in skorch

    try:
        tensors = _apart(state)
        if isinstance(file, (str, os.PathLike)):
            save_file(tensors, file, metadata=header)
        else:
            file.write(save(tensors, metadata=header))
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Got a module whose state safetensors cannot hold ({error}), but expected dense "
            "tensors of ordinary types. Save it without use_safetensors."
        ) from error


def _apart(state: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors that share no memory and have no gaps, as safetensors wants them."""
    seen: set[int] = set()
    found: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Tensor) and not value.is_sparse:
            value = value.detach().contiguous()
            memory = value.untyped_storage().data_ptr()
            found[name] = value.clone() if memory in seen else value
            seen.add(memory)
        else:
            found[name] = value  # safetensors says what is wrong with it
    return found


@contextmanager
def _explained(*files: Any) -> Iterator[None]:
    """Say of files what is wrong with one of them, and what to do."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise _broken(*files, error=error) from error
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise ValueError(
            f"Got parameters that do not fit the net: {error} Expected those of a net that was "
            "made with the same module and the same module__* parameters. Set these."
        ) from error


def _broken(*files: Any, error: Exception) -> ValueError:
    names = [str(file) for file in files if isinstance(file, (str, os.PathLike))]
    return ValueError(
        f"Got {' and '.join(names) or 'a file'}, but no safetensors file, or one that was cut "
        f"short ({error!r}). Expected what save_params(..., use_safetensors=True) wrote. Take "
        "another, such as that of an earlier checkpoint."
    )
