"""Errors that a user can mend. Each message is one line that names the file, the value and the remedy."""


class ChemrError(ValueError):
    """Base class of the errors that a user can mend. Commands print it as one line and exit with status 2."""


class DataError(ChemrError):
    """Data that cannot be read or used."""


class ModelError(ChemrError):
    """A model, tokenizer or adapter that cannot be loaded."""


class ProtocolError(ChemrError):
    """A protocols file that cannot be used."""


class QuestionError(ChemrError):
    """A question that no task can take."""


def first_line(error: Exception) -> str:
    """Return the first line of another library's message, or its name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
