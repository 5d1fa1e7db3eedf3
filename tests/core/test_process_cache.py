"""What a process remembers: bounded, shared by threads, and all of it forgotten at once."""

from core.process_cache import ProcessCache, forget_all


def test_what_was_taken_stays_when_another_thread_empties_the_cache() -> None:
    cache: ProcessCache[str, int] = ProcessCache()
    cache.keep({"a": 1, "b": 2})
    taken = cache.known(["a", "b", "c"])
    cache.forget()
    assert (taken, cache.known(["a"]), cache.get("a")) == ({"a": 1, "b": 2}, {}, None)


def test_a_full_cache_begins_anew_with_what_is_new() -> None:
    cache: ProcessCache[int, int] = ProcessCache(most=2)
    cache.keep({1: 1, 2: 2, 3: 3})
    cache.keep({4: 4})
    assert cache.known(range(5)) == {4: 4}


def test_all_caches_are_emptied_by_one_call() -> None:
    caches: list[ProcessCache[str, int]] = [ProcessCache(), ProcessCache()]
    for cache in caches:
        cache.keep({"a": 1})
    caches[0].drop(["a", "b"])
    assert [cache.get("a") for cache in caches] == [None, 1]
    forget_all()
    assert [cache.get("a") for cache in caches] == [None, None]
