from collections.abc import Mapping, Sequence
from inspect import Parameter

import pytest

from graphssl.cli.options import parse_settings, parse_value
from graphssl.errors import ConfigurationError, UnknownOptionError


def parameter(annotation=Parameter.empty, default=Parameter.empty):
    return Parameter("x", Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        ("int", "3", 3),
        ("float", "1e-3", 1e-3),
        ("float", "2", 2.0),
        ("bool", "false", False),
        ("bool", "on", True),
        ("str", "gin", "gin"),
        ("str | None", "none", None),
        ("int | None", "None", None),
        ("int | None", "7", 7),
        ("float | Sequence[float]", "0.2,0.4", [0.2, 0.4]),
        ("float | Sequence[float]", "0.2", 0.2),
        ("Sequence[str]", "a, b", ["a", "b"]),
        ("Mapping[str, Any] | None", '{"heads": 4}', {"heads": 4}),
        ("str | nn.Module", "gat", "gat"),
        (float, "0.5", 0.5),
        (int | None, "none", None),
        (float | Sequence[float], "1,2", [1.0, 2.0]),
        (Mapping[str, int], '{"a": 1}', {"a": 1}),
    ],
)
def test_values_have_the_type_of_the_annotation(annotation, text, expected):
    value = parse_value("x", text, parameter(annotation))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(("default", "text", "expected"), [(0.1, "2", 2.0), (3, "4", 4), (True, "no", False)])
def test_without_annotation_the_default_decides(default, text, expected):
    value = parse_value("x", text, parameter(default=default))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [("int", "a"), ("int", "1.5"), ("float", "x"), ("bool", "maybe"), ("int", "none"), ("Mapping[str, Any]", "{no")],
)
def test_a_value_of_another_type_is_refused(annotation, text):
    with pytest.raises(ConfigurationError, match="--set x"):
        parse_value("x", text, parameter(annotation))


def test_options_and_training_are_sorted_apart():
    options, training = parse_settings("grace", ["hidden-channels=8", "lr=0.1", "drop_edges=0.1,0.2", "epochs=3"])
    assert options == {"hidden_channels": 8, "drop_edges": [0.1, 0.2]}
    assert training == {"lr": 0.1, "epochs": 3}


def test_mistakes_name_what_is_known():
    with pytest.raises(UnknownOptionError, match="did you mean 'temperature'"):
        parse_settings("grace", ["temprature=1"])
    with pytest.raises(ConfigurationError, match="key=value"):
        parse_settings("grace", ["temperature"])
