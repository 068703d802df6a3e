"""Write features and edges of a data set, as our reader gives them, to an npz: prepare.py NAME FILE.npz"""

import sys

import numpy as np

from graphssl import load_dataset

graph = load_dataset(sys.argv[1])
np.savez(sys.argv[2], x=graph.x.numpy(), edge_index=graph.edge_index.numpy())
