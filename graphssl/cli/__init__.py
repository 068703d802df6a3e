"""The command line. Importing it loads neither torch nor torch-geometric: commands import what they need."""

from graphssl.cli.app import app, main

__all__ = ["app", "main"]
