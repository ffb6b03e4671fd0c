"""A second KL to phase 2, on training texts: it keeps what phase 3 does not practise from wearing off.

GRPO's own KL holds the model only where it practises. On a small model that is mostly the tasks whose answers are
verified, and what the others have learnt wears off meanwhile. So each step also reads a few training texts of the tasks
whose answers are known (gold, and RDKit's trace along the protocol), and pays for every token at which the model would
now choose otherwise than phase 2 did: KL(phase 2 ‖ now) over the whole vocabulary, which needs no sampling and has no
noise of its own. This is learning without forgetting (Li and Hoiem, arXiv 1606.09282), with GRPO as the new task.
"""

import torch
from torch.nn.functional import kl_div
from torch.nn.utils.rnn import pad_sequence
from trl.trainer.utils import use_adapter

from chemr_lite import build_prompt, get_task, render
from chemr_lite.mixing import Mixture
from chemr_lite.protocols import load_protocols
from recipes.training import distributed
from recipes.training.options import Options

TEXTS = 16  # a step, drawn so that macro-tasks are alike
REFERENCE = "ref"  # TRL's name for its copy of the adapter that training started from


def add_replay_kl(trainer, rows: list[dict], options: Options) -> None:
    """Add `options.replay_kl` × the KL on texts of `rows` to the loss of `trainer`, a GRPOTrainer.

    Which texts a step reads depends on seed and step alone; its micro-batches and processes share them. Prints a line
    where it cannot be added.
    """
    obstacle = None if rows else "no other training row has a known answer"
    if REFERENCE not in getattr(trainer.model, "peft_config", {}):
        # TRL makes none without a KL; Unsloth takes that part out of TRL's trainer
        obstacle = "the trainer keeps no copy of phase 2 (--beta 0, or Unsloth)"
    if obstacle:
        distributed.say(f"[grpo] without --replay-kl {options.replay_kl:g}: {obstacle}")
        return
    tokenizer, protocols = trainer.processing_class, load_protocols(options.protocols)
    mixture, grpo_loss = Mixture(rows, TEXTS, options.seed, "uniform"), trainer.compute_loss
    batches = trainer.args.gradient_accumulation_steps
    parts = batches * distributed.WORLD_SIZE

    def text_of(slot: int) -> tuple[list[int], int] | None:
        """The tokens of the text in `slot`, and how many of them are the prompt; None for one too long to have been
        learnt."""
        row = mixture.draw(slot)
        prompt = build_prompt(get_task(row["task"]).question(row))
        answer = {"role": "assistant", "content": render(get_task(row["task"]).trace(row, protocols), row["answer"])}
        start = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
        ids = tokenizer.apply_chat_template([*prompt, answer], tokenize=True, return_dict=False)
        return (ids, len(start)) if len(ids) <= options.max_length else None

    def divergence(model, texts: list[tuple[list[int], int]]) -> torch.Tensor:
        """The sum over `texts` of the mean KL of their answers' tokens."""
        tokens = [torch.tensor(ids, device=model.device) for ids, _ in texts]
        masks = [torch.ones_like(ids) for ids in tokens]
        batch, mask = pad_sequence(tokens, batch_first=True), pad_sequence(masks, batch_first=True)

        def answer_log_probabilities() -> list[torch.Tensor]:
            logits = model(input_ids=batch, attention_mask=mask).logits
            return [
                row[start - 1 : len(ids) - 1].float().log_softmax(-1)
                for row, (ids, start) in zip(logits, texts, strict=True)
            ]

        with torch.no_grad(), use_adapter(model, REFERENCE):
            before = answer_log_probabilities()
        after = answer_log_probabilities()
        return sum(
            kl_div(now, then, reduction="sum", log_target=True) / len(now)
            for now, then in zip(after, before, strict=True)
        )

    def compute_loss(model, inputs, *args, **kwargs):
        loss = grpo_loss(model, inputs, *args, **kwargs)
        part = trainer._step % batches * distributed.WORLD_SIZE + trainer.accelerator.process_index
        first = trainer.state.global_step * TEXTS
        slots = range(first + part * TEXTS // parts, first + (part + 1) * TEXTS // parts)
        texts = [text for slot in slots if (text := text_of(slot))]
        apart = divergence(trainer.accelerator.unwrap_model(model), texts) / TEXTS if texts else torch.zeros(())
        # the log averages over the micro-batches and processes
        trainer._metrics["train"]["replay_kl"].append(apart.item() * parts)
        # the trainer averages over the processes, and adds up the micro-batches
        return loss + options.replay_kl * distributed.WORLD_SIZE * apart if texts else loss

    trainer.compute_loss = compute_loss
