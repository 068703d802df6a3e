"""Encoders: a graph in, one vector for each node out."""

from graphssl.encoders.base import Encoder, Layer
from graphssl.encoders.build import build_encoder
from graphssl.encoders.external import as_encoder
from graphssl.encoders.sampled import num_seeds
from graphssl.encoders.smooth import encode_and_smooth
from graphssl.encoders.stack import Stack
from graphssl.encoders.table import Table

__all__ = ["Encoder", "Layer", "Stack", "Table", "as_encoder", "build_encoder", "encode_and_smooth", "num_seeds"]
