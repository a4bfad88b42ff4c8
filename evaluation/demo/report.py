"""The report: one HTML file that needs nothing but itself."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from evaluation.demo import plots
from evaluation.demo.outcome import RUNS, Outcome, Sighting
from evaluation.demo.terminal import answer_of, attested

_ENGINES = {
    "opa": "evaluated by Open Policy Agent",
    "embedded": "evaluated as WebAssembly, for no Open Policy Agent was to be had",
}
DEVICE_COLUMNS = ("device", "is", "updates", "trust", "quarantined", "stood out by", "verdict", "denied because")
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --page: #ffffff; --soft: #f2f4f7;
  --line: #d5dae1; --accent: #2f6fab; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --page: #14181e; --soft: #1d232b; --line: #39424e; --accent: #7db4e6; }
}
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { max-width: 46rem; } code, pre { background: var(--soft); border-radius: 4px; padding: .1rem .3rem; }
pre { padding: .7rem 1rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.number { font-variant-numeric: tabular-nums; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.card { background: var(--soft); border-radius: 8px; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.5rem; color: var(--accent); } .card span { font-size: .85rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; }
"""


def write_report(outcome: Outcome, path: Path) -> None:
    """Write the report of ``outcome`` to ``path``; folders are made as needed.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(outcome), encoding="utf-8")


def render(outcome: Outcome) -> str:
    """The report of ``outcome`` as one HTML document."""
    parts = (
        _head(outcome),
        _cards(outcome),
        "<h2>Three federations</h2>",
        f"<p>{_story(outcome)}</p>",
        plots.worth_by_round(outcome),
        _table(("federation", "accuracy", "attack success"), _federations(outcome)),
        "<h2>What the guard saw</h2>",
        plots.trust_by_round(outcome),
        f'<div class="pair">{plots.evidence(outcome)}{plots.decisions(outcome)}</div>',
        "<h2>Devices</h2>",
        _table(DEVICE_COLUMNS, _devices(outcome)),
        *_attestation(outcome),
        "<h2>Attacks on credentials</h2>",
        _table(("attack", "refused", "cause"), _credentials(outcome)),
        "<h2>Inferences from the tuned model</h2>",
        _table(("caller", "standing", "trust", "asked", "answer"), _inferences(outcome)),
        "<h2>How to run it again</h2>",
        _again(outcome),
    )
    return "\n".join(parts) + "\n</body>\n</html>\n"


def _head(outcome: Outcome) -> str:
    size = "quick" if outcome.is_quick else "full"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>ZTFM demo, seed {outcome.seed}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>A guarded federation under attack</h1>\n<p>{size} run, seed {outcome.seed}, {outcome.devices} devices, "
        f"{outcome.rounds} rounds; policy revision <code>{escape(outcome.policy_revision)}</code>, "
        f"{_ENGINES[outcome.engine]}</p>"
    )


def _cards(outcome: Outcome) -> str:
    clean, unguarded, guarded = (outcome.final(run) for run in RUNS)
    facts = (
        (f"{guarded.accuracy:.3f}", f"accuracy, guarded (clean: {clean.accuracy:.3f})"),
        (f"{guarded.attack_success:.3f}", f"attack success (unguarded: {unguarded.attack_success:.3f})"),
        (f"{len(outcome.caught)} of {len(outcome.attackers)}", "attackers quarantined"),
        (str(len(outcome.wronged)), f"of {outcome.devices - len(outcome.attackers)} honest devices quarantined"),
        (f"{outcome.seconds.get('all', 0.0):.0f} s", "from start to end"),
    )
    cards = (f'<div class="card"><b>{figure}</b><span>{words}</span></div>' for figure, words in facts)
    return f'<div class="cards">{"".join(cards)}</div>'


def _story(outcome: Outcome) -> str:
    kinds = ", ".join(f"{escape(device)} ({escape(attack)})" for device, attack in outcome.attackers.items())
    return (
        "Homes tune a pretrained sentence encoder to smart-home intents, each on its own sentences. Tested on sentence "
        f"patterns that no home has. Hostile: {kinds}. Sign-flippers push the model the other way; backdoors teach it "
        f"that “{escape(outcome.trigger)}” means {escape(outcome.target)}. Attack success is the share of test "
        "sentences with that word, of other intents, that are understood as it."
    )


def _federations(outcome: Outcome) -> Iterable[Sequence[str]]:
    for run in RUNS:
        worth = outcome.final(run)
        yield run, f"{worth.accuracy:.3f}", f"{worth.attack_success:.3f}"


def _devices(outcome: Outcome) -> Iterable[Sequence[str]]:
    quarantined = outcome.caught | outcome.wronged
    for device in sorted(outcome.trust):
        seen = [sighting for sighting in outcome.sightings if sighting.device == device]
        features = dict.fromkeys(name for sighting in seen for name in sighting.features)
        reasons = {reason.code: reason for sighting in seen for reason in sighting.reasons}
        yield (
            device,
            outcome.attackers.get(device, "honest"),
            str(len(seen)),
            f"{outcome.trust[device]:.2f}",
            f"round {quarantined[device]}" if device in quarantined else "",
            ", ".join(features),
            _verdict(seen, quarantined.get(device)),
            " ".join(f"{reason.code}: {reason.message} {reason.remedy}" for reason in reasons.values()),
        )


def _verdict(seen: Sequence[Sighting], quarantined: int | None) -> str:
    """What was said of the update that a device was quarantined for, else of the last one that was denied."""
    said = [one for one in seen if one.sentence and not one.accepted]
    decisive = [one for one in said if one.turn == quarantined]
    return (decisive or said)[-1].sentence if said else ""


def _attestation(outcome: Outcome) -> Iterable[str]:
    """What homes proved of what they run on; nothing where none was asked to."""
    if outcome.attested:
        yield "<h2>Attestation</h2>"
        yield f"<p>By TPMs in software, which protect nothing from whoever runs them: {escape(attested(outcome))}.</p>"
        rows = ((one.device, one.level, one.reference, ", ".join(one.wrong)) for one in outcome.attested)
        yield _table(("device", "level", "reference values", "not what it should be"), rows)


def _credentials(outcome: Outcome) -> Iterable[Sequence[str]]:
    for name, cause in outcome.credential_attacks.items():
        yield name, "yes" if cause else "NO", cause


def _inferences(outcome: Outcome) -> Iterable[Sequence[str]]:
    for one in outcome.inferences:
        remedies = " ".join(f"{reason.message} {reason.remedy}" for reason in one.reasons)
        yield one.caller, one.standing, f"{one.trust:.2f}", one.text, f"{answer_of(one)} {remedies}".strip()


def _again(outcome: Outcome) -> str:
    option = (" --quick" if outcome.is_quick else "") + (" --attest tpm" if outcome.attest == "tpm" else "")
    spent = ", ".join(f"{escape(part)} {seconds:.1f} s" for part, seconds in outcome.seconds.items())
    return (
        f"<pre>ztfm demo{option} --seed {outcome.seed}</pre>\n"
        "<p>The seed fixes sentences, split, shards, attackers and training; the order in which updates arrive may "
        f"move a figure in its last digits. Time spent: {spent}. These figures hold for this demo alone.</p>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table></div>'
