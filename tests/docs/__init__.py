"""What the site says, held to what is there."""

from benchmarks.nets.torchvision_operators import let_torchvision_in

let_torchvision_in()  # for pages that show nets of timm
