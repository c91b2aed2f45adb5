import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from vitrail.data.in_flight import ByteBudget


def test_threads_never_hold_more_than_the_budget_between_them():
    budget, lock = ByteBudget(100), threading.Lock()
    held, most = 0, 0

    def work(seed: int) -> None:
        nonlocal held, most
        size = random.Random(seed).randrange(1, 60)
        with budget.scope():
            budget.take(size)
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert 60 < most <= 100
    assert budget._used == 0


def test_an_item_over_the_whole_budget_waits_until_it_is_alone():
    budget, order = ByteBudget(100), []
    entered, leave = threading.Event(), threading.Event()

    def small() -> None:
        with budget.scope():
            budget.take(1)
            entered.set()
            leave.wait(10)
            order.append("small")

    def large() -> None:
        with budget.scope():
            budget.take(1000)
            order.append("large")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(small)
        entered.wait(10)
        second = pool.submit(large)
        time.sleep(0.02)
        leave.set()
        first.result(10)
        second.result(10)
    assert order == ["small", "large"]


def test_a_thread_that_holds_some_does_not_wait_for_more():
    budget = ByteBudget(100)
    both = threading.Barrier(2, timeout=10)

    def work(_: int) -> int:
        with budget.scope():
            budget.take(50)
            both.wait()
            budget.take(80)
            return budget._used

    with ThreadPoolExecutor(2) as pool:
        assert max(pool.map(work, range(2))) > 100
    assert budget._used == 0


def test_an_inner_scope_gives_back_its_own_bytes():
    budget = ByteBudget(100)
    budget.take(70)  # outside of a scope, where nothing would give it back
    assert budget._used == 0
    with budget.scope():
        budget.take(10)
        with budget.scope():
            budget.take(20)
            assert budget._used == 30
        assert budget._used == 10
    assert budget._used == 0
