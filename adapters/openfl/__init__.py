"""The seam around an OpenFL federation: an aggregator and a collaborator that plan.yaml names.

Nothing is imported here: a plan names `adapters.openfl.aggregator.GuardedAggregator` and
`adapters.openfl.collaborator.GuardedCollaborator`, and each side loads its own.
"""
