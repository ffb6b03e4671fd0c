"""What phase 2 has learnt, held while phase 3 practises: a second KL, on texts instead of samples.

GRPO's own KL holds the model only where it practises. On a small model that is mostly the tasks whose answers are verified,
and what the others have learnt wears off meanwhile. Therefore each step also reads a few training texts of the tasks whose
answers are known (gold and RDKit's trace along the protocol), and pays for every token at which the model would now choose
otherwise than phase 2 did: KL(phase 2 ‖ now) over the whole vocabulary, which needs no sampling and has no noise of its own.
Learning without forgetting (Li and Hoiem, arXiv 1606.09282), with GRPO as the new task.
"""

import torch
from trl.trainer.utils import use_adapter

from chemr_lite import build_prompt, get_task, render
from chemr_lite.mixing import Mixture
from chemr_lite.protocols import load_protocols
from recipes import processes
from recipes.options import Options

TEXTS = 16  # a step, drawn so that macro-tasks are alike


def known(rows: list[dict]) -> list[dict]:
    """Those whose task has an answer to hold, where the others have many that are verified."""
    return [row for row in rows if not get_task(row["task"]).verified]


def hold(trainer, rows: list[dict], options: Options) -> None:
    """Add `options.anchor` × the KL on texts of `rows` to the loss of `trainer`, a GRPOTrainer with a reference adapter.

    Which texts a step reads depends on seed and step alone; its micro-batches and processes share them out.
    """
    tokenizer, protocols = trainer.processing_class, load_protocols(options.protocols)
    mixture, practise = Mixture(known(rows), TEXTS, options.seed, "uniform"), trainer.compute_loss
    parts = trainer.args.gradient_accumulation_steps * processes.NUMBER
    done = {}  # micro-batches of each step so far

    def text(slot: int) -> tuple[list[int], int]:
        """The tokens of the text in `slot`, and how many of them are the prompt."""
        row = mixture.draw(slot)
        prompt = build_prompt(get_task(row["task"]).question(row))
        answer = {"role": "assistant", "content": render(get_task(row["task"]).trace(row, protocols), row["answer"])}
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
        whole = tokenizer.apply_chat_template([*prompt, answer], tokenize=True, return_dict=False)
        return whole[: options.max_length], len(asked)

    def divergence(model, texts: list[tuple[list[int], int]]) -> torch.Tensor:
        """The sum over `texts` of the mean KL of their answers' tokens."""
        width = max(len(ids) for ids, _ in texts)
        ids = torch.tensor([ids + [tokenizer.eos_token_id] * (width - len(ids)) for ids, _ in texts], device=model.device)
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in texts], device=model.device)

        def told() -> torch.Tensor:
            return model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)

        with torch.no_grad(), use_adapter(model, "ref"):
            before = told()
        apart = torch.nn.functional.kl_div(told(), before, reduction="none", log_target=True).sum(-1)
        return sum(apart[i, start - 1 : len(ids) - 1].mean() for i, (ids, start) in enumerate(texts) if start < len(ids))

    def with_anchor(model, inputs, *args, **kwargs):
        step, rank = trainer.state.global_step, trainer.accelerator.process_index
        part = done.pop(step, 0) * processes.NUMBER + rank
        done.clear()
        done[step] = part // processes.NUMBER + 1
        loss = practise(model, inputs, *args, **kwargs)
        slots = range(step * TEXTS + part * TEXTS // parts, step * TEXTS + (part + 1) * TEXTS // parts)
        if slots:
            # the trainer averages over the processes, and adds up the micro-batches
            apart = divergence(trainer.accelerator.unwrap_model(model), [text(slot) for slot in slots]) * processes.NUMBER / TEXTS
            trainer._metrics["train"]["kl_anchor"].append(apart.item() * parts / processes.NUMBER)
            loss = loss + options.anchor * apart
        return loss

    trainer.compute_loss = with_anchor
