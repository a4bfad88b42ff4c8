"""A federated job whose server is ours: rounds, what it keeps, how arrivals are looked at. A transport carries it.

`adapters.http` and `adapters.mqtt` are such transports.
"""
