"""Asking a language model that someone else serves: any server that speaks the OpenAI protocol (vLLM, Ollama, a hosted API).

`Server.ask` sends many conversations at once, tries again what failed in passing, and keeps every answer in a file of JSON
lines the moment it comes, under a key made of the question: stopped, killed or started again it asks only what is
missing. The key of the service comes from CHEMR_API_KEY (for OpenAI's own, OPENAI_API_KEY will do), and is written
nowhere.
"""

import hashlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from recipes.options import UsageError

CHARACTERS_PER_TOKEN = 3  # of prompts full of SMILES, for the estimate before anything is sent
MAX_WAIT = 60.0  # seconds between two tries


class Refused(Exception):
    """The server will not answer, however often it is asked: a wrong key, an unknown model."""


@dataclass
class Server:
    """A served model: `url` up to and with `/v1`, and how to ask it."""

    url: str
    model: str
    concurrency: int = 8
    tries: int = 6
    timeout: float = 180.0
    first_wait: float = 1.0  # seconds before the second try; doubled for each further one
    spent: Counter = field(default_factory=Counter)

    def key(self) -> str:
        own = "OPENAI_API_KEY" if urlsplit(self.url).hostname == "api.openai.com" else "CHEMR_API_KEY"  # it goes nowhere else
        return os.environ.get("CHEMR_API_KEY") or os.environ.get(own) or "none"  # local servers want no key

    def client(self):
        from openai import OpenAI

        return OpenAI(base_url=self.url, api_key=self.key(), timeout=self.timeout, max_retries=0)

    def check(self) -> None:
        """Raise UsageError, with what to do, if no server answers; warn if it does not list the model."""
        import openai

        try:
            served = [model.id for model in self.client().models.list()]
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
        """Tokens (of the prompts, about; of the answers, at most)."""
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
        show: str = "asking",
    ) -> list[list[str]]:
        """The answers to each of `questions` (conversations), `samples` of each; what could not be had is left out.

        `budget` is the number of tokens, prompts and answers together, after which nothing more is sent; 0: none.
        Raises UsageError if the server refuses for good. Counts stand in `spent` afterwards.
        """
        from tqdm import tqdm

        keys = [[self._key(messages, max_tokens, temperature, n) for n in range(samples)] for messages in questions]
        jobs = {key: messages for messages, own in zip(questions, keys, strict=True) for key in own}
        had = {key: line for key, line in read_store(store).items() if key in jobs}
        self.spent["tokens"] += sum(line["tokens"] for line in had.values())  # the budget is for all starts together
        left = [key for key in jobs if key not in had]
        client, running = self.client(), {}
        with (
            store.open("a", encoding="utf-8") as file,
            ThreadPoolExecutor(self.concurrency) as pool,
            tqdm(total=len(jobs), initial=len(had), desc=show, unit=" answers", disable=not show) as bar,
        ):

            def keep(done: Future) -> None:
                key, reply = running.pop(done), done.result()
                bar.update()
                self.spent["tokens"] += reply["tokens"]
                if reply["text"] is None:
                    self.spent["failed"] += 1
                    return
                self.spent["answered"] += 1
                had[key] = {"key": key, "model": self.model, **reply}
                file.write(json.dumps(had[key]) + "\n")
                file.flush()  # what is paid for is kept, whatever happens next

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
        return [[had[key]["text"] for key in some if key in had] for some in keys]

    def _key(self, messages: list[dict], max_tokens: int, temperature: float, sample: int) -> str:
        asked = json.dumps([self.model, messages, max_tokens, temperature, sample], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:24]

    def _answer(self, client, messages: list[dict], max_tokens: int, temperature: float) -> dict:
        """One answer (`text` is None after the last try) with the tokens of all tries. Raises Refused."""
        import openai

        used = 0
        for attempt in range(self.tries):
            pause = min(MAX_WAIT, self.first_wait * 2**attempt) * random.uniform(0.5, 1.0)
            try:
                reply = client.chat.completions.create(model=self.model, messages=messages, max_tokens=max_tokens, temperature=temperature)
                choice = reply.choices[0]
                text = (choice.message.content or "").encode("utf-8", "replace").decode()  # half a surrogate pair is no text
                guess = (sum(len(message["content"]) for message in messages) + len(text)) // CHARACTERS_PER_TOKEN
                used += (reply.usage and reply.usage.total_tokens) or guess
                if text or choice.finish_reason == "length":  # cut while it was still thinking: it would be again
                    return {"text": text, "finish": choice.finish_reason, "tokens": used}
            except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
                raise Refused(f"{error.status_code}: {_one_line(error).replace(self.key(), '…')}") from error
            except (openai.BadRequestError, openai.UnprocessableEntityError):  # this question, not the server: too long, perhaps
                break
            except openai.APIStatusError as error:
                asked_for = error.response.headers.get("retry-after", "")
                pause = max(pause, min(MAX_WAIT, float(asked_for))) if asked_for.replace(".", "").isdigit() else pause
            except Exception:  # noqa: BLE001 - time-outs, cut connections, HTML or half a JSON in place of an answer
                pass
            self.spent["tried again"] += 1
            if attempt + 1 < self.tries:
                time.sleep(pause)
        return {"text": None, "tokens": used}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def read_store(path: Path) -> dict[str, dict]:
    """The answers kept in `path` by key. A last line that a kill cut short is taken off the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, dict] = {}
    held_bytes, whole = path.read_bytes() if path.exists() else b"", b""
    for number, line in enumerate(held_bytes.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break  # cut short
        try:
            held = json.loads(line)
            kept[held["key"]] = held
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{path}, line {number}: no answer that was kept here; move the file away to start anew") from None
        whole += line
    if whole != held_bytes:
        path.write_bytes(whole)
    return kept
