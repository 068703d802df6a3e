r"""GRACE's loss, forward and backward: the matrices of all pairs under autograd against ours, in every tier there is.

The dense form is what GRACE's authors do: exponentials of the similarities within a view and between the views, an N x
N matrix of each and for either direction, all kept for backward. Ours is
``graphssl.functional.two_view_info_nce_loss``. Standard normal rows of width 128 or as told, temperature 0.5; loss and
gradient of every variant are compared with the dense form's at a small N first. A variant that would not fit into the
memory free at the start is left out, and said so. "The products alone" are the multiplications that a float32 form
without N x N matrices cannot do without, by ``torch.mm``: the speed limit of this machine.

    python benchmarks/speed/contrast.py                                     # N = 2,708, 7,000 and 19,717
    python benchmarks/speed/contrast.py --n 169343 --repeats 1 --warmup 0 --threads 1,2 --name contrast_large
    python benchmarks/speed/contrast.py --n 19717 --width 256 --variants 'the products alone;cpp;cpp, high' \
        --name contrast_products
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from functools import partial

import measure
import torch
from torch import Tensor
from torch.nn import functional as F

from graphssl.functional import two_view_info_nce_loss

TEMPERATURE = 0.5
DENSE = "dense, autograd"
PRODUCTS = "the products alone"
TILE = 2048  # rows of their factors
PRECISIONS = ("high", "bfloat16")  # beside float32
DENSE_MATRICES = 8.5  # N x N float32 matrices alive at once in the dense form

Loss = Callable[[Tensor, Tensor], Tensor]


def dense_loss(z1: Tensor, z2: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """GRACE's loss from its N x N matrices."""
    z1, z2 = F.normalize(z1), F.normalize(z2)

    def one_way(a: Tensor, b: Tensor) -> Tensor:
        within = (a @ a.T / temperature).exp()  # (N, N)
        between = (a @ b.T / temperature).exp()  # (N, N)
        return -(between.diag() / (within.sum(1) + between.sum(1) - within.diag())).log()

    return ((one_way(z1, z2) + one_way(z2, z1)) / 2).mean()


def variants() -> dict[str, tuple[str, Loss]]:
    """Every variant that this checkout and machine have: the tier it runs in, and its loss."""
    found: dict[str, tuple[str, Loss]] = {DENSE: ("torch", dense_loss), PRODUCTS: ("torch", products)}
    for tier in measure.tiers("self_logsumexp"):
        found[tier] = tier, partial(two_view_info_nce_loss, temperature=TEMPERATURE)
        if tier == "cpp" and "precision" in inspect.signature(two_view_info_nce_loss).parameters:
            for precision in PRECISIONS:
                found[f"{tier}, {precision}"] = tier, partial(found[tier][1], precision=precision)
    return found


def products(z1: Tensor, z2: Tensor) -> Tensor:
    """Similarities of all pairs between the views and of every pair within one, forward and again backward, where each
    is also multiplied with the rows of both its ends."""
    a, b = z1.detach(), z2.detach()
    gradients = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(2):  # 2 N^2 pairs: N^2 between the views, N^2 / 2 within each
        for i in range(0, len(a), TILE):
            left = a[i : i + TILE]
            for j in range(0, len(b), TILE):
                right = b[j : j + TILE]
                left @ right.T
                similar = left @ right.T
                gradients[0][i : i + TILE].addmm_(similar, right)
                gradients[1][j : j + TILE].addmm_(similar.T, left)
    return gradients[0]


def fits(variant: str, nodes: int) -> bool:
    return variant != DENSE or DENSE_MATRICES * 4 * nodes**2 < measure.memory_available()


def views(nodes: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z1, z2 = torch.randn(2, nodes, width, generator=generator)
    return z1.requires_grad_(), z2.requires_grad_()


def work(variant: tuple[str, Loss], z1: Tensor, z2: Tensor) -> Callable[[], Tensor]:
    """Forward and backward in the variant's tier; gives the loss."""
    tier, loss = variant
    if loss is products:
        return partial(products, z1, z2)

    def run() -> Tensor:
        z1.grad = z2.grad = None
        value = loss(z1, z2)
        value.backward()
        return value.detach()

    return measure.in_tier(tier, run)


def check(every: dict[str, tuple[str, Loss]]) -> None:
    """Loss and gradient of every variant are the dense form's."""
    z1, z2 = views(300, 128)
    expected, gradient = work(every[DENSE], z1, z2)(), z1.grad
    for name, variant in every.items():
        if name == PRODUCTS:
            continue
        tolerance = 1e-2 if "bfloat16" in name else 1e-4
        torch.testing.assert_close(work(variant, z1, z2)(), expected, rtol=tolerance, atol=0)
        error = (z1.grad - gradient).norm() / gradient.norm()
        assert error < tolerance, f"{name}: gradient off by {error:.1e} of its norm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", default="2708,7000,19717", help="comma-separated numbers of rows")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--variants", help="semicolon-separated names; all by default")
    parser.add_argument("--threads", default="1", help="comma-separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--name", default="contrast", help="name of the results file; empty: none is written")
    parser.add_argument("--peak", nargs=2, metavar=("N", "VARIANT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    threads = [int(count) for count in args.threads.split(",")]
    torch.set_num_threads(threads[0])
    every = variants()
    if args.peak:  # in a process of its own
        measure.report_peak(work(every[args.peak[1]], *views(int(args.peak[0]), args.width)))
        return

    check(every)
    chosen = args.variants.split(";") if args.variants else list(every)
    rows = []
    for nodes in map(int, args.n.split(",")):
        for count in threads:
            torch.set_num_threads(count)
            present = [name for name in chosen if fits(name, nodes)]
            for name in set(chosen) - set(present):
                print(f"n={nodes}: {name!r} left out: it needs {DENSE_MATRICES * 4e-9 * nodes**2:.0f} GB")
            clock = "process" if count == 1 else "wall"  # CPU time of two threads says nothing about their gain
            samples = measure.interleave(
                {name: work(every[name], *views(nodes, args.width)) for name in present},
                repeats=args.repeats, warmup=args.warmup, clock=clock,
            )  # fmt: skip
            compared = measure.compare(
                samples, baseline=present[0], path="contrast", n=nodes, width=args.width, threads=count, clock=clock
            )
            for row in compared if count == threads[0] else []:
                argv = [
                    __file__,
                    "--threads",
                    str(count),
                    "--width",
                    str(args.width),
                    "--peak",
                    str(nodes),
                    row["variant"],
                ]
                row["bytes"] = measure.peak_memory(argv, threads=count)
                print(f"  {row['variant']:32s} peak {row['bytes'] / 1e6:.0f} MB", flush=True)
            rows += compared
    if args.name:
        measure.save(args.name, rows, command=measure.command())


if __name__ == "__main__":
    main()
