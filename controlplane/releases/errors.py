"""Why a release does not come about, beside a bundle that is refused (`bundles.BundleRefused`)."""


class NoSuchRelease(Exception):  # noqa: N818 - a state, as callers see it
    """There is no release to go back to; the message says what there is."""


class ReleaseConflict(Exception):  # noqa: N818 - a state, as callers see it
    """Others release the same layer at the same time; trying again is safe."""


class NothingPublished(Exception):  # noqa: N818 - a state, as callers see it
    """There are no policies, and this machine may not sign any; the message says what to do."""
