"""Two processes with a gloo group, for what is computed by several."""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed as dist
from torch import multiprocessing as mp

N = 2
_DEADLOCK = 120  # seconds; nothing here takes a tenth of it
_PRELOADED = ["sklearn_l2rw", "torch._dynamo", "tests.several"]  # what DDP imports when it is made


def _run(function: Callable[..., Any], folder: Path, rank: int, arguments: Any) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": N,
        "LOCAL_WORLD_SIZE": N,
        "OMP_NUM_THREADS": 1,
    }
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ["ACCELERATE_USE_CPU"] = "true"
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="1")  # asked for, and not used
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=N,
        timeout=timedelta(seconds=_DEADLOCK),
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = function(rank, *arguments)
        (folder / f"{rank}.pkl").write_bytes(pickle.dumps(found))
        if dist.is_initialized():
            dist.barrier()
    except BaseException:
        (folder / f"{rank}.txt").write_text(traceback.format_exc())
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def in_two(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``function(rank, *arguments)`` returns in each of two processes that are a group."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with TemporaryDirectory() as name:
        folder = Path(name)
        processes = [
            context.Process(target=_run, args=(function, folder, rank, arguments))
            for rank in range(N)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(_DEADLOCK)
        for process in processes:
            process.kill()
        texts = [path.read_text() for path in sorted(folder.glob("*.txt"))]
        assert not texts, "\n".join(texts)
        assert [process.exitcode for process in processes] == [0] * N
        return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(N)]


@contextmanager
def error_of() -> Iterator[list[str]]:
    """Text of the error that the block raises, which is to be one."""
    texts: list[str] = []
    try:
        yield texts
    except Exception as error:
        texts.append(f"{type(error).__name__}: {error}")
    else:
        texts.append("no error")
