"""A page to read answers on: the question with its molecules drawn, the reasoning with each claim marked, answer and gold
side by side, and the reason of the score. One HTML file without scripts that asks nothing of the network; all that a
model wrote is escaped."""

import re
from collections import defaultdict
from html import escape
from pathlib import Path

from rdkit import Chem, rdBase
from rdkit.Chem.Draw import rdMolDraw2D

from chemr_lite import check_claims, get_task, parse_completion, parse_smiles
from chemr_lite.protocols import Protocols
from chemr_lite.reasons import Reason
from chemr_lite.scoring.judge import row_of

SIZE = (260, 170)
ARTICLE_STYLE = """
:root { --line: #d5dae1; --ink: #1b2430; --soft: #5c6b7d; --good: #d9f2e0; --bad: #fbdcd7; --none: #e3e8f0 }
article { background: #fff; color: var(--ink); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 0 0 1rem }
article > p:first-child { margin-top: 0 }
.row { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; max-width: 100%; min-width: 0 } figure svg { max-width: 100%; height: auto; display: block }
figcaption, .soft { color: var(--soft); font-size: .875rem }
article p, code { overflow-wrap: anywhere } code { font-size: .875rem }
.think { white-space: pre-wrap; overflow-wrap: anywhere; background: #fafbfc; border-left: 3px solid var(--line); padding: .5rem .75rem; margin: .75rem 0 }
mark { padding: 0 .15em; border-radius: 3px; color: var(--ink) } mark.yes { background: var(--good) } mark.open { background: var(--none); text-decoration: underline dotted 1px }
mark.no { background: var(--bad); text-decoration: underline wavy #b3261e 1px }
.verdict { font-weight: 600 } .verdict.yes { color: #14662f } .verdict.no { color: #a3211a }
"""
STYLE = (
    """
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
"""
    + ARTICLE_STYLE
)
LEGEND = '<mark class="yes">supported</mark> <mark class="no">not supported</mark> <mark class="open">cannot be checked</mark>'


def draw(smiles: str, caption: str) -> str:
    """A molecule as a figure, or its text where it is none."""
    parsed = parse_smiles(smiles)
    if not parsed.ok:
        return f"<figure><figcaption>{escape(caption)}</figcaption><code>{escape(smiles[:300]) or '–'}</code></figure>"
    silence = rdBase.BlockLogs()
    canvas = rdMolDraw2D.MolDraw2DSVG(*SIZE)
    canvas.drawOptions().clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, parsed.mol)
    canvas.FinishDrawing()
    del silence
    picture = re.sub(r"<\?xml[^>]*\?>\s*", "", canvas.GetDrawingText())
    picture = picture.replace(
        "<svg ", f'<svg role="img" aria-label="{escape(Chem.MolToSmiles(parsed.mol), quote=True)}" ', 1
    )
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}<code>{escape(smiles)}</code></figure>"


def marked(text: str, claims) -> str:
    """`text` escaped, with every claim marked: supported, unsupported, or open."""
    made, at = [], 0
    for claim in claims:
        if claim.start < at:
            continue
        kind, word = {True: ("yes", "supported"), False: ("no", "not supported"), None: ("open", "cannot be checked")}[
            claim.supported
        ]
        title = escape(f"{claim.kind}: {claim.says} – {word}", quote=True)
        made.append(f'{escape(text[at : claim.start])}<mark class="{kind}" title="{title}">{escape(claim.text)}</mark>')
        at = claim.end
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", "".join(made) + escape(text[at:]))


def article(
    row, completion: str, answer: str | None, claims: list, verdict: str, good: bool | None, drawn: bool = True
) -> str:
    """A question (its molecules `drawn`) and its answer, the `claims` of the reasoning marked; `verdict` (HTML) is green or red
    as `good` says."""
    task, think = get_task(row["task"]), parse_completion(completion, strict=False).think
    said = answer if answer is not None else completion
    known = {side: smiles for side, smiles in task.sides(row).items() if drawn and smiles != row["answer"]}
    pictures = [draw(smiles, side) for side, smiles in known.items()]
    if task.answers == "molecule":
        both = draw(said, "answer") + (draw(row["answer"], "known answer") if row["answer"] else "")
    else:
        recorded = f"<p><b>Known answer:</b> {escape(row['answer'])}</p>" if row["answer"] else ""
        both = f"<p><b>Answer:</b> {escape(said[:2000])}</p>{recorded}"
    checked = [claim for claim in claims if claim.supported is not None]
    tally = (
        f"{sum(claim.supported for claim in checked)} of {len(checked)} claims supported"
        if checked
        else "no claim to check"
    )
    colour = {True: "yes", False: "no", None: ""}[good]
    return (
        f'<article><p>{escape(task.question(row)).replace(chr(10), "<br>")}</p><div class="row">{"".join(pictures)}</div>'
        f'<div class="think">{marked(think, claims) or "no reasoning"}</div><div class="row">{both}</div>'
        f'<p><span class="verdict {colour}">{verdict}</span> · <span class="soft">{tally}</span></p></article>'
    )


def judged_article(line: dict, protocols: Protocols | None = None) -> str:
    """A line of predictions.jsonl as an article, its claims read along the steps of `protocols`."""
    row = row_of(line)
    claims = check_claims(parse_completion(line["completion"], strict=False).think, row, line["answer"], protocols)
    verdict = f"{escape(Reason(line['reason']).words)}, score {line['score']:.2f}"
    return article(row, line["completion"], line["answer"], claims, verdict, line["correct"])


def verdict(reply) -> tuple[str, bool | None]:
    """What gate and score say of a reply, and whether that is good."""
    if reply.answer is None:
        return f"no answer that can be read: {reply.reason.words}", False
    molecule = get_task(reply.row["task"]).answers == "molecule"
    if molecule and not reply.valid:
        return f"no molecule: {reply.reason.words}", False
    several = molecule and len(parse_smiles(reply.answer).fragments) > 1
    valid = "valid molecules; " if several else "a valid molecule; " if molecule else ""
    if reply.reason is Reason.UNCHANGED and reply.score is None:
        return f"{valid}{reply.reason.words}", False
    if reply.score is None:
        return f"{valid}no answer is known to compare it with", None
    return f"{valid}{reply.score.reason.words}, score {reply.score.value:.2f}", reply.score.correct


def reply_article(reply, drawn: bool = True) -> str:
    """A chemr_lite.chemist.Reply as an article."""
    return article(reply.row, reply.completion, reply.answer, reply.claims, *verdict(reply), drawn)


def write(judged: list[dict], path: Path, title: str, each: int, protocols: Protocols | None = None) -> None:
    """Write the first `each` answers of every task to `path`."""
    by_task = defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
    parts = [
        f"<h2>{escape(name)}</h2>" + "".join(judged_article(line, protocols) for line in lines[:each])
        for name, lines in by_task.items()
    ]
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>Claims of the reasoning, held against the molecules: {LEGEND}</p>{''.join(parts)}</body></html>\n",
        encoding="utf-8",
    )
