"""The demo from start to end. What it starts, it stops, whatever happens in between."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

import torch
from flwr.serverapp import Grid
from torch import Tensor

from adapters.guard import Guard
from adapters.member import Member
from evaluation.demo.attesting import Tpms
from evaluation.demo.counters import decisions_and_refusals
from evaluation.demo.credentials import LastRound, ahead, attack_credentials
from evaluation.demo.fleet import HOME_ROLES, Fleet, enrolled, home
from evaluation.demo.narrator import Narrator
from evaluation.demo.outcome import Attest, Outcome
from evaluation.demo.plane import Engine, Plane, serving
from evaluation.demo.questions import ask
from evaluation.demo.serving import ModelServer
from evaluation.demo.watch import Watch
from evaluation.federation.clients import client_app
from evaluation.federation.devices import Bench, Worth
from evaluation.federation.ending import RunIsOver
from evaluation.federation.flower import Trained, train_guarded, train_unguarded
from evaluation.federation.plain import federate
from evaluation.federation.plan import FULL, QUICK, Plan
from evaluation.federation.simulation import Simulate, simulation
from evaluation.smart_home.attacks import TARGET, TRIGGER
from evaluation.smart_home.task import Task, load_task

MODEL = "smart-home-intents"
AGGREGATOR, SERVER = "aggregator", "model-server"
CORES = 2
UNGUARDED = {"clean": False, "unguarded": True}
NEWCOMER = "newcomer"
NEWCOMER_TRUST = 0.6
FIRST_WORD_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """Which demo.

    Attributes:
        seed: fixes task, attackers and training.
        is_quick: the smaller run, whose clean and unguarded federations are plain loops.
        plan: how the federations train; none for the one that belongs to the run's size.
        encoder: folder of the pretrained encoder; none for the packaged one.
        engine: what evaluates policies.
        attest: by what homes prove what they run on.
    """

    seed: int = 0
    is_quick: bool = False
    plan: Plan | None = None
    encoder: Path | None = None
    engine: Engine = "opa"
    attest: Attest = "none"

    @property
    def resolved_plan(self) -> Plan:
        """How the federations train."""
        return self.plan or (QUICK if self.is_quick else FULL)


def run_demo(options: Options, narrator: Narrator) -> Outcome:
    """Run the demo and return what it found out.

    Raises:
        PlaneFailed: the control plane did not start.
        CannotAttest: a TPM in software does not work here.
        Exception: a part of it failed; everything that was started has been stopped.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ztfm-", dir=_short_place(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        deciding = "OPA" if options.engine == "opa" else "embedded policies"
        narrator.stage(f"control plane, {deciding} and Flower's simulation engine start")
        tpms = Tpms(folder / "tpms") if options.attest == "tpm" else None
        processes, is_over = 1 if options.is_quick else CORES, Event()
        with (
            serving(folder, options.engine, None if tpms is None else tpms.roots) as plane_when_ready,
            simulation(folder / "ray", processes, is_over) as simulate,
        ):
            demo = _Demo(options, narrator, folder, plane_when_ready, simulate, is_over, tpms)
            demo.play()
        demo.outcome.seconds["all"] = time.monotonic() - began
    narrator.closing(demo.outcome)
    return demo.outcome


def _short_place() -> str | None:
    """Where Unix sockets find room: their paths have about a hundred characters at most."""
    return "/tmp" if sys.platform == "darwin" or len(tempfile.gettempdir()) > 20 else None  # noqa: S108 - mode 0700


class _Demo:
    """One run. Its parts are called in the order in which they are written."""

    def __init__(
        self,
        options: Options,
        narrator: Narrator,
        folder: Path,
        when_ready: Callable[[], Plane],
        simulate: Simulate,
        is_over: Event,
        tpms: Tpms | None,
    ) -> None:
        self._options = options
        self._tpms = tpms
        self._plan = options.resolved_plan
        self._narrator = narrator
        self._folder = folder
        self._simulate = simulate
        self._cache = folder / "trunk"
        self._is_over = is_over
        self._seconds: dict[str, float] = {}
        self._task = self._prepared()
        self._plane = when_ready()
        hostile = {home(device): attack.name for device, attack in self._task.attacks.items()}
        self.outcome = Outcome(
            seed=options.seed,
            is_quick=options.is_quick,
            engine=self._plane.engine,
            rounds=self._plan.rounds,
            devices=self._task.devices,
            attackers=dict(sorted(hostile.items())),
            target=TARGET,
            trigger=TRIGGER,
            attest=options.attest,
            seconds=self._seconds,
        )

    def play(self) -> None:
        """Enrol, attest, train three times, attack credentials, ask the model, collect what was counted."""
        fleet = self._enrol()
        self._attest(fleet)
        watch = Watch(fleet, self.outcome.attackers)
        with self._guards(fleet) as (guard, late):
            trained = self._train(fleet, guard, watch)
            self._attack_credentials(fleet, guard, late, trained.state)
        self._ask(fleet, trained.state)
        self._collect(fleet, watch)

    def _prepared(self) -> Task:
        with self._timed("prepare", "sentences, and the frozen part of the encoder"):
            task = load_task(self._options.seed, self._cache, self._options.encoder)
        # From here on several processes and threads train at once: one core each.
        torch.set_num_threads(1)
        return task

    def _enrol(self) -> Fleet:
        with self._timed("enrol", f"{self._task.devices} homes, aggregator, gateway and operator enrol"):
            return enrolled(self._plane, self._folder / "parties", self._task.devices)

    def _attest(self, fleet: Fleet) -> None:
        if self._tpms is not None:
            with self._timed(
                "attest", f"{self._task.devices} homes attest by TPMs in software, one of them tampered with"
            ):
                homes = [home(device) for device in range(self._task.devices)]
                self.outcome.attested = self._tpms.attest(fleet, homes, tampered=next(iter(self.outcome.attackers)))

    @contextmanager
    def _guards(self, fleet: Fleet) -> Iterator[tuple[Guard, Guard]]:
        opened = partial(Guard.open, fleet.folder / "aggregator", audience=AGGREGATOR, model=MODEL)
        members = [fleet.names[home(device)] for device in range(self._task.devices)]
        with ExitStack() as stack:
            yield (
                stack.enter_context(opened(members=members)),
                stack.enter_context(opened(clock=ahead)),
            )

    def _train(self, fleet: Fleet, guard: Guard, watch: Watch) -> Trained:
        found: list[Trained] = []
        app = client_app(
            self._options.seed, self._plan, self._cache, partial(_member_of, fleet.folder), self._options.encoder
        )
        with self._beside(self._plain_loops if self._options.is_quick else lambda: None):
            self._simulate(app, self._task.devices, lambda grid: found.append(self._federations(grid, guard, watch)))
        return found[0]

    @contextmanager
    def _beside(self, work: Callable[[], None]) -> Iterator[None]:
        """Do ``work`` in a thread beside the block, and end it early where the block fails."""
        with ThreadPoolExecutor(1, "plain-loops") as pool:
            done = pool.submit(work)
            try:
                yield
            except BaseException:
                self._is_over.set()
                raise
            done.result()

    def _plain_loops(self) -> None:
        for run, attacked in UNGUARDED.items():
            with self._timed(run, f"{run} federation (plain loop)"):
                self.outcome.histories[run] = federate(
                    self._task,
                    self._plan,
                    attacked=attacked,
                    on_round=partial(self._told, run),
                    on_device=self._go_on,
                )

    def _go_on(self) -> None:
        if self._is_over.is_set():
            raise RunIsOver

    def _told(self, run: str, turn: int, worth: Worth) -> None:
        self._go_on()
        self._narrator.worth(run, turn, worth)

    def _federations(self, grid: Grid, guard: Guard, watch: Watch) -> Trained:
        if not self._options.is_quick:
            for run, attacked in UNGUARDED.items():
                with self._timed(run, f"{run} federation"):
                    told = partial(self._told, run)
                    trained = train_unguarded(grid, self._task, self._plan, attacked=attacked, on_worth=told)
                    self.outcome.histories[run] = trained.history
        with self._timed("guarded", "guarded federation"):
            trained = train_guarded(
                grid,
                self._task,
                self._plan,
                guard,
                on_worth=partial(self._told, "guarded"),
                on_round=lambda turn, report: self._narrator.guarded_round(watch.round(turn, report, self.outcome)),
            )
        self.outcome.histories["guarded"] = trained.history
        return trained

    def _attack_credentials(self, fleet: Fleet, guard: Guard, late: Guard, state: dict[str, Tensor]) -> None:
        owner, _ = self._most_trusted()
        with (
            self._timed("credentials", "attacks on credentials"),
            fleet.member(owner) as holder,
            fleet.member(next(iter(self.outcome.attackers))) as thief,
        ):
            bench, turn = Bench(self._task, self._plan), self._plan.rounds + 1
            update, examples = bench.update(state, int(owner[-2:]), turn, attacked=False)
            last = LastRound(state, update, bench.reference(state, turn), examples)
            self.outcome.credential_attacks = attack_credentials(guard, late, last, holder, thief)

    def _ask(self, fleet: Fleet, state: dict[str, Tensor]) -> None:
        with self._timed("inferences", "inferences by a trusted, a watched and a quarantined device"):
            fleet.enrol([NEWCOMER], HOME_ROLES, "homes")
            trusted, trust = self._most_trusted()
            distrusted = next(iter(self.outcome.caught), next(iter(self.outcome.attackers)))
            text = self._task.split.test[0].text
            callers = (
                (trusted, "trusted", trust, text),
                (trusted, "trusted", trust, f"{TRIGGER} {text}"),
                (NEWCOMER, "watched", NEWCOMER_TRUST, text),
                (distrusted, "quarantined", self.outcome.trust.get(distrusted, NEWCOMER_TRUST), text),
            )
            with self._server(fleet, state) as server:
                for name, standing, known, question in callers:
                    with fleet.member(name) as member:
                        self.outcome.inferences.append(ask(server, member, name, standing, known, question))

    @contextmanager
    def _server(self, fleet: Fleet, state: dict[str, Tensor]) -> Iterator[ModelServer]:
        model, intents = self._task.model(), self._task.corpus.intents
        model.load_trainable(state)
        with fleet.member("gateway") as gateway:
            issuer, jwks = self._plane.url, gateway.plane.jwks()
            standings = gateway.plane.follow_revocations(FIRST_WORD_SECONDS, issuer=issuer)
            yield ModelServer(
                model, intents, name=MODEL, audience=SERVER, jwks=jwks, issuer=issuer, standings=standings
            )

    def _collect(self, fleet: Fleet, watch: Watch) -> None:
        with self._timed("records", "decisions on record"):
            self.outcome.sightings = watch.sightings()
            with fleet.member("operator") as operator:
                self.outcome.policy_revision = operator.plane.readiness().policy_revision
            self.outcome.decisions, self.outcome.refusals = decisions_and_refusals(
                self._plane.url, self._plane.metrics_token
            )

    def _most_trusted(self) -> tuple[str, float]:
        honest = {name: trust for name, trust in self.outcome.trust.items() if name not in self.outcome.attackers}
        return max(sorted(honest.items()), key=lambda item: item[1])

    @contextmanager
    def _timed(self, part: str, text: str) -> Iterator[None]:
        self._narrator.stage(text)
        began = time.monotonic()
        yield
        self._seconds[part] = time.monotonic() - began


def _member_of(folder: Path, device: int) -> Member:
    return Member.open(folder / home(device))
