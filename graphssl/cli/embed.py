"""``graphssl embed``: a graph in, an ``.npz`` with ``embedding`` and ``ids`` out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphssl.cli.checks import check_device, check_encoders, check_method, resolve_recipe
from graphssl.cli.options import parse_settings
from graphssl.cli.output import print_json, print_table, progress_line
from graphssl.data import list_datasets, load_dataset, to_graphs
from graphssl.errors import ConfigurationError, StorageError, unknown_name
from graphssl.sources import atomic_write
from graphssl.training import fit

__all__ = ["embed_to_file"]

_FILES = (".csv", ".tsv", ".txt", ".npz")


def embed_to_file(
    method: str,
    source: str,
    *,
    out: Path,
    encoder: str | None,
    assignments: Sequence[str],
    recipe: str,
    max_steps: int | None,
    device: str,
    seed: int,
    as_json: bool,
) -> None:
    """Train a method on a data set or file and write the embedding; an existing file is replaced when all went well."""
    check_method(method)
    check_encoders([encoder] if encoder else [])
    check_device(device)
    options, training = parse_settings(method, assignments)
    chosen = resolve_recipe(recipe, [method])
    if out.suffix != ".npz":
        raise ConfigurationError(f"--out expects a file name ending in .npz, got {str(out)!r}")
    if out.is_dir():
        raise StorageError(f"cannot write {out}: it is a folder")
    dataset, graphs, ids = _read(source)
    fitted = fit(
        method, graphs, dataset=dataset, encoder=encoder, recipe=chosen, options=options, training=training,
        max_steps=max_steps, seed=seed, device=device, progress=sys.stderr.isatty(),
    )  # fmt: skip
    Z = fitted.embed()
    if ids is None or len(ids) != len(Z):
        ids = np.arange(len(Z))
    _save(out, Z, np.asarray(ids))
    progress_line(f"written: {out}")
    facts = {"out": str(out), "rows": len(Z), "columns": Z.shape[1], "steps": fitted.history.steps,
             "settings": fitted.settings.to_dict()}  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        print_table(
            ["file", "rows", "columns", "steps"], [[str(facts[k]) for k in ("out", "rows", "columns", "steps")]]
        )


def _read(source: str) -> tuple[str | None, Any, np.ndarray | None]:
    """Name of the data set if it is one, its graph or graphs, and the identifiers of the rows."""
    path = Path(source).expanduser()
    if source in list_datasets() and path.suffix not in _FILES:
        return source, load_dataset(source), None
    if path.suffix in _FILES or path.exists() or len(path.parts) > 1:
        inputs = to_graphs(path)
        return None, inputs.data, inputs.node_ids
    raise unknown_name("data set or file", source, list_datasets())


def _save(out: Path, Z: np.ndarray, ids: np.ndarray) -> None:
    if ids.dtype == object:  # npz holds no objects without pickle
        ids = ids.astype(str)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {out.parent}: {error.strerror or error}") from error
    with atomic_write(out) as temporary, open(temporary, "wb") as file:
        np.savez(file, embedding=Z.astype(np.float32), ids=ids)
