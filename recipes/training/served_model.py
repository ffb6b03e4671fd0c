"""Asking a language model that someone else serves: any server that speaks the OpenAI protocol (vLLM, Ollama, …).

`ServedModel.ask` sends many conversations at once and keeps every answer in a file of JSON lines the moment it comes,
under a key made of the question: stopped, killed or started again it asks only what is missing. The client retries what
fails in passing; an answer of no use (HTML, half a JSON, nothing) is asked for again. The key of the service comes from
CHEMR_API_KEY (for OpenAI's own, OPENAI_API_KEY will do), and is written nowhere.
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

from recipes.training.files import append_jsonl, resume_jsonl
from recipes.training.options import UsageError

CHARACTERS_PER_TOKEN = 3  # of prompts full of SMILES, for the estimate before anything is sent
PAUSE = 0.5  # seconds before an answer of no use is asked for again


class Refused(Exception):
    """The server will not answer, however often it is asked: a wrong key, an unknown model."""


@dataclass
class ServedModel:
    """A served model: `url` up to and with `/v1`, and how to ask it."""

    url: str
    model: str
    concurrency: int = 8
    tries: int = 6
    timeout: float = 180.0  # seconds
    spent: Counter = field(default_factory=Counter)

    def key(self) -> str:
        """Return the key of the service, `none` where there is none: local servers want no key."""
        # OpenAI's own key goes to no other host
        own = "OPENAI_API_KEY" if urlsplit(self.url).hostname == "api.openai.com" else "CHEMR_API_KEY"
        return os.environ.get("CHEMR_API_KEY") or os.environ.get(own) or "none"

    def client(self):
        from openai import OpenAI  # takes a second, and only few commands ask a server

        return OpenAI(base_url=self.url, api_key=self.key(), timeout=self.timeout, max_retries=self.tries - 1)

    def check(self) -> None:
        """Raise UsageError, with the remedy, if no server answers; warn if it does not list the model."""
        import openai

        try:
            served = [model.id for model in self.client().with_options(max_retries=0).models.list()]
        except openai.APIConnectionError as error:
            raise UsageError(
                f"{self.url}: no server answers there ({error}); start one, or mind the /v1 at the end of the address"
            ) from error
        except openai.AuthenticationError as error:
            raise UsageError(f"{self.url}: the key is refused; put it into CHEMR_API_KEY") from error
        except Exception:  # noqa: BLE001 - many servers do not list their models, or not as they should
            return
        if served and self.model not in served:  # some serve under other names than they list
            print(f"{self.url} does not list {self.model!r}; it lists {', '.join(served[:10])}")

    def estimate(self, questions: Iterable[list[dict]], max_tokens: int) -> tuple[int, int]:
        """Return the tokens of the prompts, about, and of the answers, at most."""
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
        """Return the answers to each of `questions` (conversations), `samples` of each, less those that never came.

        `store` keeps them over a kill. `budget` is the number of tokens, prompts and answers together, after which
        nothing more is sent; 0: none. Counts stand in `spent` afterwards. Raises UsageError if the server refuses.
        """
        keys = [[self._key(messages, max_tokens, temperature, n) for n in range(samples)] for messages in questions]
        jobs = {key: messages for messages, own in zip(questions, keys, strict=True) for key in own}
        answers = {key: line for key, line in read_store(store).items() if key in jobs}
        self.spent["tokens"] += sum(
            line["tokens"] for line in answers.values()
        )  # the budget is for all starts together
        left = [key for key in jobs if key not in answers]
        client, running = self.client(), {}
        with (
            ThreadPoolExecutor(self.concurrency) as pool,
            tqdm(total=len(jobs), initial=len(answers), desc=label, unit=" answers", disable=not label) as bar,
        ):

            def keep(done: Future) -> None:
                key, reply = running.pop(done), done.result()
                bar.update()
                self.spent["tokens"] += reply["tokens"]
                if reply["text"] is None:
                    self.spent["failed"] += 1
                    return
                self.spent["answered"] += 1
                answers[key] = {"key": key, "model": self.model, **reply}
                append_jsonl(store, [answers[key]])  # what is paid for is kept, whatever happens next

            try:
                while left or running:
                    while left and len(running) < self.concurrency and not (budget and self.spent["tokens"] >= budget):
                        key = left.pop(0)
                        running[pool.submit(self._answer, client, jobs[key], max_tokens, temperature)] = key
                    if not running:
                        self.spent["left by the budget"] += len(left)
                        break
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        keep(done)
            except Refused as error:
                raise UsageError(f"{self.url}: {error}") from error
            finally:  # refused or interrupted: what is under way is paid for all the same
                for done in [future for future in running if not future.cancel()]:
                    if done.exception() is None:
                        keep(done)
        return [[answers[key]["text"] for key in own if key in answers] for own in keys]

    def _key(self, messages: list[dict], max_tokens: int, temperature: float, sample: int) -> str:
        question = json.dumps([self.model, messages, max_tokens, temperature, sample], sort_keys=True)
        return hashlib.sha256(question.encode()).hexdigest()[:24]

    def _answer(self, client, messages: list[dict], max_tokens: int, temperature: float) -> dict:
        """Return one answer (`text` is None after the last try) with the tokens of all tries. Raises Refused."""
        import openai

        used = 0
        for attempt in range(self.tries):
            try:
                raw = client.chat.completions.with_raw_response.create(
                    model=self.model, messages=messages, max_tokens=max_tokens, temperature=temperature
                )
                self.spent["tried again"] += raw.retries_taken
                reply = raw.parse()
                choice = reply.choices[0]
                text = (choice.message.content or "").encode("utf-8", "replace").decode()  # half a surrogate is no text
                guess = (sum(len(message["content"]) for message in messages) + len(text)) // CHARACTERS_PER_TOKEN
                used += (reply.usage and reply.usage.total_tokens) or guess
                if text or choice.finish_reason == "length":  # cut while it was still thinking: it would be again
                    return {"text": text, "finish": choice.finish_reason, "tokens": used}
            except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
                reason = " ".join(str(error).split())[:200].replace(self.key(), "…")
                raise Refused(f"{error.status_code}: {reason}") from error
            except (openai.APIStatusError, openai.APIConnectionError):
                break  # this question is refused (too long, perhaps), or the client has tried often enough
            except Exception:  # noqa: BLE001, S110 - HTML, half a JSON or no choices in place of an answer
                pass
            self.spent["tried again"] += 1
            if attempt + 1 < self.tries:
                time.sleep(PAUSE)
        return {"text": None, "tokens": used}


def read_store(path: Path) -> dict[str, dict]:
    """Return the answers kept in `path` by key. Raises UsageError for a file that holds something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = {}
    for number, line in enumerate(resume_jsonl(path), 1):
        if "key" not in line:
            raise UsageError(f"{path}, line {number}: no answer that was kept here; move the file away to start anew")
        answers[line["key"]] = line
    return answers
