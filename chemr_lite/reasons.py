"""Reasons for a score. Every score carries one, so that no zero is a mystery."""

from enum import StrEnum


class Reason(StrEnum):
    """One name for each verdict; logs and tables print its value."""

    CORRECT = "correct"

    # the format (answers.py)
    MISSING_TAGS = "missing_tags"
    REPEATED_TAGS = "repeated_tags"
    MISPLACED_TEXT = "misplaced_text"

    # the gate (smiles.py)
    EMPTY = "empty"
    INNER_WHITESPACE = "inner_whitespace"
    TOO_LONG = "too_long"
    TOO_COMPLEX = "too_complex"
    REACTION_ARROW = "reaction_arrow"
    SYNTAX = "syntax"
    CHEMISTRY = "chemistry"
    NO_HEAVY_ATOM = "no_heavy_atom"
    DUMMY_ATOM = "dummy_atom"
    LONE_ATOM = "lone_atom"

    # the tasks
    FRAGMENTS = "fragments"
    WRONG = "wrong"
    WRONG_STEREO = "wrong_stereo"
    WRONG_COUNT = "wrong_count"
    UNCHANGED = "unchanged"
    NOT_IMPROVED = "not_improved"
    TOO_DIFFERENT = "too_different"
    INCOMPLETE = "incomplete"
    NOT_A_CHOICE = "not_a_choice"

    @property
    def words(self) -> str:
        """The reason in words, for readers who do not know the names."""
        return WORDS.get(self, self.value.replace("_", " "))


WORDS = {
    Reason.MISSING_TAGS: "the answer is not between its tags",
    Reason.REPEATED_TAGS: "more than one answer",
    Reason.MISPLACED_TEXT: "text outside the tags",
    Reason.INNER_WHITESPACE: "more than a SMILES",
    Reason.SYNTAX: "not SMILES: a ring or a bracket that is left open, or a letter that is no atom",
    Reason.CHEMISTRY: "atoms with impossible bonds",
    Reason.FRAGMENTS: "another number of molecules than wanted",
    Reason.UNCHANGED: "the question's own molecule",
    Reason.NOT_IMPROVED: "the property moves the wrong way",
    Reason.TOO_DIFFERENT: "too little is left of the source",
    Reason.NOT_A_CHOICE: "none of the choices",
}
