"""Open English WordNet as one graph: meanings, joined by typed relations, told apart by topic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data

from graphssl.data._compact import bag_of_words, integers
from graphssl.data._text import read_npz
from graphssl.sources import fetch

__all__ = ["read_wordnet"]

_KEYS = ("edges", "edge_type", "edge_types", "feat_indptr", "feat_indices", "num_features", "y", "split")
_SPLITS = ("train_mask", "val_mask", "test_mask")


def read_wordnet(name: str = "open_english_wordnet", *, root: str | Path | None = None) -> Data:
    """The directed graph of ``wordnet_graph/NAME.npz``.

    Parameters
    ----------
    name : str
        The file's name.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F) float32, 1 where one of the 1,000 commonest gloss words occurs; ``edge_index`` (2, E) directed as
        listed, sorted; ``edge_type`` (E,) the relation, a position in the file's ``edge_types``; ``y`` (N,) the
        lexicographer file; three masks (N,). Two nodes joined by two relations have two edges; an edge listed twice
        with one relation is kept once.

    Raises
    ------
    DownloadError
        If the file is nowhere: no address of this form is known.
    CorruptFileError
        If the file is damaged or its arrays do not fit together.

    Notes
    -----
    ``x`` is dense, as in all data sets here: 430 MB for 107,525 x 1,000. Relation types nearly give away the classes
    of adjectives and adverbs; those of nouns and verbs are the hard ones. The split (60/20/20 in each class) and the
    choice of features belong to the file and to no publication.

    References
    ----------
    .. [1] McCrae et al. English WordNet 2020. Global WordNet Conference 2021.
    .. [2] Fellbaum (editor). WordNet: An Electronic Lexical Database. MIT Press 1998.
    """
    path = fetch(f"wordnet_graph/{name}.npz", [], None, root=root)
    file = read_npz(path, _KEYS)
    y = integers(file, "y", path, (None,))
    count = y.size
    edges = integers(file, "edges", path, (None, 2), below=count)
    kinds = file["edge_types"].size
    kind = integers(file, "edge_type", path, (len(edges),), below=kinds)
    split = integers(file, "split", path, (count,), below=len(_SPLITS))
    keys = np.unique((edges @ [count, 1]) * kinds + kind)  # by source, target and relation
    pairs, kind = np.divmod(keys, kinds)
    data = Data(
        x=bag_of_words(file, count, path),
        edge_index=torch.from_numpy(np.stack([pairs // count, pairs % count])),
        y=torch.from_numpy(y),
        edge_type=torch.from_numpy(kind),
    )
    for i, mask in enumerate(_SPLITS):
        data[mask] = torch.from_numpy(split == i)
    return data
