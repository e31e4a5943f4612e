"""Nets and loops of other packages, as they come; tests are skipped where a package is missing."""

from benchmarks.nets.torchvision_operators import let_torchvision_in

let_torchvision_in()
