"""One pure function per published equation; everything named ``*_loss`` is minimised, in nats where it is a bound.

On scores and pairs, (A, C) -> (): :func:`info_nce_loss`, :func:`debiased_info_nce_loss`,
:func:`hard_info_nce_loss`, :func:`jsd_loss`, :func:`bce_loss`, :func:`donsker_varadhan_loss`,
:func:`nwj_loss`, :func:`margin_loss`, :func:`negative_sampling_loss`. On aligned rows, (N, P), (N, P) -> ():
:func:`cosine_loss`, :func:`barlow_twins_loss`, :func:`vicreg_loss`, :func:`cca_ssg_loss`. On rows without a matrix of
scores, equal to their namesakes: :func:`two_view_info_nce_loss`, :func:`two_view_debiased_info_nce_loss`,
:func:`two_view_hard_info_nce_loss`, :func:`queue_info_nce_loss`, :func:`same_graph_jsd_loss`,
:func:`node_summary_jsd_loss`.

All stay finite at scores of +-1e4 and compute in float32 at least, also under autocast.
"""

from graphssl.functional.alignment import cosine_loss
from graphssl.functional.divergence import bce_loss, donsker_varadhan_loss, jsd_loss, nwj_loss
from graphssl.functional.info_nce import debiased_info_nce_loss, hard_info_nce_loss, info_nce_loss
from graphssl.functional.margin import margin_loss
from graphssl.functional.negative_sampling import negative_sampling_loss
from graphssl.functional.queue import queue_info_nce_loss
from graphssl.functional.redundancy import barlow_twins_loss, cca_ssg_loss, vicreg_loss
from graphssl.functional.same_graph import node_summary_jsd_loss, same_graph_jsd_loss
from graphssl.functional.two_view import (
    two_view_debiased_info_nce_loss,
    two_view_hard_info_nce_loss,
    two_view_info_nce_loss,
)

__all__ = [
    "barlow_twins_loss",
    "bce_loss",
    "cca_ssg_loss",
    "cosine_loss",
    "debiased_info_nce_loss",
    "donsker_varadhan_loss",
    "hard_info_nce_loss",
    "info_nce_loss",
    "jsd_loss",
    "margin_loss",
    "negative_sampling_loss",
    "node_summary_jsd_loss",
    "nwj_loss",
    "queue_info_nce_loss",
    "same_graph_jsd_loss",
    "two_view_debiased_info_nce_loss",
    "two_view_hard_info_nce_loss",
    "two_view_info_nce_loss",
    "vicreg_loss",
]
