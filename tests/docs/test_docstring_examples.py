"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import graphssl


def modules_with_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for found in pkgutil.walk_packages(graphssl.__path__, "graphssl."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            if any(test.examples for test in finder.find(module)):
                yield found.name


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed
