"""A progress line on standard error: loss and collapse measures while a method trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphssl.training.history import History

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(total: int, *, initial: int = 0, enabled: bool = True) -> Iterator[Callable[[History], None]]:
    """Yield a function that shows a history's newest numbers; does nothing unless enabled."""
    if not enabled:
        yield lambda history: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=initial)

        def show(history: History) -> None:
            text = f"loss {history.loss[-1]:.4f}"
            if history.measured_steps:
                text += f"  std {history.feature_std[-1]:.2f}  rank {history.effective_rank[-1]:.1f}"
            bar.update(task, completed=history.steps, description=text)

        yield show
