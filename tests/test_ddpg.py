"""The agent on a toy of four steps with a known best action each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from haqc.ddpg import Agent, AgentOptions
from haqc.replay import Array, Episode, Replay

SMALL = AgentOptions(hidden=(32, 32), actor_rate=1e-3, critic_rate=3e-3)
STATES = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)


def episode_of(agent: Agent, number: int, wanted: Array) -> Episode:
    """Walks the four states and is rewarded for actions near the wanted ones."""
    actions = np.asarray([agent.act(state, number) for state in STATES], np.float32)
    return Episode(STATES, actions, -float(np.abs(actions - wanted).sum()))


def trained(seed: int, episodes: int = 80, options: AgentOptions = SMALL) -> tuple[Agent, list[Episode]]:
    agent = Agent(3, 4, episodes, options, seed)
    wanted = np.asarray([0.9, 0.7, 0.3, 0.1], np.float32)
    walked = []
    for number in range(episodes):
        walked.append(episode_of(agent, number, wanted))
        agent.remember(walked[-1])
        agent.train(1)
    return agent, walked


def test_learns_what_is_rewarded() -> None:
    gains = []
    for seed in range(3):
        _, walked = trained(seed)
        rewards = [episode.reward for episode in walked]
        gains.append(np.mean(rewards[-10:]) - np.mean(rewards[:20]))
    assert np.median(gains) > 0.5  # random actions earn about -1.5 of at most 0


def test_equal_seeds_give_equal_agents_bit_for_bit() -> None:
    (first, walked), (second, again) = trained(5, 30), trained(5, 30)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(walked, again, strict=True))
    assert all(np.array_equal(value, second.state()[name]) for name, value in first.state().items())


def test_other_seeds_give_other_agents() -> None:
    first, second = trained(1, 5)[0], trained(2, 5)[0]
    assert any(not np.array_equal(value, second.state()[name]) for name, value in first.state().items())


def test_the_threads_of_the_process_change_nothing_and_are_left_alone() -> None:
    before = torch.get_num_threads()
    expected = trained(3, 25)[0].state()
    try:
        torch.set_num_threads(2)
        found = trained(3, 25)[0].state()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(value, found[name]) for name, value in expected.items())


def test_global_random_numbers_are_left_alone() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(1)
    np.random.seed(1)
    trained(0, 25)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


def test_warm_up_is_uniform_and_learns_nothing() -> None:
    agent = Agent(3, 4, 40, SMALL, 0)
    before = agent.state()
    actions = [agent.act(STATES[0], 0) for _ in range(2000)]
    assert np.histogram(actions, bins=4, range=(0, 1))[0] == pytest.approx([500] * 4, rel=0.15)
    for number in range(9):  # a quarter of 40 is 10
        agent.remember(episode_of(agent, number, STATES[:, 0]))
        agent.train(1)
    assert all(np.array_equal(value, before[name]) for name, value in agent.state().items())
    agent.remember(episode_of(agent, 9, STATES[:, 0]))
    agent.train(1)
    assert any(not np.array_equal(value, before[name]) for name, value in agent.state().items())


def test_noise_decays_as_over_a_run_of_600_episodes() -> None:
    options = AgentOptions(warm_up=0.25)
    short, long = Agent(3, 4, 60, options, 0), Agent(3, 4, 600, options, 0)
    assert short.sigma(15) == long.sigma(150) == 0.5
    assert short.sigma(59) == pytest.approx(long.sigma(590), rel=1e-12)
    assert long.sigma(151) == pytest.approx(0.5 * 0.99, rel=1e-12)


def test_the_papers_21_random_episodes_of_600_are_21() -> None:
    agent = Agent(3, 4, 600, AgentOptions(warm_up=21 / 600), 0)
    assert agent.sigma(21) == 0.5
    assert agent.sigma(22) == pytest.approx(0.5 * 0.99, rel=1e-12)


def test_noise_is_truncated_around_the_actors_own_action() -> None:
    agent = Agent(3, 4, 100, AgentOptions(hidden=(8, 8)), 0)
    own = agent.choose(STATES[1])
    wide = np.asarray([agent.act(STATES[1], 25) for _ in range(500)])
    narrow = np.asarray([agent.act(STATES[1], 99) for _ in range(500)])
    assert wide.min() >= 0
    assert wide.max() <= 1
    assert narrow.mean() == pytest.approx(own, abs=0.005)
    assert narrow.std() < 0.01
    assert wide.std() > 0.15


def test_widening_never_exceeds_the_first_noise() -> None:
    first, second = (Agent(3, 4, 100, AgentOptions(hidden=(8, 8)), 0) for _ in range(2))
    usual = [first.act(STATES[1], 25) for _ in range(20)]
    assert [second.act(STATES[1], 99, widening=1e9) for _ in range(20)] == usual


def test_the_replay_forgets_the_oldest() -> None:
    replay = Replay(6, 3)
    for reward in (1.0, 2.0):
        replay.add(Episode(STATES, STATES[:, 0], reward), reward)
    assert len(replay) == 6
    assert sorted(replay.reward.flatten().tolist()) == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]


def test_only_the_last_step_ends_an_episode() -> None:
    replay = Replay(8, 3)
    replay.add(Episode(STATES, STATES[:, 0], 1.0), 1.0)
    assert replay.goes_on[:4].flatten().tolist() == [1.0, 1.0, 1.0, 0.0]
    assert torch.equal(replay.next_state[:3], replay.state[1:4])


def test_an_episode_needs_one_action_per_state() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        Episode(STATES, np.zeros(3, np.float32), 0.0)


def test_an_agent_goes_on_from_what_another_has_learnt() -> None:
    one, other = trained(2, 30)[0], Agent(3, 4, 30, SMALL, 9)
    assert [one.choose(state) for state in STATES] != [other.choose(state) for state in STATES]
    other.load(one.state())
    assert [one.choose(state) for state in STATES] == [other.choose(state) for state in STATES]
    assert all(np.array_equal(value, other.state()[name]) for name, value in one.state().items())


@pytest.mark.parametrize("name", ["actor.action.bias", "critic.value.weight"])
def test_other_weights_are_refused(name: str) -> None:
    agent = Agent(3, 4, 30, SMALL, 9)
    before = agent.state()
    for wrong in (before | {name: before[name][..., :0]}, before | {name: before[name] * np.float32(np.nan)}):
        with pytest.raises(ValueError, match="not the weights of such an agent"):
            agent.load(wrong)
    with pytest.raises(ValueError, match="not the weights of such an agent"):
        agent.load({key: value for key, value in before.items() if key != name})
    assert all(np.array_equal(value, agent.state()[key]) for key, value in before.items())
