"""What can go wrong with an archive of updates."""


class ArchiveError(Exception):
    """The archive cannot be used for what was asked; the message says why and what to do."""


class ArchiveDamaged(ArchiveError):  # noqa: N818 - a state, as callers see it
    """Something in the archive is not what was signed, or is not signed by who should have."""


class ArchiveInUse(ArchiveError):  # noqa: N818 - a state, as callers see it
    """Another process writes to the archive."""


class TooLarge(ArchiveError):  # noqa: N818 - a state, as callers see it
    """A round, or what is signed of it or of a rebuild, takes more than the archive may hold or can read again."""


class Superseded(ArchiveError, ValueError):  # noqa: N818 - a state, as callers see it
    """Weights that were rolled back: a round that began with them would bring back what was left out."""


class Stopped(ArchiveError):  # noqa: N818 - a state, as callers see it
    """A rebuild was stopped on its way; asked for again, it goes on where it was."""
