"""What both libraries are given. The numbers are those of the peer's own published benchmark, steps aside.

Encoder: two GCN layers of width 256, batch normalisation and PReLU after each (`graph-barlow-twins` leaves both out
after the last layer, as its paper does). AdamW 5e-4, weight decay 1e-5, no clipping, constant rate. Both views of a
graph: half of the edges dropped, a fifth of the feature columns masked. Features as distributed. One thread.
"""

from __future__ import annotations

WIDTH, LAYERS = 256, 2
LR, WEIGHT_DECAY = 5e-4, 1e-5
DROP_EDGES, MASK_FEATURES = 0.5, 0.2
PROJECTION, TEMPERATURE = 128, 0.5  # GraphCL
MOMENTUM = 0.99  # BGRL; rises to 1 along a half cosine

METHODS = ("dgi", "dgi-no-norm", "graphcl", "bgrl", "barlow-twins")
DATASETS = ("cora", "citeseer", "pubmed")
SEEDS = 3
WARM = 3  # first steps left out of the times


def norm(method: str) -> str | None:
    """Batch normalisation but for ``dgi-no-norm``: DGI's paper has none."""
    return None if method == "dgi-no-norm" else "batch"


def budget(method: str, dataset: str) -> tuple[int, int]:
    """(steps, seeds). Full-batch contrast of 2 x 19,717 nodes takes half a minute a step on one core: few of them."""
    if (method, dataset) == ("graphcl", "pubmed"):
        return 10, 1
    return (100 if dataset == "pubmed" else 200), SEEDS
