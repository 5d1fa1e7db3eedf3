"""Heavy requests take turns: some run, some wait, the others come back."""

from threading import Thread

import pytest

from core.heavy import BusyError, Slots, give_back


def test_who_finds_no_slot_in_time_is_refused_and_who_finds_a_queue_at_once() -> None:
    slots, refused = Slots(1, 2, seconds=0.05), []

    def ask() -> None:
        try:
            with slots.taken():
                pass
        except BusyError:
            refused.append(1)

    with slots.taken():
        waiting = Thread(target=ask)
        waiting.start()
        waiting.join()
        assert refused == [1]
        with pytest.raises(BusyError), slots._inside, slots.taken():
            pass
    with slots.taken():
        pass  # what was refused left no slot taken


def test_a_failure_frees_the_slot() -> None:
    slots = Slots(1, 1, seconds=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), slots.taken():
            raise ZeroDivisionError


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8, 64])
def test_threads_are_left_to_others(threads: int) -> None:
    slots = Slots.of(threads)
    assert slots._inside._value < threads or threads == 1
    assert 1 <= slots._running._value <= slots._inside._value


def test_memory_is_given_back() -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    kept = [b"x" * 100_000 for _ in range(2_000)]  # below the size from which the system is asked for each
    pins = kept[::100]
    full = resident()
    del kept
    give_back()
    assert resident() < full - 100_000_000
    assert len(pins) == 20
