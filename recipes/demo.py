"""A page to ask a trained model on: its reasoning as it is written, each claim marked, the answer drawn and judged.

    python recipes/demo.py                       # the run in outputs/nano, at http://127.0.0.1:7860
    python recipes/demo.py outputs/t4            # another run, or one phase of it, or a model folder
    python recipes/demo.py --share               # also at a public address, as Colab and Kaggle need it

The page itself asks nothing of the network. With `--share` the questions pass through Gradio's servers.
"""

import argparse
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import check_claims, data, get_task
from chemr_lite.data.splits import sample
from chemr_lite.errors import QuestionError
from chemr_lite.model.questions import OPEN, read_question, read_words
from chemr_lite.scoring.judge import row_of
from recipes.training import command
from recipes.training.answers_html import ARTICLE_STYLE, LEGEND, draw, marked, reply_article
from recipes.training.options import UsageError

EACH = 3  # example questions of a task
NONE = "nothing"
TYPED = "by its words (a task's own sentence, or an edit)"
CSS = """
.gradio-container { max-width: 72rem !important }
article, #preview .row { --body-text-color: var(--ink); background: #fff; border-radius: 8px }  /* also where all else is dark */
.note { border-left: 3px solid #b8860b; padding: .5rem .75rem; overflow-wrap: anywhere }
#editor iframe { width: 100%; height: 30rem; border: 1px solid #d5dae1; border-radius: 8px; background: #fff }
"""
# Ketcher (Apache-2.0) as ipyketcher packs it for notebooks; in a frame, so that its style sheet keeps to itself
EDITOR = """async (text) => {
  const place = document.querySelector("#editor .place");
  if (place.firstChild) return;
  const known = /^\\S+$/.test(text) ? JSON.stringify(text).replaceAll("<", "") : '""';
  const root = window.gradio_config.root.replace(/\\/$/, "") + "/gradio_api/file=%s/";
  const frame = document.createElement("iframe");
  frame.title = "molecule editor";
  frame.srcdoc = `<!doctype html><link rel="stylesheet" href="${root}widget.css"><style>body{margin:0}</style><div id="el">loading …</div>
    <script type="module">
      const {default: widget} = await import("${root}widget.js");
      const held = {initial_molecule: ${known}, return_formats: ["smiles"], height: "470px", smiles: ""};
      const model = {get: (name) => held[name], set: (name, value) => { held[name] = value }, save_changes() {}, on() {}, off() {}, send() {}};
      window.held = held;
      document.getElementById("el").textContent = "";
      await (await widget.render({model, el: document.getElementById("el")}));
    <\\/script>`;
  place.append(frame);
}
"""
TAKE = """(text) => {
  const frame = document.querySelector("#editor iframe");
  if (!frame) document.querySelector("#open").click();
  return frame?.contentWindow.held?.smiles || text;
}"""


# on a phone the answer comes below the screen
SHOW_ANSWER = """() => { if (innerWidth < 700) document.querySelector("#left").scrollIntoView({behavior: "smooth"}) }"""


def load(target: str) -> dict:
    """The phases to ask by name, the last one first; one base for all of them in memory."""
    from recipes.training.quiet import silence_libraries

    silence_libraries()
    from chemr_lite import Chemist  # brings torch, which --help must not wait for
    from chemr_lite.model.folders import phases_of

    run = Path(target)
    phases = phases_of(run)[::-1]
    if not (phases or target == "nano" or run.exists()):
        raise UsageError(
            f"{target}: no run there; train one with python recipes/grpo.py, or name a phase's directory or a model folder"
        )
    if not phases:
        return {run.name: Chemist(target)}
    first = Chemist(run / phases[0])
    return {phases[0]: first} | {name: first.load_phase(run / name) for name in phases[1:]}


def known_rows(chemist) -> list[dict]:
    """Test rows with their answers: those that the phase was evaluated on, else nano's."""
    from recipes.training.evaluation import read_judged  # brings torch

    if chemist.adapter and (chemist.adapter / "predictions.jsonl").exists():
        return [row_of(line) for line in read_judged(chemist.adapter)]
    return data.load(["nano"]).rows["test"]


def choose(rows: list[dict]) -> list[dict]:
    """EACH rows of every task, one of each macro-task first."""
    chosen = sample(rows, 9 * EACH)
    by_task: dict[str, list[dict]] = {}
    for row in chosen:
        by_task.setdefault(row["task"], []).append(row)
    rounds = [lines[turn] for turn in range(EACH) for lines in by_task.values() if turn < len(lines)]
    first = {row["task"].split("/")[0]: row for row in reversed(rounds)}
    return [*first.values()][::-1] + [row for row in rounds if row not in first.values()]


class Desk:
    """What the page does when a question is typed or asked."""

    def __init__(self, chemists: dict, rows: list[dict]):
        self.chemists = chemists
        self.known = {(row["task"], row["input"]): row for row in rows}
        # the nine of open generation are told apart by their words
        self.tasks = list(dict.fromkeys(OPEN if row["task"].startswith(OPEN) else row["task"] for row in rows))

    def row(self, task: str, text: str) -> dict:
        """The question as a row, with the answer where it is a known one. Raises QuestionError."""
        row = read_words(text or "") if task == TYPED else read_question(task, text or "")
        return self.known.get((row["task"], row["input"]), row)

    def preview(self, task: str, text: str) -> str:
        """The molecules of a question while it is typed, or what is wrong with it."""
        if not (text or "").strip():
            return ""
        try:
            row = self.row(task, text)
        except QuestionError as error:
            return note(str(error))
        sides = get_task(row["task"]).sides(row | {"answer": ""})  # of some tasks they tell the answer
        asked = f'<p class="soft">The model is asked: {escape(get_task(row["task"]).instruction or row["input"])}</p>'
        return (
            asked + f'<div class="row">{"".join(draw(smiles, side) for side, smiles in sides.items() if smiles)}</div>'
        )

    def ask(self, task: str, text: str, one: str, other: str) -> Iterator[tuple[str, str]]:
        """The two answers as HTML, again and again while they grow."""
        try:
            row = self.row(task, text)
        except QuestionError as error:
            yield note(str(error)), ""
            return
        done: list[str] = []
        for name in dict.fromkeys(name for name in (one, other) if name != NONE):
            for shown in self.write(name, row):
                yield tuple([*done, shown, ""][:2])
            done.append(shown)

    def write(self, name: str, row: dict) -> Iterator[str]:
        chemist, text = self.chemists[name], ""
        question = escape(get_task(row["task"]).question(row)).replace("\n", "<br>")
        for text in chemist.stream(row):
            think = text.partition("</think>")[0].replace("<think>", "").strip()
            claims = check_claims(think, row, None, chemist.protocols)
            yield f'<h3>{escape(name)}</h3><article><p>{question}</p><div class="think">{marked(think, claims)}</div></article>'
        yield f"<h3>{escape(name)}</h3>{reply_article(chemist.read(row, text), drawn=False)}"  # its molecules are above


def spoken(task: str) -> str:
    """The task's name as people write it."""
    words = task.replace("_", " ").replace("/", ": ").replace("smiles", "SMILES").replace("iupac", "IUPAC")
    return words[0].upper() + words[1:]


def note(text: str) -> str:
    return f'<div class="note">{escape(text)}</div>'


def build(chemists: dict, rows: list[dict]):
    """The page as gradio.Blocks."""
    import gradio as gr
    import ipyketcher

    desk, names = Desk(chemists, rows), list(chemists)
    examples = [
        [next(task for task in desk.tasks if row["task"].startswith(task)), row["input"]] for row in choose(rows)
    ]
    first = next((example for example in examples if example[0] == "reaction_prediction"), examples[0])
    static = Path(ipyketcher.__file__).parent / "static"
    gr.set_static_paths([static])
    with gr.Blocks(title="chemr-lite", analytics_enabled=False) as page:
        gr.Markdown(
            "# chemr-lite\nAsk a model that was trained to reason about molecules and reactions: foundation has learnt answers, distill to reason before them, grpo has practised."
        )
        gr.HTML(f"<p>Claims of the reasoning are held against the molecules: {LEGEND}</p>")
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                task = gr.Dropdown(
                    [TYPED, *((spoken(name), name) for name in desk.tasks)],
                    value=first[0],
                    label="Task",
                    filterable=False,
                )
                question = gr.Textbox(
                    value=first[1], label="Question: a SMILES, a name, a description or an instruction", lines=2
                )
                with gr.Row():
                    one = gr.Dropdown(names, value=names[0], label="Ask the phase", filterable=False, min_width=120)
                    other = gr.Dropdown(
                        [NONE, *names], value=NONE, label="and beside it", filterable=False, min_width=120
                    )
                button = gr.Button("Ask", variant="primary")
            with gr.Column(scale=1, min_width=280):
                picture = gr.HTML(desk.preview(*first), elem_id="preview")
        with gr.Accordion("Draw a molecule", open=False):
            with gr.Row():
                draw, take = gr.Button("Open the editor", elem_id="open"), gr.Button("Take the drawing as the question")
            gr.HTML('<div class="place"></div>', elem_id="editor")
        with gr.Row():
            with gr.Column(min_width=320):
                left = gr.HTML(elem_id="left")
            with gr.Column(min_width=320):
                right = gr.HTML(elem_id="right")
        gr.Examples(
            [example[::-1] for example in examples],  # the question first: a phone shows only the first column
            [question, task],
            label="Examples, from rows that the model was not trained on",
            examples_per_page=9,
        )
        for changed in (task, question):
            changed.change(
                desk.preview,
                [task, question],
                picture,
                show_progress="hidden",
                trigger_mode="always_last",
                api_visibility="private",
            )
        draw.click(None, question, None, js=EDITOR % static)
        take.click(None, question, question, js=TAKE)
        asked = {
            "fn": desk.ask,
            "inputs": [task, question, one, other],
            "outputs": [left, right],
            "show_progress": "minimal",
        }
        button.click(None, None, None, js=SHOW_ANSWER)
        button.click(**asked, api_name="ask")
        question.submit(**asked, api_visibility="private")
    return page.queue(default_concurrency_limit=1)


def look() -> dict:
    """How `launch` shows the page: on loopback, in our style, with fonts that no server is asked for."""
    import gradio as gr

    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    dressed = {"theme": theme, "css": ARTICLE_STYLE + CSS, "footer_links": []}
    return dressed | {"server_name": "127.0.0.1", "ssr_mode": False, "quiet": True, "prevent_thread_lock": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "target",
        nargs="?",
        default="outputs/nano",
        help="a run, one of its phases, or a model folder; default: outputs/nano",
    )
    parser.add_argument("--port", type=int, help="default: the first that is free from 7860 on")
    parser.add_argument("--share", action="store_true", help="also at a public address, for 72 hours at most")
    args = parser.parse_args()
    print(f"loading {args.target} …", flush=True)
    chemists = load(args.target)
    page = build(chemists, known_rows(next(iter(chemists.values()))))
    try:
        _, local, public = page.launch(server_port=args.port, share=args.share, **look())
    except OSError as error:
        raise UsageError(f"the page cannot be served: {error}; choose another --port") from error
    print(f"asking {', '.join(chemists)} of {args.target} at {public or local}; Ctrl+C ends it", flush=True)
    page.block_thread()


if __name__ == "__main__":
    command.run(main)
