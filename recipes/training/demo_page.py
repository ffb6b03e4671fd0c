"""The page of recipes/demo.py: its layout in Gradio, and what happens when a question is typed or asked."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import gradio as gr
import ipyketcher

from chemr_lite import check_claims, get_task
from chemr_lite.data.splits import sample
from chemr_lite.errors import QuestionError
from chemr_lite.model.questions import OPEN, read_question, read_words
from recipes.training.answers_html import ARTICLE_STYLE, LEGEND, WEB, draw, mark_claims, reply_article

EXAMPLES_PER_TASK = 3
NO_PHASE = "nothing"
BY_WORDING = "by its words (a task's own sentence, or an edit)"
INTRODUCTION = """# chemr-lite
Ask a model that was trained to reason about molecules and reactions: foundation has learnt answers, distill to reason \
before them, grpo has practised."""
DEMO_STYLE, OPEN_EDITOR, TAKE_DRAWING, SHOW_ANSWER = (
    (WEB / name).read_text(encoding="utf-8")
    for name in ("demo.css", "open_editor.js", "take_drawing.js", "show_answer.js")
)


def choose_examples(rows: list[dict]) -> list[dict]:
    """Return EXAMPLES_PER_TASK rows of every task; the list begins with one row of each macro-task."""
    by_task: dict[str, list[dict]] = {}
    for row in sample(rows, 9 * EXAMPLES_PER_TASK):
        by_task.setdefault(row["task"], []).append(row)
    rounds = [
        task_rows[turn] for turn in range(EXAMPLES_PER_TASK) for task_rows in by_task.values() if turn < len(task_rows)
    ]
    first_of_macro = {row["task"].split("/")[0]: row for row in reversed(rounds)}
    return [*first_of_macro.values()][::-1] + [row for row in rounds if row not in first_of_macro.values()]


class QuestionHandler:
    """Turns what is typed on the page into a preview of the question, and into answers of the models.

    `chemists` are the models by phase; `rows` are questions whose answers are known.
    """

    def __init__(self, chemists: dict, rows: list[dict]):
        self.chemists = chemists
        self.known = {(row["task"], row["input"]): row for row in rows}
        # the sub-tasks of open generation are told apart by their wording
        self.tasks = list(dict.fromkeys(OPEN if row["task"].startswith(OPEN) else row["task"] for row in rows))

    def row(self, task: str, text: str) -> dict:
        """Return the question as a row, with the answer if it is a known one. Raises QuestionError."""
        row = read_words(text or "") if task == BY_WORDING else read_question(task, text or "")
        return self.known.get((row["task"], row["input"]), row)

    def preview(self, task: str, text: str) -> str:
        """Return the molecules of a question as HTML while it is typed, or what is wrong with it."""
        if not (text or "").strip():
            return ""
        try:
            row = self.row(task, text)
        except QuestionError as error:
            return note(str(error))
        known_task = get_task(row["task"])
        sides = known_task.sides(row | {"answer": ""})  # with the answer, some tasks would give it away
        prompt = escape(known_task.instruction or row["input"])
        pictures = "".join(draw(smiles, side) for side, smiles in sides.items() if smiles)
        return f'<p class="soft">The model is asked: {prompt}</p><div class="row">{pictures}</div>'

    def ask(self, task: str, text: str, phase: str, second_phase: str) -> Iterator[tuple[str, str]]:
        """Yield the answers of both phases as HTML, again and again while they grow."""
        try:
            row = self.row(task, text)
        except QuestionError as error:
            yield note(str(error)), ""
            return
        finished: list[str] = []
        for name in dict.fromkeys(name for name in (phase, second_phase) if name != NO_PHASE):
            for html in self.write(name, row):
                yield tuple([*finished, html, ""][:2])
            finished.append(html)

    def write(self, name: str, row: dict) -> Iterator[str]:
        """Yield the answer of one phase as HTML while it grows, and judged at the end."""
        chemist, text = self.chemists[name], ""
        heading = f"<h3>{escape(name)}</h3>"
        question = escape(get_task(row["task"]).question(row)).replace("\n", "<br>")
        for text in chemist.stream(row):
            think = text.partition("</think>")[0].replace("<think>", "").strip()
            claims = check_claims(think, row, None, chemist.protocols)
            reasoning = mark_claims(think, claims)
            yield f'{heading}<article><p>{question}</p><div class="think">{reasoning}</div></article>'
        yield heading + reply_article(chemist.read(row, text), drawn=False)  # the preview shows its molecules


def note(text: str) -> str:
    """Return a message as HTML."""
    return f'<div class="note">{escape(text)}</div>'


def task_label(task: str) -> str:
    """Return the name of a task as people write it."""
    words = task.replace("_", " ").replace("/", ": ").replace("smiles", "SMILES").replace("iupac", "IUPAC")
    return words[0].upper() + words[1:]


def build(chemists: dict, rows: list[dict]) -> gr.Blocks:
    """Return the page, for `chemists` by phase (the first is asked by default) and `rows` with known answers."""
    handler, phases = QuestionHandler(chemists, rows), list(chemists)
    examples = [
        (next(task for task in handler.tasks if row["task"].startswith(task)), row["input"])
        for row in choose_examples(rows)
    ]
    first_task, first_question = next((e for e in examples if e[0] == "reaction_prediction"), examples[0])
    tasks = [BY_WORDING, *((task_label(name), name) for name in handler.tasks)]
    editor_files = Path(ipyketcher.__file__).parent / "static"
    gr.set_static_paths([editor_files])
    with gr.Blocks(title="chemr-lite", analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        gr.HTML(f"<p>Claims of the reasoning are checked against the molecules: {LEGEND}</p>")
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                task = gr.Dropdown(tasks, value=first_task, label="Task", filterable=False)
                question = gr.Textbox(
                    value=first_question, label="Question: a SMILES, a name, a description or an instruction", lines=2
                )
                with gr.Row():
                    phase = gr.Dropdown(phases, value=phases[0], label="Ask the phase", filterable=False, min_width=120)
                    second_phase = gr.Dropdown(
                        [NO_PHASE, *phases], value=NO_PHASE, label="and beside it", filterable=False, min_width=120
                    )
                ask = gr.Button("Ask", variant="primary")
            with gr.Column(scale=1, min_width=280):
                preview = gr.HTML(handler.preview(first_task, first_question), elem_id="preview")
        with gr.Accordion("Draw a molecule", open=False):
            with gr.Row():
                open_editor = gr.Button("Open the editor", elem_id="open")
                take_drawing = gr.Button("Take the drawing as the question")
            gr.HTML('<div class="place"></div>', elem_id="editor")
        with gr.Row():
            with gr.Column(min_width=320):
                left = gr.HTML(elem_id="left")
            with gr.Column(min_width=320):
                right = gr.HTML(elem_id="right")
        gr.Examples(
            [[example_question, example_task] for example_task, example_question in examples],
            [question, task],  # the question first, because a phone shows only the first column
            label="Examples, from rows that the model was not trained on",
            examples_per_page=9,
        )
        for field in (task, question):
            field.change(
                handler.preview,
                [task, question],
                preview,
                show_progress="hidden",
                trigger_mode="always_last",
                api_visibility="private",
            )
        open_editor.click(None, question, None, js=OPEN_EDITOR.replace("STATIC_FOLDER", str(editor_files)))
        take_drawing.click(None, question, question, js=TAKE_DRAWING)
        answer = {
            "fn": handler.ask,
            "inputs": [task, question, phase, second_phase],
            "outputs": [left, right],
            "show_progress": "minimal",
        }
        ask.click(None, None, None, js=SHOW_ANSWER)
        ask.click(**answer, api_name="ask")
        question.submit(**answer, api_visibility="private")
    return page.queue(default_concurrency_limit=1)


def launch_settings() -> dict:
    """Return how `launch` serves the page: on loopback, in our style, with fonts that need no server."""
    return {
        "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        "css": ARTICLE_STYLE + DEMO_STYLE,
        "footer_links": [],
        "server_name": "127.0.0.1",
        "ssr_mode": False,
        "quiet": True,
        "prevent_thread_lock": True,
    }
