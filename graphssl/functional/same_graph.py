"""The Jensen-Shannon losses of nodes against graphs, without a matrix of all scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphssl.errors import ConfigurationError
from graphssl.functional._common import in_float32

__all__ = ["node_summary_jsd_loss", "same_graph_jsd_loss"]

_BLOCK_SCORES = 2**20


@in_float32
def same_graph_jsd_loss(nodes: Tensor, graphs: Tensor, graph_of_node: Tensor) -> Tensor:
    r"""Tell the nodes of a graph from those of others, by inner product, in memory O((N + G) P).

    .. math::
        L = \frac{1}{N} \sum_{i \in G_j} \mathrm{sp}(-h_i^\top g_j)
            + \frac{1}{N (G - 1)} \sum_{i \notin G_j} \mathrm{sp}(h_i^\top g_j), \qquad \mathrm{sp}(x) = \log(1 + e^x)

    Equal, in value and gradient, to :func:`jsd_loss` of ``nodes @ graphs.T`` with ``same_graph(graph_of_node, G)``.

    Parameters
    ----------
    nodes : Tensor, shape (N, P)
    graphs : Tensor, shape (G, P)
    graph_of_node : Tensor of long, shape (N,)
        The row of ``graphs`` that each node belongs to.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised. Differentiable once.

    Raises
    ------
    ConfigurationError
        If the shapes do not fit, there are no nodes, or fewer than two graphs.

    Notes
    -----
    Scores are computed once, in blocks: the gradient is made with the value.

    References
    ----------
    .. [1] Sun, Hoffmann, Verma, Tang. InfoGraph. 2020. arXiv:1908.01000, equations 4 and 5.
    """
    _check("nodes", nodes, graphs, graph_of_node)
    if graphs.size(0) < 2:
        raise ConfigurationError("a batch of one graph has no other graph to be told from: use a larger batch")
    loss: Tensor = _SameGraphJSD.apply(nodes, graphs, graph_of_node)
    return loss


@in_float32
def node_summary_jsd_loss(real: Tensor, corrupt: Tensor, summary: Tensor, graph_of_node: Tensor) -> Tensor:
    r"""Tell nodes from their corrupted copies by their own graph's summary, in memory O(N P).

    .. math::
        L = \frac{1}{N} \sum_i \mathrm{sp}(-h_i^\top s_{g(i)}) + \mathrm{sp}(\tilde h_i^\top s_{g(i)}),
        \qquad \mathrm{sp}(x) = \log(1 + e^x)

    Equal, in value and gradient, to :func:`jsd_loss` of ``summary @ torch.cat([real, corrupt]).T`` with
    ``real_versus_corrupt(graph_of_node, G)``, and to twice :func:`bce_loss`; nodes of other graphs are never scored.

    Parameters
    ----------
    real, corrupt : Tensor, shape (N, P)
    summary : Tensor, shape (G, P)
        For a bilinear score, multiplied by its weight: ``summary @ weight``.
    graph_of_node : Tensor of long, shape (N,)
        The row of ``summary`` that each node belongs to.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised.

    Raises
    ------
    ConfigurationError
        If the shapes do not fit, or there are no nodes.

    References
    ----------
    .. [1] Velickovic, Fedus, Hamilton, Lio, Bengio, Hjelm. Deep Graph Infomax. 2019. arXiv:1809.10341,
       equation 1.
    """
    _check("real", real, summary, graph_of_node)
    _check("corrupt", corrupt, summary, graph_of_node)
    own = summary.index_select(0, graph_of_node)  # (N, P)
    return -logsigmoid((real * own).sum(dim=1)).mean() - logsigmoid(-(corrupt * own).sum(dim=1)).mean()


def _check(name: str, nodes: Tensor, graphs: Tensor, graph_of_node: Tensor) -> None:
    if nodes.dim() != 2 or graphs.dim() != 2 or nodes.size(1) != graphs.size(1) or nodes.dtype != graphs.dtype:
        raise ConfigurationError(
            f"{name} and graphs must be matrices of one width and dtype, got {tuple(nodes.shape)} {nodes.dtype} and "
            f"{tuple(graphs.shape)} {graphs.dtype}"
        )
    if nodes.size(0) == 0 or graph_of_node.shape != nodes.shape[:1] or graph_of_node.dtype != torch.long:
        raise ConfigurationError(
            f"graph_of_node must be a long tensor with one entry for each of at least one row of {name}, got "
            f"{graph_of_node.dtype} of shape {tuple(graph_of_node.shape)} for {nodes.size(0)} rows"
        )


class _SameGraphJSD(torch.autograd.Function):
    """Nodes (N, P), graphs (G, P) and each node's graph (N,) to the loss, ()."""

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, graphs: Tensor, graph_of_node: Tensor) -> Tensor:
        count, others = nodes.size(0), nodes.size(0) * (graphs.size(0) - 1)
        step = max(1, _BLOCK_SCORES // graphs.size(0))
        wanted = any(ctx.needs_input_grad)
        of_nodes, of_graphs = torch.empty_like(nodes), torch.zeros_like(graphs)
        loss = nodes.new_zeros(())
        for h, own, out in zip(*(x.split(step) for x in (nodes, graph_of_node, of_nodes)), strict=True):
            scores = h @ graphs.T  # (B, G)
            positive = scores.gather(1, own[:, None])  # (B, 1)
            scores.scatter_(1, own[:, None], -torch.inf)
            loss += -logsigmoid(positive).sum() / count - logsigmoid(-scores).sum() / others
            if wanted:
                slope = scores.sigmoid_().div_(others).scatter_(1, own[:, None], -torch.sigmoid(-positive) / count)
                torch.mm(slope, graphs, out=out)
                of_graphs.addmm_(slope.T, h)
        ctx.save_for_backward(of_nodes, of_graphs)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        # once_differentiable lets create_graph=True pass, and drops the second derivative, while grad is a constant.
        if torch.is_grad_enabled():
            raise ConfigurationError("same_graph_jsd_loss is differentiable once: use jsd_loss for second derivatives")
        of_nodes, of_graphs = ctx.saved_tensors
        return of_nodes * grad, of_graphs * grad, None
