"""Nets as they come from timm, transformers and peft, tiny and with random weights."""

from benchmarks.nets.torchvision_operators import let_torchvision_in

let_torchvision_in()
