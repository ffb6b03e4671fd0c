"""The demo: the HTML it writes, and clicks through every macro-task in a headless Chromium on loopback."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from html import escape

import pytest

from chemr_lite import get_task
from chemr_lite.model.questions import read_question
from recipes import demo
from recipes.training import demo_page
from recipes.training.answers_html import verdict
from recipes.training.options import UsageError

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def chemists(smoke) -> dict:
    return demo.load(str(smoke))


@pytest.fixture(scope="module")
def rows(chemists) -> list[dict]:
    return demo.known_rows(chemists["grpo"])


@pytest.fixture(scope="module")
def handler(chemists, rows) -> demo_page.QuestionHandler:
    return demo_page.QuestionHandler(chemists, rows)


@pytest.fixture(scope="module")
def address(chemists, rows):
    page = demo_page.build(chemists, rows)
    _, local, _ = page.launch(**demo_page.launch_settings())
    yield local
    page.close()


def test_all_phases_can_be_asked_the_last_one_first(chemists):
    assert list(chemists) == ["grpo", "distill", "foundation"]
    assert len({id(chemist.model) for chemist in chemists.values()}) == 1


def test_examples_cover_every_macro_task(rows):
    chosen = demo_page.choose_examples(rows)
    assert len({row["task"].split("/")[0] for row in chosen[:9]}) == 9
    assert {row["task"] for row in chosen} == {row["task"] for row in rows}


def test_the_preview_does_not_tell_the_answer(handler):
    rows = [row for row in handler.known.values() if row["answer"] and get_task(row["task"]).answers != "text"]
    for row in rows:
        shown = handler.preview(row["task"], row["input"])
        if (
            row["answer"] not in ("Yes", "No")
            and row["answer"] not in get_task(row["task"]).sides(row | {"answer": ""}).values()
        ):
            assert f">{row['answer']}<" not in shown and f".{row['answer']}<" not in shown, row


def test_two_phases_answer_side_by_side(handler, rows):
    row = next(row for row in rows if row["task"] == "reaction_prediction")
    shown = list(handler.ask("reaction_prediction", row["input"], "grpo", "foundation"))
    assert len(shown) > 8 and shown[0][1] == ""  # it grows, the first one first
    left, right = shown[-1]
    assert left.startswith("<h3>grpo</h3>") and right.startswith("<h3>foundation</h3>")
    for html in (left, right):
        assert escape(row["answer"]) in html and re.search(
            r'class="verdict (yes|no)"', html
        )  # it is known, so it is judged
    assert escape(handler.chemists["foundation"].ask_all([row])[0].answer or "no answer that can be read") in right


def test_one_phase_alone_leaves_the_other_side_empty(handler):
    *_, (left, right) = handler.ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1", "distill", demo_page.NO_PHASE)
    verdicts = (
        "no answer is known to compare it with",
        "no answer that can be read",
        "no molecule",
        "the question's own molecule",
    )
    assert any(verdict in left for verdict in verdicts)
    assert right == ""


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("retrosynthesis", "", "The question is empty."),
        ("retrosynthesis", None, "The question is empty."),
        ("retrosynthesis", EVIL, escape("is no molecule: more than a SMILES")),
        (demo_page.BY_WORDING, "what is this?", "No task asks in these words"),
    ],
)
def test_what_cannot_be_asked_is_explained_and_escaped(handler, task, text, message):
    ((left, right),) = handler.ask(task, text, "grpo", "distill")
    assert message in left and "<script" not in left and "<img" not in left and right == ""
    assert handler.preview(task, text) in ("", left)


@pytest.mark.parametrize(
    "completion", [EVIL, f"<think>{EVIL} an amide</think>\n<answer>{EVIL}</answer>", f"<think>{EVIL}", ""]
)
def test_what_a_model_wrote_is_escaped(handler, chemists, completion, monkeypatch):
    monkeypatch.setattr(chemists["grpo"], "stream", lambda row: iter([completion[:20], completion]))
    for html in handler.write("grpo", read_question("retrosynthesis", "CNC(C)=O")):
        assert "<script" not in html and "<img" not in html


@pytest.mark.parametrize(
    ("answer", "text", "good"),
    [
        ("<answer>CC(=O)O.CN</answer>", "valid molecules; correct, score 1.00", True),
        ("<answer>CCO</answer>", "a valid molecule; another number of molecules than wanted, score 0.00", False),
        ("<answer>CC(=O)O and CN</answer>", "no molecule: more than a SMILES", False),
        ("CC(=O)O.CN", "no answer that can be read: the answer is not between its tags", False),
    ],
)
def test_the_verdict(chemists, answer, text, good):
    row = read_question("retrosynthesis", "CNC(C)=O", gold="CC(=O)O.CN")
    completion = f"<think></think>{answer}" if "answer" in answer else answer
    assert verdict(chemists["grpo"].read(row, completion)) == (text, good)


def test_twenty_at_once_are_not_mixed_up(address, chemists, rows):
    from gradio_client import Client

    tasks = ("retrosynthesis", "reaction_prediction", "molecule_captioning")
    questions = [row for row in rows if row["task"] in tasks][:20]
    client = Client(address, verbose=False)
    with ThreadPoolExecutor(20) as pool:
        shown = list(
            pool.map(
                lambda row: client.predict(row["task"], row["input"], "grpo", demo_page.NO_PHASE, api_name="/ask"),
                questions,
            )
        )
    for row, reply, (left, _) in zip(questions, chemists["grpo"].ask_all(questions), shown, strict=True):
        assert escape(row["input"]) in left and escape(row["answer"]) in left
        assert escape((reply.answer if reply.answer is not None else reply.completion)[:300]) in left


def test_no_run_there(tmp_path):
    with pytest.raises(UsageError, match="no run there; train one with python recipes/grpo.py"):
        demo.load(str(tmp_path / "none"))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser_test = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture
def page(browser, address):
    """The page in a new tab. The test fails if it asks anything but loopback, or if a script of the model runs."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    outside, dialogs = [], []
    tab.on(
        "request",
        lambda request: (
            outside.append(request.url) if not request.url.startswith((address, "data:", "blob:")) else None
        ),
    )
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.goto(address)
    tab.get_by_role("button", name="Ask", exact=True).wait_for()
    yield tab
    tab.close()
    assert outside == [] and dialogs == []


@browser_test
@pytest.mark.slow
def test_an_example_of_every_macro_task_is_asked_by_clicks(page):
    seen = set()
    for number in range(9):
        row = page.locator("table tbody tr").nth(number)
        row.click()
        task = row.locator("td").last.inner_text().strip()
        seen.add(task.split("/")[0])
        page.wait_for_function("task => document.querySelector('input[aria-label=\"Task\"]').value === task", arg=task)
        before = page.locator("#left").inner_html()
        page.get_by_role("button", name="Ask", exact=True).click()
        page.wait_for_function(
            """before => {
                const left = document.querySelector('#left');
                return left.innerHTML !== before && left.querySelector('.verdict');
            }""",
            arg=before,
        )
        assert page.locator("#left article").count() == 1
    assert len(seen) == 9


@browser_test
@pytest.mark.slow
def test_the_keyboard_is_enough(page):
    question = page.get_by_label("Question")
    question.focus()
    question.fill("CC(=O)O.CN")
    page.wait_for_function("document.querySelector('#preview').innerText.includes('CC(=O)O.CN')")
    for label in ("Ask the phase", "and beside it", "Ask"):  # in this order after the question
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        assert focused == label
    page.keyboard.press("Enter")
    page.locator("#left .verdict").wait_for()


@browser_test
@pytest.mark.slow
def test_a_script_in_a_question_is_text(page):
    question = page.get_by_label("Question")
    for text in (EVIL, "${alert(3)}", "{{7*7}}"):
        question.fill(text)
        page.get_by_role("button", name="Ask", exact=True).click()
        page.wait_for_function("text => document.querySelector('#left').innerText.includes(text)", arg=text)
        assert page.locator("#left .note").count() == 1 and page.locator("#left img, #left script").count() == 0


@browser_test
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser, address, scheme):
    tab = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    tab.goto(address)
    tab.get_by_label("and beside it").click()
    tab.get_by_role("option", name="foundation").click()
    tab.get_by_role("button", name="Ask", exact=True).click()
    tab.locator("#right .verdict").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    left, right = tab.locator("#left article").bounding_box(), tab.locator("#right article").bounding_box()
    assert left["width"] > 300 and right["y"] > left["y"] + left["height"]  # one under the other
    ink, paper = (
        tab.locator("#left article p").first.evaluate(f"p => getComputedStyle({style}")
        for style in ("p).color", "p.parentElement).backgroundColor")
    )
    assert (ink, paper) == ("rgb(27, 36, 48)", "rgb(255, 255, 255)")
    tab.close()


@browser_test
@pytest.mark.slow
def test_a_molecule_can_be_drawn(page):
    page.get_by_label("Question").fill("CC(=O)Nc1ccccc1")
    page.get_by_text("Draw a molecule").click()
    page.get_by_role("button", name="Open the editor").click()
    page.wait_for_function("document.querySelector('#editor iframe')?.contentWindow.drawing?.smiles", timeout=90_000)
    page.get_by_label("Question").fill("")
    page.get_by_role("button", name="Take the drawing").click()
    page.wait_for_function("document.querySelector('textarea').value.length > 5")
    from chemr_lite import parse_smiles

    assert parse_smiles(page.get_by_label("Question").input_value()).key == "CC(=O)Nc1ccccc1"
