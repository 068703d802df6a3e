"""Every registered method of level node or graph passes the public contract suite, on every encoder of its level."""

import pytest

import graphssl
from graphssl.method import method_options
from graphssl.testing import check_method

ENCODERS = ["gcn", "gin", "sage", "gat", "mlp"]
METHODS = graphssl.list_methods(level="node") + graphssl.list_methods(level="graph")


WITH_ENCODER = [name for name in METHODS if "encoder" in method_options(name)]


def narrow(name: str) -> dict[str, int]:
    """Width 8, by whatever option the method has for it."""
    return {"hidden_channels" if "hidden_channels" in method_options(name) else "out_channels": 8}


@pytest.mark.parametrize("name", METHODS)
def test_contract(name: str) -> None:
    check_method(name, **narrow(name))


@pytest.mark.parametrize("name", WITH_ENCODER)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_contract_on_every_encoder(name: str, encoder: str) -> None:
    check_method(name, encoder=encoder, **narrow(name))


def test_every_method_names_its_paper_and_its_recipes_name_their_sources() -> None:
    for entry in graphssl.registry.METHODS:
        assert entry.info["paper"], entry.name
        recipes = graphssl.method.method_recipes(entry.name)
        assert "default" in recipes, entry.name
        for dataset, recipe in recipes.items():
            assert dataset == "default" or recipe.source, f"{entry.name}: recipe {dataset} has no source"
            name, _, protocol = dataset.partition(":")
            known = ("default", "paper", "gcc-small", *graphssl.list_datasets())
            assert name in known, f"{entry.name}: no data set {name}"
            assert not protocol or protocol in graphssl.registry.PROTOCOLS, f"{entry.name}: no protocol {protocol}"
            assert not set(recipe.options) - set(graphssl.method.method_options(entry.name)), (entry.name, dataset)
