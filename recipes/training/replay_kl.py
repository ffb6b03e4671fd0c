"""A second KL to phase 2, on training texts: it protects what phase 3 does not practise.

GRPO's own KL is measured on sampled completions, so it holds the model only where it practises. On a small model those
are mostly the tasks that RDKit verifies, and what the other tasks have learnt wears off. Therefore each step also reads
a few training texts of tasks with gold answers: the answer, and RDKit's trace along the protocol. For every token of
them it adds KL(phase 2 ‖ now) over the whole vocabulary to the loss. That needs no sampling, so it adds no noise.

This is learning without forgetting (Li and Hoiem, arXiv 1606.09282) with GRPO as the new task.
"""

import torch
from torch.nn.functional import kl_div
from torch.nn.utils.rnn import pad_sequence
from trl.trainer.utils import use_adapter

from chemr_lite import get_task, render
from chemr_lite.mixing import Mixture
from chemr_lite.model.cpu import pad_left
from chemr_lite.protocols import load_protocols
from recipes.training import distributed
from recipes.training.options import Options

TEXTS = 16  # read in each step, spread evenly over the macro-tasks
REFERENCE = "ref"  # TRL's and Unsloth's name for the copy of the adapter that training started from


def add_replay_kl(trainer, rows: list[dict], options: Options) -> None:
    """Add `options.replay_kl` × the KL on texts of `rows` to the loss of `trainer`, a GRPOTrainer.

    The texts of a step depend on seed and step only. Its micro-batches and processes divide them among themselves. If
    the KL cannot be added, a line says why.
    """
    obstacle = None if rows else "no other training row has a known answer"
    if REFERENCE not in getattr(trainer.model, "peft_config", {}):
        obstacle = "with --beta 0 the trainer keeps no copy of phase 2"
    if obstacle:
        distributed.say(f"[grpo] without --replay-kl {options.replay_kl:g}: {obstacle}")
        return
    tokenizer, protocols = trainer.processing_class, load_protocols(options.protocols)
    mixture, grpo_loss = Mixture(rows, TEXTS, options.seed, "uniform"), trainer.compute_loss
    micro_batches = trainer.args.gradient_accumulation_steps
    parts = micro_batches * distributed.WORLD_SIZE

    def tokenise(slot: int) -> tuple[list[int], int] | None:
        """Return the token ids of the text in `slot` and the length of its prompt.

        None stands for a text longer than `max_length`, which phases 1 and 2 skipped too.
        """
        row = mixture.draw(slot)
        prompt = get_task(row["task"]).prompt(row)
        answer = {"role": "assistant", "content": render(get_task(row["task"]).trace(row, protocols), row["answer"])}
        start = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
        ids = tokenizer.apply_chat_template([*prompt, answer], tokenize=True, return_dict=False)
        return (ids, len(start)) if len(ids) <= options.max_length else None

    def divergence(model, texts: list[tuple[list[int], int]]) -> torch.Tensor:
        """Return the sum over `texts` of the mean KL over the tokens of the answer."""
        # padded as GRPO's batches are, so that a CPU reads them in the same fast way (chemr_lite.model.beginnings)
        prompts, prompt_mask = pad_left([ids[:start] for ids, start in texts], 0)
        answers = [torch.tensor(ids[start:]) for ids, start in texts]
        answer_mask = pad_sequence([torch.ones_like(answer) for answer in answers], batch_first=True)
        batch = torch.cat([prompts, pad_sequence(answers, batch_first=True)], 1).to(model.device)
        mask = torch.cat([prompt_mask, answer_mask], 1).to(model.device)

        def answer_log_probabilities() -> list[torch.Tensor]:
            logits = model(input_ids=batch, attention_mask=mask, logits_to_keep=answer_mask.shape[1] + 1).logits
            return [row[: len(answer)].float().log_softmax(-1) for row, answer in zip(logits, answers, strict=True)]

        with torch.no_grad(), use_adapter(model, REFERENCE):
            phase_2 = answer_log_probabilities()
        now = answer_log_probabilities()
        return sum(
            kl_div(now_text, phase_2_text, reduction="sum", log_target=True) / len(now_text)
            for now_text, phase_2_text in zip(now, phase_2, strict=True)
        )

    def compute_loss(model, inputs, *args, **kwargs):
        loss = grpo_loss(model, inputs, *args, **kwargs)
        part = trainer._step % micro_batches * distributed.WORLD_SIZE + trainer.accelerator.process_index
        first = trainer.state.global_step * TEXTS
        slots = range(first + part * TEXTS // parts, first + (part + 1) * TEXTS // parts)
        texts = [text for slot in slots if (text := tokenise(slot))]
        kl = divergence(trainer.accelerator.unwrap_model(model), texts) / TEXTS if texts else torch.zeros(())
        # the log averages over micro-batches and processes
        trainer._metrics["train"]["replay_kl"].append(kl.item() * parts)
        # the trainer averages over processes, but adds up micro-batches
        return loss + options.replay_kl * distributed.WORLD_SIZE * kl if texts else loss

    trainer.compute_loss = compute_loss
