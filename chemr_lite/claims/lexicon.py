"""The words that chemists and language models use for groups, rings and reactions, loaded from the YAML files beside.

groups.yaml, rings.yaml and reactions.yaml say how to add a word. A word often has a narrower and a wider sense (is a
phenol an alcohol? is the OH of an acid a hydroxyl group?). It then has several patterns, and a claim holds if one of
them makes it true.
"""

from pathlib import Path

import yaml

from chemr_lite.chemistry.groups import AMINE, FUNCTIONAL_GROUPS
from chemr_lite.chemistry.reactions import NAMES


def load_table(file: str) -> dict:
    """Return the content of a YAML file of this folder."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser in C is ten times faster, where PyYAML has it
    return yaml.load((Path(__file__).parent / file).read_text(encoding="utf-8"), Loader=loader)


def _patterns(name: str, entry: dict) -> tuple[str, ...]:
    """Return the SMARTS of a group, that of FUNCTIONAL_GROUPS first."""
    own = [FUNCTIONAL_GROUPS[name]] if name in FUNCTIONAL_GROUPS else []
    return (*own, *(smarts.replace("{AMINE}", AMINE) for smarts in entry.get("patterns", ())))


_groups, _rings, _reactions = map(load_table, ("groups.yaml", "rings.yaml", "reactions.yaml"))

GROUPS: dict[str, tuple[str, ...]] = {
    name: _patterns(name, _groups.get(name, {})) for name in dict.fromkeys((*FUNCTIONAL_GROUPS, *_groups))
}
"""SMARTS by the name of a group, one for each sense of the name."""

RINGS: dict[str, tuple[str, ...]] = {name: ("|".join(entry["forms"]),) for name, entry in _rings.items()}
"""SMARTS by the name of a ring. Isomers stand in one string, separated by `|`: their counts are added up."""

WORDS: dict[str, tuple[str, str]] = {}
"""Every word or phrase, in lower case → (kind, name): ("group", "nitrile") for `cyano`."""
for _kind, _table, _entries in (("group", GROUPS, _groups), ("ring", RINGS, _rings)):
    for _name in _table:
        _entry = _entries.get(_name, {})
        for _word in (*([_name] if _entry.get("name_is_a_word", True) else []), *_entry.get("synonyms", ())):
            WORDS.setdefault(_word.lower(), (_kind, _name))

REACTION_WORDS: dict[str, tuple[tuple[str, ...], bool]] = {}
"""Every word for a reaction, in lower case → the names it may mean, and whether it is wrong where none of them fits."""
for _name in NAMES:
    _entry = _reactions["names"].get(_name, {})
    for _word in (_name, *_entry.get("synonyms", ())):
        REACTION_WORDS.setdefault(_word.lower(), ((_name, *_entry.get("may_also_be", ())), True))

REACTION_FAMILIES: set[str] = set()
"""The words, in lower case, that several named reactions share."""
for _family in _reactions["families"]:
    for _word in map(str.lower, _family["words"]):
        REACTION_FAMILIES.add(_word)
        REACTION_WORDS[_word] = (tuple(_family["members"]), _family["complete"])
for _word in _reactions["without_template"]:
    REACTION_WORDS[_word.lower()] = ((), True)
