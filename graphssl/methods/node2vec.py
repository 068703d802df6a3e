"""node2vec: DeepWalk on walks that lean towards where they came from, or away from it."""

from __future__ import annotations

from functools import partial
from typing import Any

from graphssl.method import Recipe, register
from graphssl.methods.deepwalk import DeepWalk, tables
from graphssl.samplers import WalkLoader


@register("node2vec", level="node", paper="arXiv:1607.00653", tags=("contrastive", "random-walk", "transductive"))
def node2vec(
    data: Any,
    *,
    out_channels: int = 128,
    walks_per_node: int = 10,
    walk_length: int = 80,
    window: int = 10,
    negatives: int = 5,
    p: float = 1.0,
    q: float = 1.0,
) -> DeepWalk:
    r"""node2vec: :class:`DeepWalk` on walks of second order.

    A walk at v that came from t moves on to x with odds

    .. math::
        w_{vx} \cdot \begin{cases} 1 / p & x = t \\ 1 & (t, x) \in E \\ 1 / q & \text{otherwise.} \end{cases}

    A low q leads outwards (homophily), a high q keeps the walk near its start (structural roles), a low p backtracks.
    With ``edge_weight`` in the graph, :math:`w` are these weights; otherwise 1.

    Notes
    -----
    Notes 2 to 4 of :class:`DeepWalk` hold here, too. A walk has ``walk_length`` moves; in the authors' code, as many
    nodes.

    References
    ----------
    .. [1] Grover, Leskovec. node2vec: Scalable Feature Learning for Networks. KDD 2016. Sections 3.1 and 3.2.
    """
    sampler = partial(
        WalkLoader, walk_length=walk_length, walks_per_node=walks_per_node, negatives=negatives, p=p, q=q,
        weight_attr="edge_weight",
    )  # fmt: skip
    return DeepWalk(*tables(data, out_channels), sampler=sampler, window=window)


node2vec.reads_features = DeepWalk.reads_features  # type: ignore[attr-defined]  # asked before there is a method


RECIPES = {
    "default": Recipe(training=dict(steps=1000, lr=1e-2)),
    "paper": Recipe(
        training=dict(epochs=1, lr=1e-2),
        source="section 4.3 of the paper: d = 128, r = 10, l = 80, k = 10, one epoch; p and q there are chosen on "
        "labels from 0.25, 0.5, 1, 2, 4; the rate is ours",
    ),
}
