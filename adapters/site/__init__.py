"""The site veto: a home or factory that has a policy of its own decides what comes in and what goes out.

A member whose folder holds ``site`` asks it, by itself (`adapters.member`); the server's side can neither replace,
switch off nor skip it. Needs the extra ``embedded``.
"""

from adapters.site.errors import SiteFault, Vetoed
from adapters.site.site import FOLDER, Asked, Site

__all__ = ["FOLDER", "Asked", "Site", "SiteFault", "Vetoed"]
