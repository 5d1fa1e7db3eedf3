"""What a process remembers: bounded, shared by threads, and all of it forgotten at once."""

from core.process_cache import BoundedCache, ProcessCache, forget_all


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


def test_a_cache_bounded_by_bytes_forgets_what_was_not_looked_at() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(10, len)
    cache.keep({"a": b"1234", "b": b"1234"})
    assert cache.known(["a"]) == {"a": b"1234"}
    cache.keep({"c": b"1234"})
    assert cache.known("abc") == {"a": b"1234", "c": b"1234"}
    cache.keep({"a": b"12", "d": b"1234"})
    assert (cache.known("abcd"), cache.bytes) == ({"a": b"12", "c": b"1234", "d": b"1234"}, 10)
    cache.keep({"e": b"longer than all"})
    assert (cache.known("acde"), cache.bytes) == ({}, 0)
