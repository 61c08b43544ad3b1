"""Turn a report into characters. The list of formats is all there is to register."""

from dmaverify.report.base import Reporter, View
from dmaverify.report.certify import CERTIFICATE_FORMATS
from dmaverify.report.concise import ConciseReporter
from dmaverify.report.json import JsonReporter, MatrixJsonReporter
from dmaverify.report.matrix import MatrixReporter
from dmaverify.report.text import TextReporter

#: Every format, the default first.
FORMATS: tuple[Reporter, ...] = (TextReporter(), ConciseReporter(), JsonReporter())
FORMATS_BY_NAME = {reporter.name: reporter for reporter in FORMATS}

#: The same for the matrix.
MATRIX_FORMATS: tuple[Reporter, ...] = (MatrixReporter(), MatrixJsonReporter())

__all__ = [
    "CERTIFICATE_FORMATS",
    "FORMATS",
    "FORMATS_BY_NAME",
    "MATRIX_FORMATS",
    "Reporter",
    "View",
]
