"""Two views on which rounding shows, and the loss and gradient of the two-view InfoNCE on them."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.functional import two_view_info_nce_loss

# How far apart the rows of a cluster are, relative to their length; how far a thing's two views are; clusters.
KINDS = {
    "random": (1.0, 1.0, 0),
    "nearly solved": (1.0, 0.05, 0),
    "solved": (1.0, 0.001, 0),
    "clustered": (0.3, 0.3, 10),
    "tightly clustered": (0.001, 0.001, 10),
    "collapsed": (0.01, 0.01, 1),
    "wholly collapsed": (0.001, 0.001, 1),
}


def views(kind: str, n: int = 300, p: int = 64) -> tuple[Tensor, Tensor]:
    width, apart, clusters = KINDS[kind]
    generator = torch.Generator().manual_seed(0)

    def noise(rows: int) -> Tensor:
        return torch.randn(rows, p, generator=generator, dtype=torch.float64)

    if clusters == 0:
        z1 = noise(n)
        return z1, (z1 if apart < 1 else 0) + apart * noise(n)
    centre = noise(clusters)[torch.randint(clusters, (n,), generator=generator)]
    return centre + width * noise(n), centre + apart * noise(n)


def gradient(z1: Tensor, z2: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    z1, z2 = z1.clone().requires_grad_(), z2.clone().requires_grad_()
    loss = two_view_info_nce_loss(z1, z2, **options)
    return loss.detach().double(), torch.cat(torch.autograd.grad(loss, (z1, z2))).double()
