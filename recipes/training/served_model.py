"""Ask a language model that somebody else serves: any server of the OpenAI protocol (vLLM, Ollama, …).

`ServedModel.ask` sends many conversations at once and appends every answer to a file of JSON lines as soon as it comes.
The key of an answer is a digest of its question, so that a command that was killed and started again asks only what is
missing. The client retries what fails in passing; a useless answer (HTML, half a JSON, nothing) is asked for again. The
API key comes from CHEMR_API_KEY (for api.openai.com also from OPENAI_API_KEY), and is never written anywhere.
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from chemr_lite.answers import text_of_message
from recipes.training.files import append_jsonl, resume_jsonl
from recipes.training.options import UsageError

CHARACTERS_PER_TOKEN = 3  # of prompts full of SMILES, for the estimate before anything is sent
PAUSE = 0.5  # seconds before a useless answer is asked for again


FINAL = (401, 402, 403, 404)  # a wrong key, no money left, no permission, an unknown model: the same for all questions


class Refused(Exception):
    """The server refuses for good: a wrong key, an unknown model, no money left."""


@dataclass
class ServedModel:
    """A served model. `url` ends in `/v1`; `spent` counts tokens, answers, failures and retries.

    `reasons` counts what the server said about questions that it did not answer.
    """

    url: str
    model: str
    concurrency: int = 8
    tries: int = 6
    timeout: float = 180.0  # seconds
    spent: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    limit_name: str = "max_tokens"  # OpenAI's reasoning models call it max_completion_tokens
    takes_temperature: bool = True  # and refuse any temperature but their own

    def key(self) -> str:
        """Return the API key, or `none`, which local servers accept."""
        # OpenAI's own key must go to no other host
        variable = "OPENAI_API_KEY" if urlsplit(self.url).hostname == "api.openai.com" else "CHEMR_API_KEY"
        return os.environ.get("CHEMR_API_KEY") or os.environ.get(variable) or "none"

    def client(self):
        from openai import OpenAI  # a second to import, which --help must not wait for

        return OpenAI(base_url=self.url, api_key=self.key(), timeout=self.timeout, max_retries=self.tries - 1)

    def check(self) -> None:
        """Raise UsageError if no server answers or the key is refused. Warn if the server does not list the model."""
        import openai  # a second to import, which --help must not wait for

        try:
            names = [model.id for model in self.client().with_options(max_retries=0).models.list()]
        except openai.APIConnectionError as error:
            raise UsageError(
                f"{self.url}: no server answers there ({error}); start one, or check the /v1 at the end of the address"
            ) from error
        except openai.AuthenticationError as error:
            raise UsageError(f"{self.url}: the key is refused; set CHEMR_API_KEY") from error
        except Exception:  # noqa: BLE001 - many servers do not list their models, or not correctly
            return
        if names and self.model not in names:  # only a warning: some serve under other names than they list
            print(f"{self.url} does not list {self.model!r}; it lists {', '.join(names[:10])}")

    def estimate(self, questions: Iterable[list[dict]], max_tokens: int) -> tuple[int, int]:
        """Return the approximate number of prompt tokens and the largest possible number of answer tokens."""
        lengths = [sum(len(message["content"]) for message in messages) for messages in questions]
        return sum(lengths) // CHARACTERS_PER_TOKEN, len(lengths) * max_tokens

    def ask(
        self,
        questions: list[list[dict]],
        store: Path,
        max_tokens: int,
        temperature: float = 0.0,
        samples: int = 1,
        budget: int = 0,
        label: str = "asking",
    ) -> list[list[str]]:
        """Ask each of `questions` (conversations) `samples` times. Return the answers to each; failed ones are missing.

        `store` is the file that keeps them. Once prompts and answers, of all starts together, have cost `budget` tokens
        (0: no limit), nothing more is sent. Raises UsageError if the server refuses.
        """
        keys = [[self._key(messages, max_tokens, temperature, n) for n in range(samples)] for messages in questions]
        jobs = {key: messages for messages, own_keys in zip(questions, keys, strict=True) for key in own_keys}
        answers = {key: line for key, line in read_store(store).items() if key in jobs}
        self.spent["tokens"] += sum(line["tokens"] for line in answers.values())
        pending = [key for key in jobs if key not in answers]
        client, running = self.client(), {}
        with (
            ThreadPoolExecutor(self.concurrency) as pool,
            tqdm(total=len(jobs), initial=len(answers), desc=label, unit=" answers", disable=not label) as bar,
        ):

            def keep(future: Future) -> None:
                key, reply = running.pop(future), future.result()
                bar.update()
                self.spent["tokens"] += reply["tokens"]
                if reply["text"] is None:
                    self.spent["failed"] += 1
                    return
                self.spent["answered"] += 1
                answers[key] = {"key": key, "model": self.model, **reply}
                append_jsonl(store, [answers[key]])  # it is paid for, so it is kept whatever happens next

            try:
                while pending or running:
                    affordable = not budget or self.spent["tokens"] < budget
                    while affordable and pending and len(running) < self.concurrency:
                        key = pending.pop(0)
                        running[pool.submit(self._answer, client, jobs[key], max_tokens, temperature)] = key
                    if not running:
                        self.spent["left by the budget"] += len(pending)
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        keep(future)
            except Refused as error:
                raise UsageError(f"{self.url}: {error}") from error
            finally:  # refused or interrupted: requests under way are paid for all the same
                for future in [future for future in running if not future.cancel()]:
                    if future.exception() is None:
                        keep(future)
        return [[answers[key]["text"] for key in own_keys if key in answers] for own_keys in keys]

    def summary(self) -> str:
        """Return what was spent, and the commonest reasons why questions were not answered, with their numbers."""
        spent = ", ".join(f"{name}: {count:,}" for name, count in self.spent.items())
        return "\n".join([spent, *(f"  {count:,} × {reason}" for reason, count in self.reasons.most_common(3))])

    def _key(self, messages: list[dict], max_tokens: int, temperature: float, sample: int) -> str:
        # local servers take any model name, so the address belongs to it
        question = json.dumps([self.url, self.model, messages, max_tokens, temperature, sample], sort_keys=True)
        return hashlib.sha256(question.encode()).hexdigest()[:24]

    def _answer(self, client, messages: list[dict], max_tokens: int, temperature: float) -> dict:
        """Return one answer with the tokens of all tries; its `text` is None if all tries failed. Raises Refused."""
        import openai  # a second to import, which --help must not wait for

        tokens, reason = 0, "no answer"
        for attempt in range(self.tries):
            try:
                arguments = {self.limit_name: max_tokens}
                if self.takes_temperature:
                    arguments["temperature"] = temperature
                raw = client.chat.completions.with_raw_response.create(model=self.model, messages=messages, **arguments)
                self.spent["tried again"] += raw.retries_taken
                reply = raw.parse()
                if problem := getattr(reply, "error", None):  # some servers pass on an error with status 200
                    problem = problem if isinstance(problem, dict) else {"message": problem}
                    reason = self._one_line(problem.get("message"))
                    if problem.get("code") in FINAL:
                        raise Refused(f"{problem['code']}: {reason}")
                choice = reply.choices[0]
                content = text_of_message(choice.message.model_dump())
                text = content.encode("utf-8", "replace").decode()  # half a surrogate pair could not be written
                guess = (sum(len(message["content"]) for message in messages) + len(text)) // CHARACTERS_PER_TOKEN
                tokens += (reply.usage and reply.usage.total_tokens) or guess
                if text or choice.finish_reason == "length":  # no text: cut while thinking, and it would be again
                    return {"text": text, "finish": choice.finish_reason, "tokens": tokens}
            except openai.APIStatusError as error:
                reason = self._one_line(error)
                if error.status_code in FINAL or error.code == "insufficient_quota":
                    raise Refused(f"{error.status_code}: {reason}") from error
                if error.status_code == 400 and self._adapt(reason, arguments):
                    continue
                break  # this question is refused (it may be too long), or the client has retried often enough
            except openai.APIConnectionError as error:
                reason = self._one_line(error)
                break
            except Refused:
                raise
            except Exception:  # noqa: BLE001, S110 - HTML, half a JSON or no choices instead of an answer
                pass
            self.spent["tried again"] += 1
            if attempt + 1 < self.tries:
                time.sleep(PAUSE)
        self.reasons[reason] += 1
        return {"text": None, "tokens": tokens}

    def _one_line(self, message: object) -> str:
        """Return what a server said as one line without the key."""
        return " ".join(str(message).split())[:200].replace(self.key(), "…")

    def _adapt(self, reason: str, arguments: dict) -> bool:
        """Leave out or rename one of the `arguments` that the server has just refused, for this and later questions.

        Return whether that was the reason.
        """
        if "max_tokens" in arguments and "max_completion_tokens" in reason:
            self.limit_name = "max_completion_tokens"
        elif "temperature" in arguments and "temperature" in reason and "support" in reason:
            self.takes_temperature = False
        else:
            return False
        return True


def read_store(path: Path) -> dict[str, dict]:
    """Return the answers stored in `path` by key. Raises UsageError for a file that holds something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = {}
    for number, line in enumerate(resume_jsonl(path), 1):
        if "key" not in line:
            raise UsageError(f"{path}, line {number}: not a stored answer; move the file away to start anew")
        answers[line["key"]] = line
    return answers
