"""Fits at bounded memory, to be run in a process of its own: ``python -m ... FOLDER``.

The limit is on RLIMIT_DATA, memory of the process's own: what is mapped from a file and only read
does not count, as it can be given up and read again.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset, get_worker_info

from sklearn_l2rw import L2RWClassifier, L2RWRegressor

N, WIDTH = 2048, 16384
BYTES = N * WIDTH * 4  # 128 MiB in single precision
BUDGET = BYTES // 2


class Few(nn.Module):
    """Logits by the first few columns."""

    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__()
        self.inner = nn.Linear(4, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.inner(X.flatten(1)[:, :4].float())
        return output


class Lazy(Dataset[Any]):
    """Items that are read when they are asked for."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> Any:
        return self.X[i], self.y[i]


class Stream(IterableDataset[Any]):
    """The same without numbers, shared out among workers."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for i in range(first, len(self.X), step):
            yield self.X[i], self.y[i]


def mapped(folder: Path, dtype: str, shape: tuple[int, ...] = (N, WIDTH)) -> Any:
    """Array in a file with holes, which takes no room on the disk."""
    path = folder / f"{dtype}_{len(shape)}.npy"
    X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    X.reshape(N, -1)[:, :4] = np.random.default_rng(0).normal(size=(N, 4))
    del X
    return np.load(path, mmap_mode="r")


def in_use() -> int:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmData" in x]
    return 1024 * int(line.split()[1])


@contextmanager
def limited() -> Iterator[None]:
    """Let the process have no more than the budget beside what it has."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (in_use() + BUDGET, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def net(**settings: Any) -> Any:
    settings = {"module": Few, "max_epochs": 1, "batch_size": 64, "verbose": 0, **settings}
    make = settings.pop("make", L2RWClassifier)
    return make(random_state=0, **settings)


def cases(folder: Path) -> dict[str, Callable[[], Any]]:
    """Fits, by name, of arrays that are larger than the budget."""
    X, wide = mapped(folder, "float32"), mapped(folder, "float64")
    images = mapped(folder, "float16", (N, 1, 128, 256))
    labels = np.array(["no", "yes"])[(np.asarray(X[:, 0]) > 0).astype(int)]
    mask, half = np.arange(N) < 16, np.arange(N) % 2.0
    clean = np.array(X[:16]), labels[:16]
    kept = torch.from_file(str(folder / "tensor"), shared=True, size=N * WIDTH).view(N, WIDTH)
    kept[:, :4] = torch.as_tensor(np.array(X[:, :4]))
    tensors = TensorDataset(kept, torch.as_tensor((np.asarray(X[:, 0]) > 0).astype(int)))
    of_tensors = kept[:16].clone(), tensors.tensors[1][:16]
    workers = {"iterator_train__num_workers": 2, "iterator_valid__num_workers": 2}
    named = {"clean_set": clean, "classes": ["no", "yes"], **workers}
    some = np.arange(10, N - 10).tolist()
    held = net(clean_set=clean, train_split=ValidSplit(5))
    pairs = {"a": X, "b": X}
    both = {"a": clean[0], "b": clean[0]}, labels[:16]
    return {
        "given": lambda: net(clean_set=clean).fit(X, labels),
        "double": lambda: net(clean_set=clean, class_weight="balanced").fit(wide, labels),
        "images": lambda: net(clean_set=(np.array(images[:16]), labels[:16])).fit(images, labels),
        "split_off": lambda: net(clean_set=20).fit(X, labels),
        "mask": lambda: net().fit(X, labels, clean_mask=mask),
        "weighted": lambda: net(clean_set=clean).fit(X, labels, sample_weight=half),
        "validated": lambda: held.fit(X, labels),
        "predicted": lambda: held.predict_proba(X),
        "scored": lambda: held.score(X, labels),
        "streamed": lambda: held.partial_fit(X, labels),
        "regressed": lambda: net(
            make=L2RWRegressor, module__n_outputs=1, clean_set=20
        ).fit(X, np.array(X[:, 1])),
        "several": lambda: net(module=Two, clean_set=both).fit(pairs, labels),
        "tensors": lambda: net(clean_set=of_tensors).fit(tensors),
        "subset": lambda: net(clean_set=of_tensors).fit(Subset(tensors, some)),
        "lazy": lambda: net(**named).fit(Lazy(X, labels)),
        "lazy_subset": lambda: net(**named).fit(Subset(Lazy(X, labels), some)),
        "stream": lambda: net(**named, iterator_train__shuffle=False).fit(Stream(X, labels)),
    }  # fmt: skip


class Two(Few):
    """Logits of two inputs."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(a) + super().forward(b)


def main() -> None:
    """Print a line for each fit: whether it had memory enough, and how many rows have weights."""
    torch.set_num_threads(1)
    X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    net(clean_set=(X[:10], X[:10, 0] > 0)).fit(X, X[:, 0] > 0)  # imports
    for name, do in cases(Path(sys.argv[1])).items():
        with limited():
            try:
                found = do()
            except (MemoryError, RuntimeError) as error:
                print(name, "failed", type(error).__name__, *str(error).splitlines()[:1])
                continue
        weights = getattr(found, "example_weights_", None)
        print(name, "done", -1 if weights is None else int(np.isfinite(weights).sum()), flush=True)


if __name__ == "__main__":
    main()
