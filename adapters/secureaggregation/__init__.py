"""Secure aggregation: a server learns the sum of its clients' values, and nothing else of them.

The protocol of Bonawitz et al. (Practical secure aggregation for privacy-preserving machine learning, CCS 2017) with
the sparse graph of Bell et al. (CCS 2020), against a server that does not keep to it. Clients and server are state
machines without I/O: any transport carries their messages.
"""

from adapters.secureaggregation.client import Client
from adapters.secureaggregation.errors import Aborted, SecureAggregationError, Unsafe
from adapters.secureaggregation.parameters import Parameters, Tolerance, choose
from adapters.secureaggregation.quantising import Scale
from adapters.secureaggregation.running import lead
from adapters.secureaggregation.server import Server, Sum
from adapters.secureaggregation.session import Session

__all__ = [
    "Aborted",
    "Client",
    "Parameters",
    "Scale",
    "SecureAggregationError",
    "Server",
    "Session",
    "Sum",
    "Tolerance",
    "Unsafe",
    "choose",
    "lead",
]
