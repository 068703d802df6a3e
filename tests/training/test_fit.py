"""Recipes, overrides and the settings that are written down."""

import json

import pytest
from torch_geometric.nn import SAGEConv

from graphssl.errors import ConfigurationError, UnknownNameError, UnknownOptionError
from graphssl.testing.methods import example_graph
from graphssl.training import fit, resolve_settings


def test_the_recipe_of_the_data_set_is_used_and_none_forces_defaults() -> None:
    assert resolve_settings("grace", dataset="cora").options["temperature"] == 0.4
    assert resolve_settings("grace", dataset="cora").features == "row-normalized"
    assert resolve_settings("grace", dataset="unheard-of").recipe == "default"
    assert resolve_settings("grace", dataset="cora", recipe=None).options == {}
    assert resolve_settings("grace", dataset="citeseer", recipe="cora").recipe == "cora"


def test_a_recipe_for_the_protocol_goes_before_the_data_sets() -> None:
    assert resolve_settings("grace", dataset="cora", protocol="public").recipe == "cora:public"
    assert resolve_settings("grace", dataset="cora", protocol="random-10-90").recipe == "cora"


def test_overrides_win_and_the_hash_follows() -> None:
    base = resolve_settings("grace", dataset="cora")
    other = resolve_settings("grace", dataset="cora", options={"temperature": 0.7}, max_steps=5)
    assert other.options["temperature"] == 0.7
    assert other.training["max_steps"] == 5
    assert base.hash != other.hash
    assert base.hash == resolve_settings("grace", dataset="cora").hash
    assert json.loads(json.dumps(base.to_dict())) == base.to_dict()


def test_another_encoder_drops_the_recipes_encoder_options() -> None:
    settings = resolve_settings("cca-ssg", dataset="coauthor-cs", encoder="gcn")
    assert settings.options["encoder"] == "gcn"


def test_steps_replace_the_recipes_epochs() -> None:
    assert "epochs" not in resolve_settings("dgi", dataset="cora", training={"steps": 3}).training


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'grace'"):
        fit("gracee", example_graph())
    with pytest.raises(UnknownOptionError, match="did you mean 'temperature'"):
        fit("grace", example_graph(), options={"temprature": 0.4})
    with pytest.raises(UnknownNameError, match="did you mean 'cora'"):
        fit("grace", example_graph(), recipe="corra")


def test_a_graph_method_refuses_a_single_graph() -> None:
    with pytest.raises(ConfigurationError, match="needs a list of graphs"):
        fit("infograph", example_graph())


def test_any_pyg_module_is_an_encoder() -> None:
    class Network(SAGEConv):
        out_channels = 6

        def __init__(self) -> None:
            super().__init__(8, 6)

    fitted = fit("dgi", example_graph(), options={"encoder": Network()}, max_steps=2, device="cpu")
    assert fitted.embed().shape == (24, 6)
    assert "Network" in json.dumps(fitted.settings.to_dict())


@pytest.mark.parametrize("name", ["byol", "simclr", "barlow-twins"])
def test_methods_of_level_any_ask_for_their_parts(name) -> None:
    with pytest.raises(ValueError, match="needs the option"):
        fit(name, example_graph())
