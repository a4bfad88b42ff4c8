"""What there is to compare: tasks, attacks and defences by name, and how a cell's are made."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from evaluation.comparison.cells import Cell
from evaluation.comparison.interfaces import Defence, Learning

Learns = Callable[[Cell, str, Path], Learning]
"""Makes a cell's task under its attack, of a size (``quick`` or ``full``), with a folder for what takes long."""

Guards = Callable[[Cell, Learning], AbstractContextManager[Defence]]
"""Opens a cell's defence for one federation."""


@dataclass(frozen=True)
class Attack:
    """What the comparison has to know of an attack.

    Attributes:
        title: for tables.
        names: what a defence may rightly call it.
    """

    title: str
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shield:
    """What the comparison has to know of a defence.

    Attributes:
        title: for tables.
        opens: it, for a cell.
        says: what it is, or where it comes from.
        names_devices: it says of devices that they are hostile, so that rates can be counted.
        wants_reference: it uses what the server's own trusted examples yield.
        depends: files and folders that a result depends on, besides those that every result does.
        also: what else it depends on.
    """

    title: str
    opens: Guards
    says: str = ""
    names_devices: bool = True
    wants_reference: bool = False
    depends: tuple[str, ...] = ()
    also: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All of it.

    Attributes:
        tasks: by name.
        attacks: by name; the one called ``none`` among them.
        defences: by name; the one called ``averaging`` among them.
    """

    tasks: Mapping[str, Learns]
    attacks: Mapping[str, Attack]
    defences: Mapping[str, Shield]


Catalogued = Callable[[], Catalogue]
"""Makes a catalogue; a process that runs cells calls it anew, so it is a function of a module, or a partial of one."""
