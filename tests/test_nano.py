"""nano's rows, pretraining text and tokenizer: nothing leaks between splits, and every phrase is one token."""

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from chemr_lite.answers import TAGS, build_prompt, render
from chemr_lite.chemistry.reactions import identify
from chemr_lite.chemistry.structure import count_atoms
from chemr_lite.data.rows import NANO_ROWS
from chemr_lite.data.splits import SPLITS
from chemr_lite.protocols import load_protocols
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import YesNo
from chemr_lite.tasks.open_generation import count_bonds, read_instruction
from recipes.studies.nano import blocks, molecules
from recipes.studies.nano import rows as generator
from recipes.studies.nano.corpus import countdown, lines
from recipes.studies.nano.pretrain import STAGES, orthogonalise
from recipes.studies.nano.rows import MAKERS, PRACTICE, SIZES, fresh_rows, held_out, keys, make_rows
from recipes.studies.nano.tokenizer import SPECIAL, build_tokenizer, pieces

with gzip.open(NANO_ROWS, "rt", encoding="utf-8") as file:
    ROWS = [json.loads(line) for line in file]
BY_SPLIT = {split: [row for row in ROWS if row["split"] == split] for split in SPLITS}


# rows


def test_the_embedded_rows_are_those_that_the_generator_writes():
    assert list(islice(make_rows(0), 100)) == ROWS[:100]


def test_there_are_as_many_rows_as_planned():
    counts = Counter((row["task"], row["split"]) for row in ROWS if row["answer"])
    assert counts == {
        (task, split): SIZES[task.split("/")[0]][SPLITS.index(split)] for task in MAKERS for split in SPLITS
    }


def test_rows_to_practise_are_new_questions_of_open_generation():
    practice = [row for row in ROWS if not row["answer"]]
    counts = Counter(row["task"] for row in practice)
    assert counts == {
        task: n for task in MAKERS for kind, n in PRACTICE.items() if task.startswith(f"open_generation/{kind}")
    }
    assert {row["split"] for row in practice} == {"train"} and len(counts) == 8
    answered = {row["input"] for row in ROWS if row["answer"]}
    assert len({row["input"] for row in practice} | answered) == len(practice) + len(answered)


@cache
def keys_of(split: str) -> set[str]:
    return set().union(*(keys(row) for row in ROWS if row["split"] == split))


@pytest.mark.parametrize("first, second", [("train", "validation"), ("train", "test"), ("validation", "test")])
def test_splits_share_no_molecule_and_no_pair_of_reactants(first, second):
    assert min(len(keys_of(first)), len(keys_of(second))) > 500
    assert not keys_of(first) & keys_of(second)


def test_keys_are_what_a_row_shows():
    retro = {"task": "retrosynthesis", "input": "CNC(C)=O", "answer": "CC(=O)O.CN", "meta": {}}
    edit = {"task": "open_generation/mol_edit_add", "input": "Please add …", "answer": "CCO", "meta": {"source": "CC"}}
    custom = {"task": "open_generation/mol_custom_atoms", "input": "Please generate …", "answer": "CCO", "meta": {}}
    rule = {"task": "property_prediction/rule_alert", "input": "CCO", "answer": "No", "meta": {}}
    question = "Reactant: CN\nProduct: CNC(C)=O\nList: …"
    chosen = {"task": "reagent_selection/rule_reactant", "input": question, "answer": "CC(=O)O", "meta": {}}
    assert keys(retro) == keys(chosen) == {"CNC(C)=O", "CC(=O)O.CN"}  # a single block may stand elsewhere
    assert keys(edit) == {"CC", "CCO"}
    assert keys(custom) == keys(rule) == {"CCO"}
    rows = [retro | {"split": "train"}, edit | {"split": "validation"}, rule | {"split": "test"}]
    assert held_out(rows) == {"CC", "CCO"}


def test_keys_are_canonical():
    """Two writings of one molecule would pass for two keys."""
    for key in set().union(*(keys(row) for row in ROWS[::7])):
        parsed = parse_smiles(key)
        assert ".".join(sorted(key.split("."))) == ".".join(parsed.fragments)


def test_instructions_can_be_read_back():
    open_rows = [row for row in ROWS if row["task"].startswith("open_generation/")]
    assert len(open_rows) > 1000
    for row in open_rows:
        assert read_instruction(row["input"]) == (row["task"].split("/")[1], row["meta"])


@pytest.mark.parametrize("task", [task for task in MAKERS if isinstance(get_task(task), YesNo)])
@pytest.mark.parametrize("split", SPLITS)
def test_yes_and_no_are_balanced(task, split):
    counts = Counter(row["answer"] for row in ROWS if row["task"] == task and row["split"] == split)
    assert set(counts) == {"Yes", "No"}
    assert abs(counts["Yes"] - counts["No"]) <= 1


def test_the_reaction_of_a_row_gives_its_product():
    for row in ROWS[::97]:
        if "reaction" in row["meta"]:
            sides = get_task(row["task"]).sides(row)
            assert identify(tuple(sides["reactants"].split(".")), sides["product"]) == row["meta"]["reaction"]


def test_every_reaction_has_rows():
    counts = Counter(row["meta"]["reaction"] for row in ROWS if row["task"] == "retrosynthesis")
    assert set(counts) == set(molecules.RECIPES)
    assert min(counts.values()) >= 10


# building blocks and molecules


@pytest.mark.parametrize("group", blocks.GROUPS)
def test_blocks_are_molecules(group):
    rng = random.Random(1)
    drawn = [blocks.block(rng, group) for _ in range(15)]
    assert all(parse_smiles(block).ok and parse_smiles(block).key == block for block in drawn)
    assert len(set(drawn)) > 5


def test_fresh_questions_are_new_and_their_answers_are_right():
    fresh = list(fresh_rows(2 * len(MAKERS), BY_SPLIT))
    assert Counter(row["task"] for row in fresh) == dict.fromkeys(MAKERS, 2)
    questions = {(row["task"], row["input"]) for row in ROWS}
    assert not any((row["task"], row["input"]) in questions for row in fresh)
    held = held_out(ROWS)
    assert not any(keys(row) & held for row in fresh)
    assert all(get_task(row["task"]).score(row["answer"], row).correct for row in fresh)
    assert list(fresh_rows(2 * len(MAKERS), BY_SPLIT)) == fresh


def test_of_few_questions_there_are_few_fresh_ones(monkeypatch):
    monkeypatch.setattr(generator, "TRIES", 30)
    rows = {split: [row for row in BY_SPLIT[split] if row["task"].endswith("mol_custom_groups")] for split in SPLITS}
    fresh = list(fresh_rows(600, rows))
    assert 0 < len(fresh) < 600 and len({row["input"] for row in fresh}) == len(fresh)


@pytest.mark.parametrize(
    "residue, group, expected",
    [("*CC", "O", "CCO"), ("*c1ccccc1", "C(=O)O", "O=C(O)c1ccccc1"), ("*C(C)C", "N=[N+]=[N-]", "CC(C)N=[N+]=[N-]")],
)
def test_attach(residue, group, expected):
    assert blocks.attach(residue, group) == expected


def test_reactions_are_small_and_change_something():
    rng = random.Random(2)
    for reaction in (molecules.reaction(rng) for _ in range(60)):
        assert reaction.reactants == tuple(sorted(reaction.reactants)) and reaction.product not in reaction.reactants
        assert 6 <= Chem.MolFromSmiles(reaction.product).GetNumAtoms() <= molecules.MAX_ATOMS


def test_an_edit_is_one_core_with_two_groups_at_one_place():
    rng = random.Random(3)
    for edit in (molecules.edit(rng) for _ in range(30)):
        assert edit.first_group != edit.second_group and len({edit.bare, edit.first, edit.second}) == 3
        bare = Chem.MolFromSmiles(edit.bare)
        assert all(Chem.MolFromSmiles(smiles).HasSubstructMatch(bare) for smiles in (edit.first, edit.second))


def test_the_generator_is_deterministic():
    assert [molecules.molecule(random.Random(5)) for _ in range(2)] == [molecules.molecule(random.Random(5))] * 2


# pretraining text


@pytest.mark.parametrize("shares", STAGES.values(), ids=STAGES)
def test_the_pretraining_text_shows_nothing_that_is_held_out(shares):
    forbidden = keys_of("validation") | keys_of("test")
    shown = list(islice(lines(random.Random(1), forbidden, pieces(), **shares), 2000))
    # a single building block may appear, also where a line says what another block needs
    pieces_shown = {
        piece for line in shown for piece in re.split(r"\s|>>|<<|:", re.sub(r" from .*", "", line))
    } & forbidden
    assert not pieces_shown
    # the same text without the rule does show some: the test above can fail
    careless = islice(lines(random.Random(1), set(), pieces(), **shares), 2000)
    assert any(forbidden.intersection(re.split(r"\s|>>|<<|:", line)) for line in careless)


def test_the_pretraining_text_is_no_question():
    instructions = [task.instruction for task in map(get_task, MAKERS) if task.instruction]
    text = [line for line in islice(lines(random.Random(4), set(), ["C"]), 500) if " = C" not in line]
    assert not any(phrase in line for line in text for phrase in [*instructions, *TAGS, "Please"])


def test_every_kind_of_line_is_written():
    text = "\n".join(islice(lines(random.Random(6), set(), ["C"]), 500))
    signs = [">>", "<<", "=", "→", "←"]
    words = ["has", "in", "plus", "minus", "named", "draws", "told", "needs", "uses", "beside"]
    assert all(sign in text for sign in [*signs[:2], *(f" {word} " for word in [*signs[2:], *words])])
    assert not re.search(": C 1 3", text)  # lines that count come in the later stages
    counting = "\n".join(islice(lines(random.Random(6), set(), ["C"], **STAGES["tallying"]), 200))
    assert re.search(r" in \d+ [a-z ,0-9]+: \S+ \d+,.* = ", counting) and re.search(
        r" has formula: \S+ \d.* = C\d*H", counting
    )


@pytest.mark.parametrize(
    "smiles",
    [
        "C[C@H](N)C(=O)O",
        "F/C=C/Cl",
        "[Na+].[O-]c1ccccc1Br",
        "C1CC2CC1C2",
        "c1ccc2[nH]ccc2c1",
        "C%10CCCCC%10",
        "N#CC[13CH3]",
        "[Cu+2]<-N",
    ],
)
def test_counting_down_spells_the_molecule_and_ends_at_nothing(smiles):
    mol = Chem.MolFromSmiles(smiles)
    canonical = Chem.MolToSmiles(mol)
    for kind, counts in (("atoms", count_atoms(mol)), ("bonds", count_bonds(mol))):
        entries = [entry.split(" ") for entry in countdown(mol, kind, counts).split(",")]
        assert "".join(text for text, *_ in entries) == canonical
    symbols = [atom.GetSymbol() for atom in Chem.MolFromSmiles(canonical).GetAtoms()]
    atoms = [entry.split(" ")[1] for entry in countdown(mol, "atoms", count_atoms(mol)).split(",")]
    assert set(dict(zip(symbols, atoms, strict=True)).values()) == {"0"}  # after the last atom of each element


@pytest.mark.parametrize(
    "smiles, kind, counts, text",
    [
        ("CCO", "atoms", {"carbon": 2, "oxygen": 1}, "C 1,C 0,O 0"),
        ("C=CC", "bonds", {"single": 1, "double": 1}, "C,=C 0,C 0"),
        ("c1ccccc1", "bonds", {"aromatic": 6, "rotatable": 0}, "c1,c 5,c 4,c 3,c 2,c1 0"),
    ],
)
def test_counting_down(smiles, kind, counts, text):
    assert countdown(Chem.MolFromSmiles(smiles), kind, counts) == text


def test_full_precision_makes_the_same_step():
    """The iteration in full precision agrees with torch's own, which is in bf16."""
    from torch.optim._muon import _zeropower_via_newtonschulz

    for shape in ((64, 192), (192, 64)):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        settings = (3.4445, -4.775, 2.0315), 5, 1e-7
        update = orthogonalise(gradient, *settings)
        assert update.shape == shape and torch.allclose(
            update, _zeropower_via_newtonschulz(gradient, *settings).float(), atol=0.01
        )
        values = torch.linalg.svdvals(update)
        assert values.min() > 0.2 and values.max() < 1.5


# tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def encode(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("name", MAKERS)
def test_instructions_and_headings_are_one_token(tokenizer, name):
    task = get_task(name)
    if task.instruction:
        assert encode(tokenizer, task.instruction) == [task.instruction]
    if task.label:
        assert encode(tokenizer, f"{task.instruction}\n{task.label}: CCO")[1] == f"\n{task.label}: "
    headings = [
        f"{'' if n == 1 else chr(10)}{n}. **{step.heading}:**"
        for n, step in enumerate(load_protocols("nano").of(name), 1)
    ]
    trace = next(get_task(name).trace(row, load_protocols("nano")) for row in ROWS if row["task"] == name)
    assert (trace is None) == (not headings) == name.startswith("open_generation")
    if trace:
        assert all(encode(tokenizer, heading) == [heading] for heading in headings)
        assert [token for token in encode(tokenizer, trace) if "**" in token] == headings  # and inside a trace too


@pytest.mark.parametrize(
    "piece", [*TAGS, " amide coupling", " carboxylic acid", "[C@@H]", "Cl", "Br", "[N+]", "<think>\n", " 42"]
)
def test_pieces_are_one_token(tokenizer, piece):
    assert encode(tokenizer, piece) == [piece]


def test_tags_are_ordinary_text(tokenizer):
    """As special tokens they would vanish when a trainer decodes, and no completion would have the format."""
    text = render("because", "CCO")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert not set(TAGS) & set(tokenizer.all_special_tokens)


def test_rows_fit_in_few_tokens(tokenizer):
    by_task = defaultdict(list)
    for row in ROWS[::41]:
        question, trace = get_task(row["task"]).question(row), get_task(row["task"]).trace(row, load_protocols("nano"))
        by_task[row["task"]].append(len(encode(tokenizer, question + render(trace, row["answer"]))))
    assert len(by_task) == len(MAKERS)
    assert max(max(sizes) for sizes in by_task.values()) < 256


def test_the_conversation(tokenizer):
    prompt = build_prompt("What is CCO?")
    question = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    assert question == "<|user|>What is CCO?<|assistant|>"
    conversation = tokenizer.apply_chat_template(
        [*prompt, {"role": "assistant", "content": render("a", "Yes")}], tokenize=False
    )
    assert conversation == question + render("a", "Yes") + "<|end|>"  # the reasoning is kept


def test_the_tokenizer_is_the_same_on_every_call(tokenizer):
    again = build_tokenizer()
    assert again.get_vocab() == tokenizer.get_vocab()
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))  # no token twice, none left out
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL] == [0, 1, 2, 3]


ANYTHING = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.one_of(st.sampled_from([*pieces(), "<0x41>", "\n", "\r\n", "  ", "\t"]), st.text(max_size=3)), max_size=12
    ).map("".join),
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(text=ANYTHING)
def test_any_text_survives_the_round_trip(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
