"""Honest evaluation: named protocols, probes that never see a test label, and the controls to beat."""

from graphssl.evaluation.controls import CONTROLS, propagated_embedding, raw_embedding
from graphssl.evaluation.finetune import fine_tune
from graphssl.evaluation.hinge import squared_hinge_path
from graphssl.evaluation.labels import read_labels
from graphssl.evaluation.links import LinkSplit, RandomLinks
from graphssl.evaluation.probes import PROBES, LinearProbe, NeighbourProbe, Prediction, Probe, SVMProbe, make_probe
from graphssl.evaluation.protocols import Protocol, default_protocol, find_protocol, list_protocols
from graphssl.evaluation.repeats import evaluate
from graphssl.evaluation.report import Report
from graphssl.evaluation.ridge import ridge_path
from graphssl.evaluation.scoring import evaluate_embedding, training_data
from graphssl.evaluation.solver import logistic_path, logistic_paths
from graphssl.evaluation.splits import AllLabelled, GivenSplit, RandomSplit, Split, StratifiedFolds

__all__ = [
    "CONTROLS",
    "PROBES",
    "AllLabelled",
    "GivenSplit",
    "LinearProbe",
    "LinkSplit",
    "NeighbourProbe",
    "Prediction",
    "Probe",
    "Protocol",
    "RandomLinks",
    "RandomSplit",
    "Report",
    "SVMProbe",
    "Split",
    "StratifiedFolds",
    "default_protocol",
    "evaluate",
    "evaluate_embedding",
    "find_protocol",
    "fine_tune",
    "list_protocols",
    "logistic_path",
    "logistic_paths",
    "make_probe",
    "propagated_embedding",
    "raw_embedding",
    "read_labels",
    "ridge_path",
    "squared_hinge_path",
    "training_data",
]
