"""``graphssl doctor``: what is installed and used, and what looks wrong."""

from __future__ import annotations

import os
import platform
from importlib import metadata, util
from typing import Any

from graphssl.cli.output import print_json, print_table

__all__ = ["diagnose", "show_doctor"]

_REQUIRED = (
    "torch",
    "torch-geometric",
    "networkx",
    "scikit-learn",
    "numpy",
    "scipy",
    "safetensors",
    "pooch",
    "typer",
    "rich",
)
_EXTRAS = {"matplotlib": "plot", "openTSNE": "plot", "ogb": "ogb"}


def diagnose() -> dict[str, Any]:
    """Facts by name, and under ``warnings`` what should be looked at."""
    import torch

    import graphssl
    from graphssl.ops import backend, native
    from graphssl.sources import home, mirror, offline

    warnings = []
    facts: dict[str, Any] = {"graphssl": graphssl.__version__, "python": platform.python_version()}
    facts |= {name: _version(name) or "missing" for name in _REQUIRED}
    cuda = torch.cuda.is_available()
    facts["device"] = torch.cuda.get_device_name() if cuda else "cpu"
    facts["threads"] = torch.get_num_threads()
    facts["cache folder"] = str(home())
    try:
        facts["mirror"] = str(mirror() or "none")
    except graphssl.GraphSSLError as error:
        facts["mirror"] = os.environ.get("GRAPHSSL_MIRROR", "")
        warnings.append(str(error))
    facts["offline"] = offline()
    for name, extra in _EXTRAS.items():
        facts[name] = _version(name) or f"not installed (extra {extra!r})"
    # looked for, not imported: a torch-scatter built for another torch fails at import
    facts["torch-scatter"] = _version("torch-scatter") or "not installed (optional, never required)"
    facts["C++ kernels"] = native.why_missing() or f"for {native.instruction_set()}"
    facts["tiers"] = {f"{row['op']} on {row['device']}": f"{row['tier']} ({row['reason']})" for row in backend.report()}
    facts["plugins"] = _plugins(warnings)
    if _version("graphssl") is not None:
        warnings.append(
            "two distributions own the import name graphssl: graphssl-kit (this one) and another project called "
            "graphssl; uninstall one: files of both may be mixed"
        )
    if _version("graphssl-kit") is None:
        warnings.append("graphssl-kit is not installed: the package is used from its source folder")
    broken = [name for name in _REQUIRED if facts[name] == "missing"]
    if broken:
        warnings.append(f"required packages are missing: {', '.join(broken)}")
    return {**facts, "warnings": warnings}


def show_doctor(*, as_json: bool) -> None:
    """Print the facts and warnings."""
    facts = diagnose()
    if as_json:
        print_json(facts)
        return
    warnings, tiers = facts.pop("warnings"), facts.pop("tiers")
    print_table(["", ""], [[name, str(value)] for name, value in facts.items()])
    print_table(["op", "tier"], [[name, tier] for name, tier in tiers.items()])
    print_table(["warnings"], [[text] for text in warnings or ["none"]])


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _plugins(warnings: list[str]) -> str:
    found = [plugin.name for plugin in metadata.entry_points(group="graphssl.plugins")]
    for name in filter(None, (part.strip() for part in os.environ.get("GRAPHSSL_PLUGINS", "").split(","))):
        there = os.path.isfile(os.path.expanduser(name)) if name.endswith(".py") else _importable(name)
        if not there:
            warnings.append(f"GRAPHSSL_PLUGINS names {name!r}, which does not exist")
        found.append(name)
    return ", ".join(found) or "none"


def _importable(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
