"""nano's tokenizer: atoms of SMILES, the words and fixed phrases of the tasks, and bytes for everything else.

A phrase (a task's instruction, a step's heading, a reaction's name) is one token, so that a row takes about a hundred
tokens. Text that no piece covers falls back to characters and bytes, so any text survives the round trip.
"""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from chemr_lite.answers import TAGS
from chemr_lite.chemistry.groups import FUNCTIONAL_GROUPS
from chemr_lite.chemistry.structure import ELEMENTS
from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import BONDS, TOMG_GROUPS
from recipes.studies.nano.molecules import EDIT_GROUPS, RECIPES
from recipes.studies.nano.names import ACYL, ALKYL, PREFIXES, frames
from recipes.studies.nano.rows import MAKERS

SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
ATOMS = (
    "Cl", "Br", "[nH]", "[N+]", "[O-]", "[N-]", "[NH+]", "[NH2+]", "[NH3+]", "[n+]", "[Na+]", "[K+]", "[H]", "[Si]",
    "[Se]", "[C@H]", "[C@@H]", "[C@]", "[C@@]", "[S@]", "[S@@]", "[Cl-]", "[Br-]", "[Mg]", "[Li]", "[Pd]", "[Fe]",
    "[Cu]", "[Mn]", "[Li+]", "[OH-]", "[BH3-]", "[BH4-]",
)  # fmt: skip
WORDS = (
    "has", "in", "plus", "minus", "none", "=", "→", "←", "about", "donors", "acceptors", "heavy atoms", "rings",
    "aromatic", "aliphatic", "rotatable bonds", "alerts", "LogP", "MR", "QED", "Yes", "No", "atoms", "bonds", "groups",
    "with", "a", "an", "increase", "decrease", "hydrogens", "formula", "from", "needs", "uses", "beside", "named",
    "told", "draws", "substituents", "Grignard addition",
)  # fmt: skip
PHRASES = (
    "Please add", "Please remove", "Please substitute", " to the molecule ", " from the molecule ", " in the molecule ",
    "Please increase the", "Please decrease the", " value of the molecule ", "Please generate a molecule with",
    "Reactant: ", "\nProduct: ", "\nList: ", ", ", "The molecule is a ", "The molecule is an ", " that is ",
    " substituted by ", " at ", ". It has ", "<think>\n", "\n</think>\n<answer>", "<think></think>\n<answer>", "<<",
    ">>",
)  # fmt: skip
# number of the step in a trace → its headings. Another heading falls back to characters; adding one here changes the
# vocabulary, so it needs a new base model (recipes/studies/nano/pretrain.py)
HEADINGS = {
    1: (
        "Functional groups", "Heavy atoms", "Core structure", "Structure", "Reaction type", "Product analysis",
        "Requirement",
    ),
    2: (
        "Rings", "Hydrogens", "Key elements", "Hindrance", "Needed", "Reaction type", "Counts", "Estimate",
        "Functional groups",
    ),
    3: ("Heavy atoms", "Stereochemistry", "Verdict", "Group changes", "Disconnection", "Change", "Rings"),
    4: ("Product", "Reactants", "Result", "Check"),
}  # fmt: skip
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'user' %}<|user|>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<|assistant|>{{ m.content }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)  # without the system message: nano has one job, and its context is short


def pieces() -> list[str]:
    """Return everything that is one token, except special tokens, characters and bytes, longest first."""
    names = {*FUNCTIONAL_GROUPS, *RECIPES, *TOMG_GROUPS, *EDIT_GROUPS, *ELEMENTS, *BONDS, *WORDS}
    names |= {*PREFIXES, *ALKYL, "acetic acid", "ethanamine", "ethanone", "methanol"}
    names |= {acyl + "amide" for acyl in ACYL}
    names |= {word for frame in frames()[0] for word in (frame.core, frame.kind)}
    texts = {*ATOMS, *PHRASES, *TAGS, *names, *(f" {name}" for name in names), *(f" {n}" for n in range(100))}
    for task in map(get_task, MAKERS):
        texts.add(task.instruction)
        if task.label:
            texts.add(f"\n{task.label}: ")
    for i, headings in HEADINGS.items():
        texts |= {f"{'' if i == 1 else chr(10)}{i}. **{heading}:**" for heading in headings}
    return sorted((text for text in texts if len(text) > 1), key=lambda text: (-len(text), text))


def build_tokenizer():
    """Return the tokenizer as a transformers `PreTrainedTokenizerFast`. Each call builds the same one."""
    from transformers import PreTrainedTokenizerFast  # seconds to import, which pretrain.py --help must not wait for

    words = pieces()
    characters = [chr(c) for c in range(32, 127)] + ["\n"]
    vocabulary = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *characters, *words]
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(vocabulary)}, merges=[], byte_fallback=True, ignore_merges=True)
    )
    split = "|".join(re.escape(piece).replace("\\\n", "\\n") for piece in words) + r"|[\s\S]"
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(split), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        padding_side="left",
    )
