"""Public contract suites: run them on your own method, view, sampler or estimator."""

from graphssl.testing.estimators import check_agreement, check_estimator
from graphssl.testing.methods import check_method
from graphssl.testing.samplers import check_loader, check_sampler
from graphssl.testing.views import check_view

__all__ = ["check_agreement", "check_estimator", "check_loader", "check_method", "check_sampler", "check_view"]
