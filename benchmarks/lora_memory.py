"""Peak memory of training low-rank adapters (LoRA) on a frozen net, over that of plain training.

The net has 100 million frozen parameters, in linear layers with random weights, and a million that
are trained. Each arm runs in a process of its own:

- ``plain``: a loop of PyTorch; ``skorch``: its NeuralNetClassifier, which trains the given net;
- ``loop``: `reweighted_backward` in a loop; ``fit``: L2RWClassifier, as it comes; ``partial_fit``:
  the same, and two more fits of it, which could fail and would be undone.

Peaks are of resident memory: of the whole process, and above what it has when all is imported.

Run ``python -m benchmarks.lora_memory`` (Linux); ``--nets bert`` takes one of transformers with
peft's adapters, where these are installed.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from benchmarks.nets.torchvision_operators import let_torchvision_in
from sklearn_l2rw import L2RWClassifier, reweighted_backward

BATCH, CLEAN, STEPS, LR = 32, 10, 4, 0.01
BOUND = 1.2  # of what the process holds at most, over plain; clean examples have activations, too


class LowRank(nn.Module):
    """A frozen linear layer, and a trained one of low rank beside it."""

    def __init__(self, width: int, rank: int = 8) -> None:
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, X: Tensor) -> Tensor:
        return X + 0.1 * torch.tanh(self.base(X) + self.up(self.down(X)))


def linear_net(width: int = 2048, depth: int = 24) -> tuple[nn.Module, Callable[[int], Any]]:
    """A net of linear layers, and what makes its inputs."""
    net = nn.Sequential(*(LowRank(width) for _ in range(depth)), nn.Linear(width, 2))
    return net, lambda n: torch.randn(n, width)


class LogitsOf(nn.Module):
    """For skorch, which takes tensors."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(input_ids=X).logits
        return logits


def bert_net(layers: int = 12, hidden: int = 768) -> tuple[nn.Module, Callable[[int], Any]]:
    """A net of transformers' with peft's adapters; 108 million parameters by default."""
    let_torchvision_in()
    peft, transformers = map(import_module, ("peft", "transformers"))
    config = transformers.BertConfig(
        num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden, num_labels=2,
    )  # fmt: skip
    base = transformers.BertForSequenceClassification(config)
    net = peft.get_peft_model(base, peft.LoraConfig(task_type="SEQ_CLS", r=8))
    return LogitsOf(net), lambda n: torch.randint(0, config.vocab_size, (n, 16))


NETS: dict[str, Callable[..., tuple[nn.Module, Callable[[int], Any]]]] = {
    "linear": linear_net,
    "bert": bert_net,
}


def resident(key: str) -> int:
    """Bytes of resident memory: VmRSS is now, VmHWM the most so far."""
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key)]
    return 1024 * int(line.split()[1])


def train_plainly(net: nn.Module, X: Tensor, y: Tensor, clean: Any, weighted: bool) -> None:
    """Loop of one's own."""
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], LR)
    loss = nn.CrossEntropyLoss(reduction="none")
    for step in range(STEPS):
        batch = X[step * BATCH :][:BATCH], y[step * BATCH :][:BATCH]
        optimizer.zero_grad()
        if weighted:
            reweighted_backward(net, loss, batch, clean)
        else:
            loss(net(batch[0]), batch[1]).mean().backward()
        optimizer.step()


def run_arm(name: str, net: nn.Module, X: Tensor, y: Tensor, clean: Any) -> None:
    """Train a net in the way of an arm."""
    settings: dict[str, Any] = {"max_epochs": 1, "batch_size": BATCH, "lr": LR, "verbose": 0}
    if name in ("plain", "loop"):
        train_plainly(net, X, y, clean, weighted=name == "loop")
    elif name == "skorch":
        criterion = nn.CrossEntropyLoss
        NeuralNetClassifier(net, criterion=criterion, train_split=None, **settings).fit(X, y)
    else:
        estimator = L2RWClassifier(net, clean_set=clean, **settings).fit(X, y)
        for _ in range(2 if name == "partial_fit" else 0):
            estimator.partial_fit(X, y)


ARMS = ("plain", "skorch", "loop", "fit", "partial_fit")


def measure(arm: str, net_name: str, **sizes: int) -> dict[str, Any]:
    """Peak memory of an arm in this process, and numbers of parameters."""
    torch.manual_seed(0)
    if net_name == "bert":
        bert_net(1, 64)  # imports
    before = resident("VmRSS")
    net, inputs = NETS[net_name](**sizes)
    X, y = inputs(STEPS * BATCH), torch.arange(STEPS * BATCH) % 2
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # begin anew: making the net has a peak, too
    run_arm(arm, net, X, y, (inputs(CLEAN), torch.arange(CLEAN) % 2))
    numbers = [(p.requires_grad, p.numel()) for p in net.parameters()]
    return {
        "peak": resident("VmHWM"),
        "above": resident("VmHWM") - before,
        "trained": sum(n for trained, n in numbers if trained),
        "frozen": sum(n for trained, n in numbers if not trained),
    }


def in_process(arm: str, net_name: str) -> dict[str, Any]:
    """Measure an arm in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.lora_memory", "--arm", arm, "--nets", net_name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(argv: list[str] | None = None) -> None:
    """Print a table; fail where an arm of ours takes much more than plain training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", choices=[*NETS], default=["linear"])
    parser.add_argument("--arm", choices=ARMS, help="measure one arm in this process")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.arm:
        print(json.dumps(measure(options.arm, options.nets[0])))
        return
    worst = 0.0
    for net_name in options.nets:
        found = {arm: in_process(arm, net_name) for arm in ARMS}
        plain = found["plain"]
        print(f"{net_name}: {plain['frozen']:,} parameters frozen, {plain['trained']:,} trained\n")
        print(
            "| arm | peak, MB | over plain | above imports, MB | over plain |\n" + "|---" * 5 + "|"
        )
        for arm, cost in found.items():
            ratio, above = cost["peak"] / plain["peak"], cost["above"] / plain["above"]
            print(
                f"| {arm} | {cost['peak'] / 1e6:.0f} | {ratio:.2f} | {cost['above'] / 1e6:.0f} "
                f"| {above:.2f} |"
            )
            worst = max(worst, ratio)
    if worst > BOUND:
        raise SystemExit(f"More than {BOUND} times the memory of plain training.")


if __name__ == "__main__":
    main()
