"""Judge an embedding by the public split and print the row as JSON: score.py NAME FILE.npz

The probe is ours for both sides: logistic regression, its strength chosen on the validation nodes.
"""

import json
import sys

import numpy as np

from graphssl import load_dataset
from graphssl.evaluation import evaluate_embedding

with np.load(sys.argv[2]) as arrays:
    row = evaluate_embedding(arrays["z"], load_dataset(sys.argv[1]), "public")[0]
print(json.dumps(dict(test=row["value"], valid=row["valid_value"], chosen=row["chosen"])))
