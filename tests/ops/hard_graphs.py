"""Small graphs that have hurt somebody before."""

import torch

EMPTY = torch.empty(2, 0, dtype=torch.long)
GRAPHS = {
    "triangle-and-isolated": (torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]), 4),
    "directed-path": (torch.tensor([[0, 1, 2], [1, 2, 3]]), 4),
    "self-loops": (torch.tensor([[0, 0, 2, 1, 2], [0, 1, 2, 2, 0]]), 3),
    "duplicates": (torch.tensor([[0, 0, 0, 1, 2], [1, 1, 1, 0, 1]]), 3),
    "unsorted": (torch.tensor([[3, 0, 2, 1, 3, 0], [0, 3, 1, 2, 1, 2]]), 5),
    "no-edges": (EMPTY, 3),
    "one-node": (EMPTY, 1),
    "one-node-loop": (torch.tensor([[0], [0]]), 1),
}
