"""Commands on the pages: all of them parse, name things that exist, and those on built-in data run."""

import re
import shlex

import pytest
import typer
from pages_of_docs import DOCS, PAGES, blocks, page_name
from typer.testing import CliRunner

from graphssl import list_datasets, list_methods
from graphssl.cli import app
from graphssl.cli.options import parse_settings
from graphssl.registry import ENCODERS, PROTOCOLS

COMMANDS = typer.main.get_command(app).commands
BUILT_IN = {"digits-knn", "digits-graphs", "karate", "sbm"}


def commands_of(path):
    """(line, {variable: value}, words) for each ``graphssl`` command."""
    for block in blocks(path, "bash") + blocks(path, "console") + blocks(path, "sh"):
        text = block.text.replace("\\\n", "  ")
        for line in text.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            settings = {}
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                name, _, value = words.pop(0).partition("=")
                settings[name] = value
            if words and words[0].endswith("graphssl"):
                yield line, settings, words[1:]


def parsed(words):
    """Arguments and options of a command, by the command's own parameters; a name that does not exist fails."""
    command = COMMANDS[words[0]]
    options = {flag: parameter for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    given, arguments, rest = {}, [], list(words[1:])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            arguments.append(word)
            continue
        flag, equals, value = word.partition("=")
        parameter = options[flag]
        if not parameter.is_flag:
            value = value if equals else rest.pop(0)
        given.setdefault(parameter.name, []).append(value)
    assert len(arguments) == len([p for p in command.params if p.param_type_name == "argument" and p.required])
    return arguments, given


def names(text):
    return [name for name in text.split(",") if name]


EVERY = [(path, *found) for path in PAGES for found in commands_of(path)]


@pytest.mark.parametrize(
    ("path", "line", "settings", "words"), EVERY, ids=[f"{page_name(p)}: {c}" for p, c, *_ in EVERY]
)
def test_a_command_names_what_exists(path, line, settings, words):
    arguments, given = parsed(words)
    methods = [arguments[0]] if words[0] in ("run", "embed") else names("".join(given.get("methods", [])))
    if "GRAPHSSL_PLUGINS" in settings:
        methods = [name for name in methods if name in list_methods()]
    assert set(methods) <= set(list_methods())
    datasets = [arguments[1]] if words[0] == "run" else names("".join(given.get("datasets", [])))
    assert set(datasets) <= set(list_datasets())
    assert set(given.get("protocol", [])) <= set(PROTOCOLS.names())
    assert set(names(",".join(given.get("encoders", []) + given.get("encoder", [])))) <= set(ENCODERS.names())
    for method in methods:
        parse_settings(method, given.get("set_", []))


def test_every_method_of_the_command_line_has_a_command():
    shown = {words[1] for path, _, _, words in EVERY if path.parent.name == "methods" and words[0] == "run"}
    assert shown == {name for name in list_methods() if name not in list_methods(level="any")}


def test_the_commands_of_start_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    (tmp_path / "friends.csv").write_text("source,target,weight\nann,bob,1\nbob,cleo,2\ncleo,ann,1\n")
    ran = []
    for line, _, words in commands_of(DOCS / "start.md"):
        _, given = parsed(words)
        asked = set(words[2:3]) | set(names("".join(given.get("datasets", []))))
        if words[0] in ("run", "compare") and not asked & BUILT_IN:
            continue  # needs a download
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (line, result.stderr)
        ran.append(words[0])
    assert set(ran) == set(COMMANDS)
    assert (tmp_path / "demo" / "report.html").is_file()
    assert (tmp_path / "friends.npz").is_file()
