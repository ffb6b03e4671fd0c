"""Multi-task balance: scaling of groups, weights that follow what can be learnt, draws that can be resumed."""

import json
import random
from collections import Counter
from itertools import pairwise
from statistics import fmean, stdev

import pytest
import torch

from chemr_lite.answers import build_prompt
from chemr_lite.mixing import MT_GRPO_LAMBDA, MT_GRPO_RATE, SAMPLING, SCALING, SMOOTHING, WEIGHT_FLOOR, Mixture
from chemr_lite.registry import balance_shares
from chemr_lite.tasks import get_task, list_tasks

RETRO, FORWARD, BBBP, HIV, ADD = (
    "retrosynthesis",
    "reaction_prediction",
    "property_prediction/bbbp",
    "property_prediction/hiv",
    "open_generation/mol_edit_add",
)
TASKS = (RETRO, FORWARD, BBBP, HIV, ADD)
SPREAD, EQUAL = [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]  # a group with signal, and one without


def rows(tasks=TASKS, each=20):
    return [
        {"task": task, "input": f"{task} {i}", "answer": "CCO", "split": "train", "meta": {"n": i}}
        for task in tasks
        for i in range(each)
    ]


def advantages(scaled):
    return [value - fmean(scaled) for value in scaled]


def largest(values):
    return max(abs(value) for value in values)


# scaling


def scale(*groups, scaling="group-floor", tasks=None):
    tasks = tasks or [RETRO] * len(groups)
    mixture = Mixture(rows(), len(groups), scaling=scaling)
    mixture.observe(tasks, groups)
    return mixture.scale(tasks, groups)


def scaled_advantages(*groups, scaling):
    """Return the advantages that TRL computes from scaled rewards: it subtracts the mean of each group."""
    return [advantages(group) for group in scale(*groups, scaling=scaling)]


EXACT = [1.0, 1.0, 2.0, 0.0]  # right or wrong, with a point for the format
SIMILAR = [0.40, 0.41, 0.42, 0.43]  # a dense reward


def test_plain_group_scaling_makes_noise_as_large_as_right_against_wrong():
    exact, similar = scaled_advantages(EXACT, SIMILAR, scaling="group")
    assert exact == pytest.approx([0, 0, 1.22, -1.22], abs=0.01)
    assert similar == pytest.approx([-1.15, -0.38, 0.38, 1.15], abs=0.015)


def test_no_scaling_leaves_the_rewards_as_they_are():
    exact, similar = scaled_advantages(EXACT, SIMILAR, scaling="none")
    assert exact == pytest.approx([0, 0, 1, -1])
    assert similar == pytest.approx([-0.015, -0.005, 0.005, 0.015])


def test_gdpo_is_what_trl_makes_of_one_reward():
    """normalize_then_sum: normalise each group, then the whole batch."""
    rewards = torch.tensor([EXACT, SIMILAR])
    grouped = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    expected = (grouped - grouped.mean()) / (grouped.flatten().std() + 1e-4)
    assert scaled_advantages(EXACT, SIMILAR, scaling="gdpo") == [
        pytest.approx(group, abs=1e-4) for group in expected.tolist()
    ]


def test_a_floor_keeps_noise_of_a_dense_reward_below_right_against_wrong():
    """A difference of 0.03 in similarity must not weigh as much as right against wrong."""
    sparse = [0.0, 0.0, 1.0, 0.0]
    exact, similar = scaled_advantages(sparse, SIMILAR, scaling="group-floor")
    assert largest(exact) >= 5 * largest(similar)
    exact, similar = scaled_advantages(sparse, SIMILAR, scaling="group")
    assert largest(exact) < 1.5 * largest(similar)  # the floor prevents this


def test_scaling_by_task_uses_what_its_groups_were_like():
    """The same group weighs little in a task with wide groups and much in one with narrow groups."""
    mixture = Mixture(rows(), 2, scaling="task")
    for _ in range(60):
        mixture.observe([RETRO, ADD], [SPREAD, SIMILAR])
    wide, narrow = mixture.scale([RETRO, ADD], [SIMILAR, SIMILAR])
    assert largest(advantages(narrow)) > 20 * largest(advantages(wide))
    assert stdev(narrow) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("scaling", SCALING)
def test_a_group_without_difference_has_no_advantage(scaling):
    for value in (0.0, 0.37, 1.0):
        assert scaled_advantages([value] * 4, SPREAD, scaling=scaling)[0] == pytest.approx([0, 0, 0, 0])


@pytest.mark.parametrize("scaling", SCALING)
def test_scaling_keeps_order_and_is_finite(scaling):
    rng = random.Random(0)
    for _ in range(50):
        groups = [[rng.random() for _ in range(rng.randint(1, 8))] for _ in range(3)]
        for group, scaled in zip(groups, scale(*groups, scaling=scaling), strict=True):
            assert [a < b for a, b in pairwise(group)] == [a < b for a, b in pairwise(scaled)]
            assert all(abs(value) < 1e5 for value in scaled)


def test_a_wide_group_is_scaled_by_its_own_standard_deviation():
    group = [0.0, 0.0, 1.0, 1.0]
    assert stdev(scale(group)[0]) == pytest.approx(1)


# shares and weights


def test_shares_are_equal_among_macro_tasks_and_within_them():
    shares = balance_shares([RETRO, BBBP, HIV, ADD])
    assert shares == pytest.approx({RETRO: 1 / 3, BBBP: 1 / 6, HIV: 1 / 6, ADD: 1 / 3})
    assert sum(balance_shares(list_tasks()).values()) == pytest.approx(1)


def settled(feedback, steps=60, **options):
    """Return a mixture that has observed `feedback` (task → rewards of one group) many times."""
    mixture = Mixture(rows(feedback), 4, **options)
    for _ in range(steps):
        mixture.observe(list(feedback), list(feedback.values()))
    return mixture


def test_the_first_weights_are_equal():
    mixture, equal = Mixture(rows(), 4), dict.fromkeys(TASKS, 1 / len(TASKS))
    assert mixture.weights() == pytest.approx(equal)
    assert mixture.history == {0: pytest.approx(equal)}


def test_weight_moves_to_the_task_with_a_gap():
    weights = settled({RETRO: [0.0, 0.2, 0.1, 0.1], FORWARD: [0.9, 1.0, 1.0, 0.9]}).weights()
    assert weights[RETRO] > 0.6 > 0.4 > weights[FORWARD]


def test_weight_leaves_a_solved_task():
    weights = settled({RETRO: SPREAD, FORWARD: [1.0] * 4}).weights()
    assert weights[RETRO] > 0.6 > 0.4 > weights[FORWARD]


def test_weight_leaves_a_task_whose_groups_never_differ():
    weights = settled({RETRO: SPREAD, FORWARD: EQUAL}).weights()
    assert weights[RETRO] > 0.6 > 0.4 > weights[FORWARD]


def test_a_hopeless_task_comes_back_when_it_begins_to_differ():
    mixture = settled({RETRO: SPREAD, FORWARD: EQUAL})
    low = mixture.weights()[FORWARD]
    for _ in range(20):
        mixture.observe([RETRO, FORWARD], [SPREAD, [0.0, 0.0, 0.0, 1.0]])
    assert mixture.weights()[FORWARD] > 2 * low


def test_weights_are_gap_times_signal_above_the_even_part():
    weights = settled({RETRO: [0.0, 1.0, 0.0, 1.0], FORWARD: [0.0, 0.0, 0.0, 1.0], BBBP: [1.0] * 4}).weights()
    even, rest = WEIGHT_FLOOR / 3, 1 - WEIGHT_FLOOR
    assert weights == pytest.approx(
        {RETRO: even + rest * 0.5 / 1.25, FORWARD: even + rest * 0.75 / 1.25, BBBP: even}, abs=1e-4
    )


def test_of_two_alike_tasks_the_shorter_is_asked_more():
    mixture = Mixture(rows((RETRO, FORWARD, BBBP)), 2)
    for _ in range(60):
        mixture.observe([RETRO, FORWARD], [SPREAD, SPREAD], lengths=[90.0, 30.0])
    weights, even = mixture.weights(), WEIGHT_FLOOR / 3
    assert (weights[FORWARD] - even) / (weights[RETRO] - even) == pytest.approx(3)
    # a task that was not drawn yet counts as long as the others on average
    assert (weights[RETRO] - even) / (weights[BBBP] - even) == pytest.approx(0.5 * 60 / (0.5 * 90), rel=1e-3)


def test_balanced_follows_the_shares_of_the_score():
    weights = settled({RETRO: SPREAD, BBBP: SPREAD, HIV: SPREAD}, sampling="balanced").weights()
    assert weights == pytest.approx({RETRO: 1 / 2, BBBP: 1 / 4, HIV: 1 / 4})  # two sub-tasks of one macro-task
    weights = settled({RETRO: [1.0] * 4, BBBP: SPREAD, HIV: EQUAL}, sampling="balanced").weights()
    floor = {RETRO: WEIGHT_FLOOR / 2, BBBP: WEIGHT_FLOOR / 4, HIV: WEIGHT_FLOOR / 4}
    assert weights == pytest.approx(floor | {BBBP: floor[BBBP] + 1 - WEIGHT_FLOOR}, abs=1e-4)


FEEDBACK = [
    pytest.param({RETRO: SPREAD, FORWARD: EQUAL, BBBP: [1.0] * 4, HIV: SPREAD, ADD: SPREAD}, id="mixed"),
    pytest.param(dict.fromkeys(TASKS, EQUAL), id="all-hopeless"),
    pytest.param({task: [1.0] * 4 for task in TASKS}, id="all-solved"),
    pytest.param({RETRO: SPREAD, **dict.fromkeys(TASKS[1:], EQUAL)}, id="one-left"),
    pytest.param({BBBP: SPREAD, HIV: EQUAL}, id="two-tasks"),
    pytest.param({RETRO: EQUAL}, id="one-task"),
]


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_weights_sum_to_one_and_adaptive_ones_keep_every_task_alive(feedback):
    for steps in (1, 5, 60, 5000):  # 5000: the estimates underflow to zero
        mixture = settled(feedback, steps)
        for sampling in SAMPLING:  # all strategies weight the same statistics
            mixture.sampling = sampling
            weights = mixture.weights()
            assert set(weights) == set(feedback)
            assert sum(weights.values()) == pytest.approx(1)
            assert min(weights.values()) >= 0
            if sampling == "adaptive":
                assert min(weights.values()) > 0.75 * WEIGHT_FLOOR / len(weights)


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_no_task_gets_less_than_the_floor(feedback):
    """WEIGHT_FLOOR is the share of the prompts that all tasks get in equal parts."""
    weights = settled(feedback).weights()
    assert min(weights.values()) >= WEIGHT_FLOOR / len(weights) - 1e-9


def test_a_task_that_was_not_asked_keeps_its_estimate():
    mixture = Mixture(rows(), 4)
    mixture.observe([RETRO], [[1.0, 1.0]])
    assert mixture.reward[FORWARD] == 0.5 and mixture.signal[FORWARD] == 1.0
    assert mixture.reward[RETRO] == pytest.approx(SMOOTHING * 0.5 + (1 - SMOOTHING) * 1.0)
    assert mixture.signal[RETRO] == pytest.approx(SMOOTHING * 1.0)


def test_a_step_counts_once_for_a_task_however_many_groups_it_has():
    once, often = Mixture(rows(), 4), Mixture(rows(), 4)
    once.observe([RETRO], [SPREAD])
    often.observe([RETRO] * 4, [SPREAD] * 4)
    assert once.weights() == pytest.approx(often.weights())


def test_without_adaptation_the_weights_stay_the_shares():
    mixture = settled({RETRO: SPREAD, FORWARD: EQUAL, BBBP: SPREAD}, sampling="uniform")
    assert mixture.history[mixture.steps] == mixture.shares


def test_proportional_and_temperature_follow_the_number_of_rows():
    uneven = [*rows([RETRO], each=16), *rows([FORWARD], each=4)]
    assert Mixture(uneven, 4, sampling="proportional").weights() == pytest.approx({RETRO: 0.8, FORWARD: 0.2})
    assert Mixture(uneven, 4, sampling="temperature").weights() == pytest.approx({RETRO: 2 / 3, FORWARD: 1 / 3})


def test_mt_grpo_leaves_tasks_that_earn_or_improve():
    feedback = {RETRO: [0.0, 0.0, 1.0, 0.0], FORWARD: [1.0, 1.0, 1.0, 0.0]}  # as much signal in both
    mixture = settled(feedback, 40, sampling="mt-grpo")
    assert mixture.weights()[RETRO] > 0.6
    before = dict(mixture.logits)
    mixture.observe([RETRO, FORWARD], [[0.0, 0.0, 1.0, 0.0], [1.0] * 4])  # the second task improves
    step = {task: mixture.logits[task] - before[task] for task in feedback}
    gained = (1 - SMOOTHING) * 0.25
    assert step[FORWARD] == pytest.approx(-MT_GRPO_RATE * (gained + MT_GRPO_LAMBDA * (0.75 + gained)), abs=1e-3)
    assert step[RETRO] == pytest.approx(-MT_GRPO_RATE * MT_GRPO_LAMBDA * 0.25, abs=1e-3)


def test_mt_grpo_asks_more_of_tasks_whose_groups_seldom_teach():
    feedback = {RETRO: [0.0, 1.0, 1.0, 0.0], FORWARD: [0.5] * 4}  # the same reward
    assert settled(feedback, 60, sampling="mt-grpo").weights() == pytest.approx(
        {RETRO: 1 / 4, FORWARD: 3 / 4}, abs=0.01
    )


@pytest.mark.parametrize("names", [{"sampling": "adaptiv"}, {"scaling": "std"}])
def test_an_unknown_way_of_mixing_names_the_known_ones(names):
    with pytest.raises(ValueError, match=f"{next(iter(names))}.*(uniform|group-floor)"):
        Mixture(rows(), 4, **names)


# a strategy of one's own


@pytest.fixture
def registered(monkeypatch):
    """Register a sampling and a scaling strategy as a user would."""

    def hardest_first(tasks):
        return {
            name: 1.0 if task.reward == min(t.reward for t in tasks.values()) else 0.0 for name, task in tasks.items()
        }

    def halved(groups, tasks):
        return [2.0] * len(groups)

    monkeypatch.setitem(SAMPLING, "hardest-first", hardest_first)
    monkeypatch.setitem(SCALING, "halved", halved)


def test_a_strategy_is_added_by_registering_a_function(registered):
    mixture = Mixture(rows((RETRO, FORWARD)), 2, sampling="hardest-first", scaling="halved")
    mixture.observe([RETRO, FORWARD], [SPREAD, EQUAL])
    assert mixture.weights() == {RETRO: 0.0, FORWARD: 1.0}
    assert mixture.scale([RETRO], [SPREAD]) == [[value / 2 for value in SPREAD]]
    drawn = {mixture.draw(slot)["task"] for slot in range(4, 40)}  # from the step after the next on
    assert drawn == {FORWARD}


# draws


def test_a_draw_depends_on_seed_and_slot_alone():
    first, second = Mixture(rows(), 4, seed=3), Mixture(rows(), 4, seed=3)
    slots = list(range(8))  # both steps use the initial weights
    forward = [first.draw(slot) for slot in slots]
    backward = [second.draw(slot) for slot in reversed(slots)][::-1]
    assert forward == backward == [first.draw(slot) for slot in slots]


def test_seeds_and_slots_differ():
    draws = {seed: [Mixture(rows(), 4, seed=seed).draw(slot)["input"] for slot in range(40)] for seed in (0, 1)}
    assert draws[0] != draws[1]
    assert len(set(draws[0])) > 20


def test_draws_follow_the_weights():
    mixture = settled({RETRO: SPREAD, FORWARD: EQUAL, BBBP: SPREAD, HIV: [1.0] * 4})
    weights, n = mixture.history[mixture.steps], 3000
    first = (mixture.steps + 1) * mixture.prompts_per_step
    counts = Counter(mixture.draw(slot)["task"] for slot in range(first, first + n))
    for task, weight in weights.items():
        assert counts[task] == pytest.approx(weight * n, abs=5 * (weight * (1 - weight) * n) ** 0.5)


def test_every_row_of_a_task_can_be_drawn():
    drawn = {Mixture(rows([RETRO], each=5), 1).draw(slot)["input"] for slot in range(200)}
    assert drawn == {row["input"] for row in rows([RETRO], each=5)}


def test_a_draw_is_the_same_before_and_after_the_step_it_is_fetched_in():
    """The trainer fetches one step ahead, and a resumed run must get the same rows in that step."""
    mixture, ahead = Mixture(rows(), 4), {}
    for step in range(12):
        slots = range(4 * step, 4 * step + 4)
        if step:
            assert [mixture.draw(slot) for slot in slots] == ahead[step]
        ahead[step + 1] = [mixture.draw(slot + 4) for slot in slots]
        observe_something(mixture, slots)


def observe_something(mixture, slots):
    """Observe rewards that depend only on the question and differ between tasks."""
    drawn = [mixture.draw(slot) for slot in slots]
    groups = []
    for row in drawn:
        rng = random.Random(row["input"])
        groups.append(
            [float(rng.random() < {RETRO: 0.1, FORWARD: 0.9, BBBP: 0.5}.get(row["task"], 0.0)) for _ in range(4)]
        )
    mixture.observe([row["task"] for row in drawn], groups)
    return drawn


def test_a_restored_mixture_asks_what_the_uninterrupted_one_does():
    whole, part = Mixture(rows(), 4, seed=5), Mixture(rows(), 4, seed=5)
    drawn = [observe_something(whole, range(4 * step, 4 * step + 4)) for step in range(20)]
    for step in range(10):
        observe_something(part, range(4 * step, 4 * step + 4))
    saved = json.dumps(part.state)

    restored = Mixture(rows(), 4, seed=5)
    restored.state = json.loads(saved)
    assert [observe_something(restored, range(4 * step, 4 * step + 4)) for step in range(10, 20)] == drawn[10:]
    assert restored.state == whole.state
    assert len({row["task"] for step in drawn[10:] for row in step}) > 1

    fresh = Mixture(rows(), 4, seed=5)  # without the state the draws differ, so the assertion above can fail
    assert [observe_something(fresh, range(4 * step, 4 * step + 4)) for step in range(10, 20)] != drawn[10:]


def test_a_state_is_a_snapshot():
    mixture = Mixture(rows(), 4)
    state = mixture.state
    before = json.dumps(state)
    mixture.observe([RETRO], [[1.0, 1.0]])
    assert json.dumps(state) == before


def test_two_mixtures_do_not_share_a_state():
    first, second = Mixture(rows(), 4), Mixture(rows(), 4)
    second.state = first.state
    first.observe([RETRO], [[1.0, 1.0]])
    assert second.reward[RETRO] == 0.5 and second.steps == 0


@pytest.mark.parametrize(
    "tasks", [(RETRO,), (*TASKS, "open_generation/mol_opt_qed"), (RETRO, FORWARD, BBBP, HIV, "retrosynthesis ")]
)
def test_a_state_of_other_tasks_is_refused(tasks):
    mixture = Mixture(rows(), 4)
    state = mixture.state | {"reward": dict.fromkeys(tasks, 0.5)}
    with pytest.raises(ValueError, match="the state mixes"):
        mixture.state = state
    assert mixture.weights() == Mixture(rows(), 4).weights()


def test_the_state_does_not_grow():
    mixture, sizes = Mixture(rows(), 4), []
    for step in range(50):
        observe_something(mixture, range(4 * step, 4 * step + 4))
        sizes.append(len(mixture.state["history"]))
    assert sizes[-1] == sizes[10] <= 4


# the reward function around it


def wrapped(mixture, values):
    def chemistry(prompts, completions, task, **columns):
        """A reward."""
        return list(values)

    return mixture.wrap(chemistry)


def prompts_of(questions, each):
    return [build_prompt(question) for question in questions for _ in range(each)]


def test_wrap_scales_each_group_in_place_and_observes_it():
    mixture = Mixture(rows(), 2)
    groups = [[0.0, 0.0, 1.0, 0.0], [0.40, 0.41, 0.42, 0.43]]
    reward = wrapped(mixture, [*groups[0], *groups[1]])
    scaled = reward(
        prompts=prompts_of("ab", 4),
        completions=["x"] * 8,
        task=[RETRO] * 4 + [ADD] * 4,
        answer=["CCO"] * 8,
        meta=["{}"] * 8,
    )
    assert scaled == pytest.approx(sum(scale(*groups, tasks=[RETRO, ADD]), []))
    expected = Mixture(rows(), 2)
    expected.observe([RETRO, ADD], groups)
    assert mixture.state == expected.state


def test_wrap_learns_how_long_completions_are():
    mixture = Mixture(rows(), 2)
    tokens = [[1] * n for n in (3, 5, 20, 40)]
    wrapped(mixture, [0.0, 1.0, 0.0, 1.0])(
        prompts=prompts_of("ab", 2), completions=["x"] * 4, completion_ids=tokens, task=[RETRO] * 2 + [ADD] * 2
    )
    assert mixture.length == {RETRO: 4, ADD: 30}


def test_wrap_passes_the_columns_on_and_keeps_the_name():
    seen = {}

    def chemistry(**columns):
        seen.update(columns)
        return [0.0, 1.0]

    reward = Mixture(rows(), 1).wrap(chemistry)
    assert reward.__name__ == "chemistry"  # the trainer logs under it
    reward(
        prompts=prompts_of("a", 2),
        completions=["x", "y"],
        task=[RETRO] * 2,
        answer=["CCO"] * 2,
        meta=["{}"] * 2,
        trainer_state=None,
    )
    assert seen["completions"] == ["x", "y"] and seen["answer"] == ["CCO"] * 2 and seen["task"] == [RETRO] * 2


def test_wrap_logs_reward_signal_and_weights():
    mixture, metrics = Mixture(rows(), 3), {}
    reward = wrapped(mixture, [0.0, 1.0, 0.5, 0.5, 0.0, 0.0])
    reward(
        prompts=prompts_of("abc", 2),
        completions=["x"] * 6,
        task=[RETRO] * 2 + [ADD] * 2 + [HIV] * 2,
        log_metric=metrics.__setitem__,
    )
    assert metrics["reward/unscaled"] == pytest.approx(1 / 3)
    assert metrics["groups/without_signal"] == pytest.approx(2 / 3)
    assert (metrics[f"wasted/{RETRO}"], metrics[f"wasted/{ADD}"]) == (0, 1)
    assert {
        name.removeprefix("weight/"): value for name, value in metrics.items() if name.startswith("weight/")
    } == mixture.weights()


def test_wrap_takes_plain_text_prompts():
    reward = wrapped(Mixture(rows(), 2), [0.0, 1.0, 1.0, 1.0])
    scaled = reward(prompts=["a", "a", "b", "b"], completions=["x"] * 4, task=[RETRO] * 4)
    assert scaled == pytest.approx(sum(scale([0.0, 1.0], [1.0, 1.0]), []))


def test_a_question_drawn_twice_in_a_row_is_two_groups():
    """Few rows can make a step repeat a question. Here neither of its two groups has signal."""
    mixture, metrics = Mixture(rows(each=1), 2), {}
    reward = wrapped(mixture, [0.0, 0.0, 1.0, 1.0])
    reward(prompts=prompts_of("aa", 2), completions=["x"] * 4, task=[RETRO] * 4, log_metric=metrics.__setitem__)
    assert metrics["groups/without_signal"] == 1


# the data set of a run


def test_the_dataset_holds_what_is_drawn_when_it_is_read():
    pytest.importorskip("datasets")
    mixture = Mixture(rows(), 2, seed=1)
    data = mixture.dataset(steps=30)
    assert len(data) == 60 and data.num_rows == 60
    for step in range(5):
        observe_something(mixture, (2 * step, 2 * step + 1))
    slot = 2 * 6
    row, item = mixture.draw(slot), data[slot]
    assert item["prompt"] == build_prompt(get_task(row["task"]).question(row))
    assert (item["task"], item["answer"], json.loads(item["meta"])) == (row["task"], row["answer"], row["meta"])
    assert set(item) == {"prompt", "task", "input", "answer", "meta"}  # the columns that the rewards take
