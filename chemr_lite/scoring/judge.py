"""Judge one completion: its score, reason, format and claims, as a line of predictions.jsonl."""

from chemr_lite.answers import parse_completion
from chemr_lite.claims import check_claims, count_claims
from chemr_lite.protocols import Protocols
from chemr_lite.rewards import score_completion
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row


def judge(row: Row, completion: str, strict: bool = True, protocols: Protocols | None = None) -> dict:
    """Return the line of predictions.jsonl for `completion`.

    `claims` counts the different claims in the reasoning that can be checked, read along the steps of `protocols`, and
    `supported` those that the molecules support. `valid` is None where the answer is no molecule. Without `strict`
    (other people's models) an answer outside our format is scored as well, and one in Markdown or LaTeX. `format` is
    False for the first all the same.
    """
    parsed = parse_completion(completion)
    in_format = parsed.answer is not None
    if strict:
        score = score_completion(completion, row)
    else:
        parsed = parse_completion(completion, strict=False)
        score = get_task(row["task"]).score(parsed.answer, row)
    answer = parsed.answer
    supported, checkable = count_claims(check_claims(parsed.think, row, answer, protocols))
    is_molecule = get_task(row["task"]).answers == "molecule"
    return {
        "task": row["task"],
        "input": row["input"],
        "gold": row["answer"],
        "meta": dict(row["meta"]),
        "completion": completion,
        "answer": answer,
        "score": score.value,
        "correct": score.correct,
        "reason": str(score.reason),
        "format": in_format,
        "valid": (answer is not None and parse_smiles(answer).ok) if is_molecule else None,
        "claims": checkable,
        "supported": supported,
    }


def row_of(line: dict) -> dict:
    """Return the row that a line of predictions.jsonl answers."""
    return {"task": line["task"], "input": line["input"], "answer": line["gold"], "meta": line["meta"]}
