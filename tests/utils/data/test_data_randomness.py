from __future__ import annotations

import numpy as np
import pytest

from minicnn.random import default_generator
from minicnn.utils.data import each_sample, sample_generator, sample_generators
from minicnn.utils.data.randomness import SampleKeys, index_key, keyed_samples


def draw(seed: int, epoch: int, index: int, repeat: int = 0, count: int = 3) -> list[float]:
    with keyed_samples(SampleKeys(seed, epoch, [index], [repeat])):
        return sample_generator().random(count).tolist()


def test_a_stream_is_philox_with_the_documented_key_and_counter() -> None:
    bits = np.random.Philox(key=[5, 2], counter=[0, 0, 3, 7])
    assert draw(seed=5, epoch=2, index=7, repeat=3) == np.random.Generator(bits).random(3).tolist()


def test_every_part_of_the_key_changes_the_stream() -> None:
    streams = [draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1), draw(0, 0, 0, 1), draw(0, 0, 0), draw(0, 0, -1)]
    assert len({stream[0] for stream in streams}) == len(streams)
    assert draw(0, 0, 0) == streams[4]


def test_one_by_one_and_at_once_draw_the_same() -> None:
    keys = SampleKeys(1, 2, [5, 6, 5], [0, 0, 1])
    with keyed_samples(keys):
        at_once = [generator.random() for generator in sample_generators(3)]
    with keyed_samples(keys):
        one_by_one = [sample_generator().random() for _ in each_sample(keys.indices)]
    assert at_once == one_by_one == [draw(1, 2, index, repeat)[0] for index, repeat in ((5, 0), (6, 0), (5, 1))]


def test_a_generator_goes_on_where_its_sample_left_it() -> None:
    with keyed_samples(SampleKeys(0, 0, [4])):
        assert [sample_generator().random() for _ in range(3)] == draw(0, 0, 4)


def test_a_used_generator_leaves_no_trace_in_the_next_stream() -> None:
    """Idle generators are used again, but not their half-used buffers (here 32 of 64 bits)."""

    def half(generator: np.random.Generator) -> int:
        return int(generator.integers(1 << 20, dtype=np.uint32))

    with keyed_samples(SampleKeys(0, 0, [1])):
        half(sample_generator())
    with keyed_samples(SampleKeys(0, 0, [2])):
        drawn = half(sample_generator())
    assert drawn == half(np.random.Generator(np.random.Philox(key=[0, 0], counter=[0, 0, 0, 2])))


def test_blocks_nest() -> None:
    with keyed_samples(SampleKeys(0, 0, [1])):
        first = sample_generator().random()
        inner = draw(0, 0, 2)
        second = sample_generator().random()
    assert [first, second] == draw(0, 0, 1)[:2] and inner == draw(0, 0, 2)


def test_a_whole_batch_has_a_stream_of_its_own() -> None:
    with keyed_samples(SampleKeys(0, 0, [1, 2])):
        batch = sample_generator().random()
    assert batch not in (draw(0, 0, 1)[0], draw(0, 0, 2)[0])


def test_outside_a_loader_the_default_generator_draws() -> None:
    default_generator.manual_seed(3)
    expected = default_generator.numpy.random(3).tolist()
    default_generator.manual_seed(3)
    assert [sample_generator().random(), *(generator.random() for generator in sample_generators(2))] == expected
    assert list(each_sample([4, 5])) == [4, 5]


def test_a_wrong_number_of_samples_is_refused() -> None:
    with keyed_samples(SampleKeys(0, 0, [1, 2])):
        with pytest.raises(ValueError, match=r"sample_generators\(3\).*has 2 samples"):
            sample_generators(3)
        with pytest.raises(ValueError, match="has 2 samples"):
            list(each_sample([1, 2, 3]))


def test_index_keys() -> None:
    assert index_key(5) == index_key(np.int64(5)) == 5
    assert index_key(-1) == (1 << 64) - 1
    assert index_key("a") == index_key("a") != index_key("b")
