"""A page to read answers on, also used in parts by the demo and the notebooks.

It shows the question with its molecules drawn, the reasoning with each claim marked, the answer next to the known one,
and the reason of the score. It is one HTML file without scripts, which loads nothing from the network. Everything that
a model wrote is escaped.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from pathlib import Path

from rdkit import Chem, rdBase
from rdkit.Chem.Draw import rdMolDraw2D

from chemr_lite import check_claims, get_task, parse_completion, parse_smiles
from chemr_lite.claims import Claim
from chemr_lite.protocols import Protocols
from chemr_lite.reasons import Reason
from chemr_lite.scoring.judge import row_of

WEB = Path(__file__).parent / "web"
ARTICLE_STYLE = (WEB / "article.css").read_text(encoding="utf-8")
PAGE_STYLE = (WEB / "page.css").read_text(encoding="utf-8")
PICTURE_SIZE = (260, 170)  # pixels
MARKS = {True: ("yes", "supported"), False: ("no", "not supported"), None: ("open", "cannot be checked")}
LEGEND = " ".join(f'<mark class="{css_class}">{words}</mark>' for css_class, words in MARKS.values())
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{style}</style></head>\
<body><h1>{title}</h1><p>Claims of the reasoning, checked against the molecules: {legend}</p>{articles}</body></html>
"""


def draw(smiles: str, caption: str) -> str:
    """Return a molecule as an HTML figure, or its text if the gate refuses it."""
    parsed = parse_smiles(smiles)
    if not parsed.ok:
        return f"<figure><figcaption>{escape(caption)}</figcaption><code>{escape(smiles[:300]) or '–'}</code></figure>"
    with rdBase.BlockLogs():
        canvas = rdMolDraw2D.MolDraw2DSVG(*PICTURE_SIZE)
        canvas.drawOptions().clearBackground = False
        rdMolDraw2D.PrepareAndDrawMolecule(canvas, parsed.mol)
        canvas.FinishDrawing()
    picture = re.sub(r"<\?xml[^>]*\?>\s*", "", canvas.GetDrawingText())
    label = escape(Chem.MolToSmiles(parsed.mol), quote=True)
    picture = picture.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}<code>{escape(smiles)}</code></figure>"


def mark_claims(text: str, claims: Iterable[Claim]) -> str:
    """Return `text` as HTML, with every claim marked as supported, not supported, or not checkable."""
    parts, position = [], 0
    for claim in claims:
        if claim.start < position:  # overlaps the one before
            continue
        css_class, words = MARKS[claim.supported]
        title = escape(f"{claim.kind}: {claim.says} – {words}", quote=True)
        parts.append(escape(text[position : claim.start]))
        parts.append(f'<mark class="{css_class}" title="{title}">{escape(claim.text)}</mark>')
        position = claim.end
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", "".join(parts) + escape(text[position:]))


def article(
    row: dict,
    completion: str,
    answer: str | None,
    claims: list[Claim],
    verdict: str,
    good: bool | None,
    drawn: bool = True,
) -> str:
    """Return a question and its answer as an HTML article.

    `verdict` is HTML, and shown green or red as `good` says. `drawn` also draws the molecules of the question.
    """
    task, think = get_task(row["task"]), parse_completion(completion, strict=False).think
    shown_answer = answer if answer is not None else completion
    sides = {side: smiles for side, smiles in task.sides(row).items() if drawn and smiles != row["answer"]}
    pictures = "".join(draw(smiles, side) for side, smiles in sides.items())
    if task.answers == "molecule":
        answers = draw(shown_answer, "answer") + (draw(row["answer"], "known answer") if row["answer"] else "")
    else:
        known = f"<p><b>Known answer:</b> {escape(row['answer'])}</p>" if row["answer"] else ""
        answers = f"<p><b>Answer:</b> {escape(shown_answer[:2000])}</p>{known}"
    checked = [claim.supported for claim in claims if claim.supported is not None]
    tally = f"{sum(checked)} of {len(checked)} claims supported" if checked else "no claim to check"
    colour = {True: "yes", False: "no", None: ""}[good]
    question = escape(task.question(row)).replace("\n", "<br>")
    return (
        f'<article><p>{question}</p><div class="row">{pictures}</div>'
        f'<div class="think">{mark_claims(think, claims) or "no reasoning"}</div><div class="row">{answers}</div>'
        f'<p><span class="verdict {colour}">{verdict}</span> · <span class="soft">{tally}</span></p></article>'
    )


def judged_article(line: dict, protocols: Protocols | None = None) -> str:
    """Return a line of predictions.jsonl as an HTML article; its claims are read along the steps of `protocols`."""
    row = row_of(line)
    claims = check_claims(parse_completion(line["completion"], strict=False).think, row, line["answer"], protocols)
    verdict = f"{escape(Reason(line['reason']).words)}, score {line['score']:.2f}"
    return article(row, line["completion"], line["answer"], claims, verdict, line["correct"])


def verdict(reply) -> tuple[str, bool | None]:
    """Return what gate and score say about a chemr_lite.Chemist's Reply, and whether that is good (None: unknown)."""
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
    """Return a Reply as an HTML article; `drawn` also draws the molecules of the question."""
    return article(reply.row, reply.completion, reply.answer, reply.claims, *verdict(reply), drawn)


def write(judged: list[dict], path: Path, title: str, per_task: int, protocols: Protocols | None = None) -> None:
    """Write the first `per_task` answers of every task to the HTML file `path`."""
    by_task = defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
    articles = "".join(
        f"<h2>{escape(name)}</h2>" + "".join(judged_article(line, protocols) for line in lines[:per_task])
        for name, lines in by_task.items()
    )
    style = PAGE_STYLE + ARTICLE_STYLE
    page = PAGE.format(title=escape(title), style=style, legend=LEGEND, articles=articles)
    path.write_text(page, encoding="utf-8")
