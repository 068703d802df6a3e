"""Fill the generated parts of ``methods/*.md`` and ``methods/index.md``: ``python docs/build_methods.py``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pages import DOCS, code, replace_part, table, write

from graphssl.bench.published import published_figures
from graphssl.method import method_options, method_recipes
from graphssl.registry import METHODS, Entry

PAGES = DOCS / "methods"

MEANING = {
    "activation": "after each layer: `relu`, `prelu`, `elu`, `rrelu`, ...",
    "augment_both": "augment both sides; `False` contrasts each graph itself with one augmented view",
    "augmentations": "those to draw from, uniformly, for each batch and view",
    "centrality": "`degree`, `eigenvector` or `pagerank`",
    "degree_channels": "width of the degree embedding",
    "decorrelation": "weight of the decorrelation, λ",
    "drop_edges": "probability of dropping an edge; one number, or one for each view",
    "encoder": "`gcn`, `gin`, `sage`, `gat`, `mlp`, or any PyG module",
    "encoder_options": "arguments of `build_encoder`, before those above: `dropout`, `skip`, `jumping`, `options`, ...",
    "hidden_channels": "width of all layers but the last",
    "dropout": "of the pooled code, in training",
    "hops": "steps of propagation added to the embedding, n; 0 adds none",
    "intra": "other examples of the same view are negatives too",
    "mask_features": "probability of zeroing a feature column; one number, or one for each view",
    "max_degree": "degrees above this share a row of the degree embedding",
    "max_probability": "largest probability of dropping or masking, $p_\\tau$",
    "momentum": "first value of the target's momentum m",
    "negatives": "nodes drawn against each place of a walk, K",
    "norm": "normalisation of the layers; `None` leaves it to the encoder",
    "num_layers": "layers of the encoder",
    "off_diagonal": "weight of the off-diagonal terms, λ; `None` is one over the width",
    "out_channels": "width of the last layer, D; `None` is `hidden_channels`",
    "predictor_channels": "hidden width of the predictor",
    "q": "in-out parameter: a walk leaves the neighbourhood it came from with odds 1 / q",
    "positional_channels": "how many eigenvectors",
    "projector_channels": "hidden width of the projector; `None` is D",
    "queue_size": "codes kept as negatives, K; read with a momentum only",
    "ratio": "part of the nodes, edges or feature rows that an augmentation changes",
    "readout": "`sum`, `mean`, `max` or `attention`",
    "reinitialize_target": "start the target from weights of its own instead of a copy",
    "restart_prob": "probability of going back to the seed before a move",
    "subgraph_ratio": "part of the nodes that the subgraph augmentation keeps",
    "temperature": "τ",
    "precision": "how negatives are multiplied: float32, high or bfloat16",
    "num_anchors": "how many nodes, drawn at each step, are compared with all; `None`: all of them",
    "p": "return parameter: a walk goes back with odds 1 / p",
    "views": "walks whose codes are averaged into an embedding",
    "walk_length": "moves of a walk",
    "walks_per_node": "walks from each node in an epoch",
    "window": "largest distance on a walk of a node and its context, w",
    "view1": "a callable: batch to batch",
    "view2": "a callable: batch to batch",
}
OWN = {
    ("byol", "encoder"): "a module with `out_channels`",
    ("byol", "projector_channels"): "width of the projection; `None` leaves the projector out",
    ("byol", "predictor_channels"): "hidden width of projector and predictor",
    ("simclr", "encoder"): "a module with `out_channels`",
    ("simclr", "projector_channels"): "width of the projection; `None` is D",
    ("barlow-twins", "encoder"): "a module with `out_channels`",
    ("barlow-twins", "projector_channels"): "width of the projector's layers; `None` leaves it out",
    ("deepwalk", "out_channels"): "width of the table, D",
    ("node2vec", "out_channels"): "width of the table, D",
    ("gcc", "momentum"): "m of the encoder of keys; `None`: one encoder for both, without a queue (E2E)",
    (
        "gcc",
        "encoder_options",
    ): "arguments of `build_encoder` that go before those above, but `jumping`: `skip`, `options`, ...",
    ("gcc", "out_channels"): "D; `None` is `hidden_channels`",
    ("gcc", "hidden_channels"): "width of all layers",
    ("ggd", "drop_edges"): "probability of dropping an edge in the one view there is",
    ("ggd", "mask_features"): "probability of zeroing a feature column in the one view there is",
}


def build(page: str, name: str) -> str:
    """A method's page with its generated parts made anew."""
    entry = METHODS.get(name)
    parts = {"facts": facts, "options": options, "recipes": recipes, "published": published}
    for part, make in parts.items():
        page = replace_part(page, part, make(entry))
    return page


def build_index(page: str) -> str:
    """The list of methods."""
    rows = [
        [f"[{e.name}]({e.name}.md)", e.info["level"], ", ".join(e.info["tags"]), _paper(e), _recipe_names(e)]
        for e in METHODS
    ]
    return replace_part(page, "list", table(["method", "level", "tags", "paper", "recipes for"], rows))


def facts(entry: Entry) -> str:
    """Level, tags, paper and file."""
    file = Path(entry.module.__file__ or "").name
    return (
        f"Level: {entry.info['level']}. Tags: {', '.join(entry.info['tags'])}. Paper: {_paper(entry)}. "
        f"Code: [graphssl/methods/{file}](../../graphssl/methods/{file})."
    )


def options(entry: Entry) -> str:
    """The signature of ``from_options`` as a table."""
    rows = []
    for name, parameter in method_options(entry.name).items():
        required = parameter.default is inspect.Parameter.empty
        rows.append([f"`{name}`", "required" if required else code(parameter.default), meaning(entry.name, name)])
    return table(["option", "default", "meaning"], rows)


def meaning(method: str, option: str) -> str:
    """What an option is; unknown ones stop the build."""
    text = OWN.get((method, option)) or MEANING.get(option)
    if text is None:
        raise SystemExit(f"say in MEANING what the option {option!r} of {method!r} is")
    return text


def recipes(entry: Entry) -> str:
    """One row a data set: what differs from the defaults, and how it is trained."""
    found = method_recipes(entry.name)
    order = sorted(found, key=lambda name: (name != "default", name))
    rows = [
        [
            name, _numbers(found[name].options), _numbers(found[name].training), f"`{found[name].features}`",
            found[name].source or "ours",
        ]
        for name in order
    ]  # fmt: skip
    return table(["recipe", "options", "training", "features", "source"], rows)


def published(entry: Entry) -> str:
    """Figures others published for this method, in percent."""
    rows = [
        [
            f.protocol, f.dataset, f.metric,
            f"{100 * f.mean:.2f}" + (f" ± {100 * f.std:.2f}" if f.std is not None else ""), f.source_kind, f.source,
        ]
        for f in published_figures()
        if f.method == entry.name
    ]  # fmt: skip
    if not rows:
        return "No figure on graphs is listed for it."
    return table(["protocol", "data set", "metric", "percent", "kind", "source"], rows)


def _paper(entry: Entry) -> str:
    paper = entry.info["paper"]
    identifier = paper.removeprefix("arXiv:")
    return f"[{paper}](https://arxiv.org/abs/{identifier})" if identifier != paper else paper


def _recipe_names(entry: Entry) -> str:
    names = sorted(name for name in method_recipes(entry.name) if name != "default")
    return ", ".join(names) or "(defaults only)"


def _numbers(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}={_plain(value)}`" for key, value in mapping.items()) or "defaults"


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(_plain(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Write what changed."""
    for entry in METHODS:
        path = PAGES / f"{entry.name}.md"
        if not path.exists():
            raise SystemExit(f"{path} is missing: copy another method's page and change what is written by hand")
        write(path, build(path.read_text(encoding="utf-8"), entry.name))
    index = PAGES / "index.md"
    write(index, build_index(index.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
