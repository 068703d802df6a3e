"""The commands and their options; what each does stands in a file of its own."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from graphssl.cli.errors import CommandGroup

__all__ = ["app", "main"]

app = typer.Typer(
    cls=CommandGroup,
    name="graphssl",
    help="Self-supervised learning on graphs: embed, evaluate, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Protocol = Annotated[str | None, typer.Option(help="Protocol; by default the data set's.")]
Encoder = Annotated[str | None, typer.Option(help="Encoder; by default the recipe's.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the method or of the training; may be repeated."),
]
RecipeName = Annotated[
    str,
    typer.Option("--recipe", help="auto: the data set's recipe, else defaults; none: defaults; or a name."),
]
MaxSteps = Annotated[
    int | None,
    typer.Option("--max-steps", min=0, help="Upper bound on training steps; 0 leaves the encoder untrained."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds; each trains the encoder anew.")]
MaybeOut = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the results; by default they are only printed."),
]
Encoders = Annotated[
    str | None,
    typer.Option("--encoders", help="Names, separated by commas; by default each recipe's."),
]
Out = Annotated[Path, typer.Option(help="Folder for results.jsonl, summary.json and the report.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Self-supervised learning on graphs: embed, evaluate, compare, report."""
    if version:
        from graphssl import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def methods(json: Json = False) -> None:
    """List the methods, with their options and recipes."""
    from graphssl.cli.listing import show_methods

    show_methods(as_json=json)


@app.command()
def datasets(json: Json = False) -> None:
    """List the data sets, with their sizes and default protocols."""
    from graphssl.cli.listing import show_datasets

    show_datasets(as_json=json)


@app.command()
def doctor(json: Json = False) -> None:
    """Say what is installed, which device and which folders are used, and what looks wrong."""
    from graphssl.cli.doctor import show_doctor

    show_doctor(as_json=json)


@app.command()
def run(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="See: graphssl methods.")],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="See: graphssl datasets.")],
    protocol: Protocol = None,
    encoder: Encoder = None,
    seeds: Seeds = 1,
    set_: Settings = None,
    recipe: RecipeName = "auto",
    max_steps: MaxSteps = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for the results; by default they are only printed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what stands in --out already.")] = False,
    json: Json = False,
) -> None:
    """Train a method on a data set, evaluate it beside the controls, and print a table."""
    from graphssl.cli.experiments import run_one

    run_one(
        method, dataset, protocol=protocol, encoder=encoder, seeds=seeds, assignments=set_ or [], recipe=recipe,
        max_steps=max_steps, device=device, out=out, resume=resume, as_json=json, command=_command_line(),
    )  # fmt: skip


@app.command()
def embed(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="See: graphssl methods.")],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A data set's name, or a .csv, .tsv, .txt or .npz file.")
    ],
    out: Annotated[Path, typer.Option(help="An .npz file; it will hold embedding and ids.")],
    encoder: Encoder = None,
    set_: Settings = None,
    recipe: RecipeName = "auto",
    max_steps: MaxSteps = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Seed of parameters and training.")] = 0,
    json: Json = False,
) -> None:
    """Train a method on a data set or a file and write the embedding."""
    from graphssl.cli.embed import embed_to_file

    embed_to_file(
        method, source, out=out, encoder=encoder, assignments=set_ or [], recipe=recipe, max_steps=max_steps,
        device=device, seed=seed, as_json=json,
    )  # fmt: skip


@app.command()
def compare(
    methods: Annotated[str, typer.Option(help="Names, separated by commas.")],
    datasets: Annotated[str, typer.Option(help="Names, separated by commas.")],
    out: Out,
    encoders: Annotated[str | None, typer.Option(help="Names, separated by commas; by default each recipe's.")] = None,
    protocol: Protocol = None,
    seeds: Seeds = 1,
    set_: Settings = None,
    recipe: RecipeName = "auto",
    max_steps: MaxSteps = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option(help="Leave out what stands in --out already.")] = True,
    json: Json = False,
) -> None:
    """Compare methods, encoders and data sets; results and a report go to a folder."""
    from graphssl.cli.experiments import run_comparison

    run_comparison(
        _names(methods), _names(datasets), encoders=_names(encoders or ""), protocol=protocol, seeds=seeds,
        assignments=set_ or [], recipe=recipe, max_steps=max_steps, device=device, out=out, resume=resume,
        as_json=json, command=_command_line(),
    )  # fmt: skip


@app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of a run or compare.")]) -> None:
    """Write report.md, report.html and summary.json from a folder's results."""
    from graphssl.bench import write_report

    typer.echo(write_report(folder))


def main() -> None:
    """Entry point of the ``graphssl`` command."""
    # Read when torch is loaded, which is later. OpenMP threads that spin while they wait cost little on a quiet
    # machine, and made a run thirty times slower on one with twice as many busy processes as cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app()


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _command_line() -> str | None:
    """The command as typed, where this process is one; under a test runner or a notebook there is none."""
    program = Path(sys.argv[0])
    ours = program.stem == "graphssl" or (program.stem == "__main__" and program.parent.name == "graphssl")
    return shlex.join(["graphssl", *sys.argv[1:]]) if ours else None
