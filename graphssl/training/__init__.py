"""Training: one loop for every method, its history, its checkpoints, and ``fit`` which ties them to recipes."""

from graphssl.training.allocator import keep_memory
from graphssl.training.fit import Fitted, Settings, fit, resolve_settings
from graphssl.training.history import History, effective_rank, feature_std
from graphssl.training.loop import embed_data, resolve_device, train

__all__ = [
    "Fitted",
    "History",
    "Settings",
    "effective_rank",
    "embed_data",
    "feature_std",
    "fit",
    "keep_memory",
    "resolve_device",
    "resolve_settings",
    "train",
]
