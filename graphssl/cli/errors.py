"""What the shell sees when something goes wrong: one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from graphssl.errors import ConfigurationError, GraphSSLError, UnknownNameError, UnknownOptionError

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "USAGE_ERRORS", "CommandGroup", "InterruptedRunError"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130
#: Mistakes in what was typed; every other error is a failure of what was asked for.
USAGE_ERRORS = (ConfigurationError, UnknownNameError, UnknownOptionError)
# the root of click's own errors, also where typer brings its own click
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C, with a sentence about what is kept."""


class CommandGroup(TyperGroup):
    """Turns every exception into one line and an exit code: 1 failed, 2 usage, 130 interrupted.

    ``GRAPHSSL_DEBUG=1`` shows the traceback.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit."""
        sys.exit(self._exit_code(args, prog_name, extra))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; Ctrl-C ends it with a line that says what is kept."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Exit(_say(str(error) or "interrupted: nothing was written", INTERRUPTED)) from None

    def _exit_code(self, args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            code = super().main(args=args, prog_name=prog_name or "graphssl", standalone_mode=False, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except BrokenPipeError:  # the reader, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:
            if os.environ.get("GRAPHSSL_DEBUG", "") not in ("", "0"):
                raise
            return _explain(error)
        except KeyboardInterrupt:
            return _say("interrupted", INTERRUPTED)


def _explain(error: Exception) -> int:
    if isinstance(error, _ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see: {context.command_path} --help" if context is not None else ""
        text = error.format_message()  # type: ignore[attr-defined]
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(text, err=True)
            return USAGE
        return _say(text.rstrip(".") + hint, getattr(error, "exit_code", FAILED))
    if isinstance(error, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    if isinstance(error, GraphSSLError):
        return _say(str(error), USAGE if isinstance(error, USAGE_ERRORS) else FAILED)
    if isinstance(error, MemoryError):
        return _say("out of memory: use fewer hidden_channels, a smaller batch or a smaller graph", FAILED)
    if isinstance(error, OSError):
        return _say(str(error), FAILED)
    return _say(f"unexpected {type(error).__name__}: {error}; GRAPHSSL_DEBUG=1 shows where", FAILED)


def _say(text: str, code: int) -> int:
    prefix = "" if code == INTERRUPTED else "error: "
    typer.echo(prefix + " ".join(text.split()), err=True)
    return code
