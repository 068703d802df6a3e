"""Critics score two sets of vectors against each other: (A, P), (C, P) -> (A, C), larger is more alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphssl.functional._common import in_float32, unit
from graphssl.registry import CRITICS

__all__ = ["BilinearCritic", "CosineCritic", "DotCritic", "MLPCritic"]


@CRITICS.register("dot")
class DotCritic(nn.Module):
    """Inner products, :math:`s_{ac} = x_a^T y_c`."""

    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Scores, (A, P), (C, P) -> (A, C)."""
        return anchors @ candidates.T


@CRITICS.register("cosine")
class CosineCritic(nn.Module):
    """Cosines in [-1, 1]; a zero row has cosine 0 with everything, and zero gradient.

    Computed in float32 at least, also under autocast: a small temperature leaves no digits to spare.
    """

    @in_float32
    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Scores, (A, P), (C, P) -> (A, C)."""
        return unit(anchors, dim=1) @ unit(candidates, dim=1).T


@CRITICS.register("bilinear", learned=True)
class BilinearCritic(nn.Module):
    r"""A learned inner product, :math:`s_{ac} = x_a^T W y_c`.

    Parameters
    ----------
    dim_a, dim_c : int
        Dimensions of anchors and of candidates. W has shape (dim_a, dim_c) and starts as Glorot's uniform.

    References
    ----------
    .. [1] Velickovic et al. Deep Graph Infomax. 2019. arXiv:1809.10341, section 4.2 (without the
       sigmoid: estimators take logits).
    """

    def __init__(self, dim_a: int, dim_c: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim_a, dim_c))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W anew."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Scores, (A, dim_a), (C, dim_c) -> (A, C)."""
        if anchors.size(0) <= candidates.size(0):  # move the smaller side through W
            return (anchors @ self.weight) @ candidates.T
        return anchors @ (candidates @ self.weight.T).T


@CRITICS.register("mlp", learned=True)
class MLPCritic(nn.Module):
    r"""A small network on each pair, :math:`s_{ac} = w^T \mathrm{ReLU}(U x_a + V y_c + b) + b'`.

    The same as a two-layer network on the concatenation, with the first layer applied to each side once.
    Memory O(A C hidden).

    Parameters
    ----------
    dim_a, dim_c : int
        Dimensions of anchors and of candidates.
    hidden : int
        Width of the hidden layer.
    """

    def __init__(self, dim_a: int, dim_c: int, *, hidden: int = 128) -> None:
        super().__init__()
        self.anchor = nn.Linear(dim_a, hidden)
        self.candidate = nn.Linear(dim_c, hidden, bias=False)
        self.score = nn.Linear(hidden, 1)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in (self.anchor, self.candidate, self.score):
            layer.reset_parameters()

    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Scores, (A, dim_a), (C, dim_c) -> (A, C)."""
        hidden = torch.relu(self.anchor(anchors)[:, None] + self.candidate(candidates)[None])  # (A, C, hidden)
        return self.score(hidden).squeeze(-1)
