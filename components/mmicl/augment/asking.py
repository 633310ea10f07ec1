"""Many requests: from the cache, then several at a time, never over the budget."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from mmicl.augment.bill import bound_tokens, forecast, price, used_tokens
from mmicl.augment.endpoint import Endpoint
from mmicl.augment.prompts import ParaphraseRequest
from mmicl.augment.replies import Reply, ReplyCache
from mmicl.config import Augment
from mmicl.errors import UserError


class Purse:
    """The budget, shared by threads: what is spent, and what running requests may yet cost."""

    def __init__(self, budget: float, spent: float) -> None:
        self._budget, self.spent = budget, spent
        self._reserved, self._running = 0.0, 0
        self._changed = threading.Condition()

    def reserve(self, most: float) -> None:
        """Set dollars aside for a request, waiting for running ones where they may free some.

        Raises:
            UserError: They are not there, whatever the running requests come to.
        """
        with self._changed:
            while self.spent + self._reserved + most > self._budget and self._running:
                self._changed.wait()
            if self.spent + most > self._budget:
                raise UserError(
                    f"${self.spent:.4f} are spent and the next request may cost ${most:.4f}, "
                    f"more than the budget of ${self._budget:g}",
                    where="augment.budget",
                    remedy="raise it; answers that came are kept",
                )
            self._reserved += most
            self._running += 1

    def settle(self, most: float, cost: float) -> None:
        """Replace a reservation by what the request did cost."""
        with self._changed:
            self._reserved -= most
            self._running -= 1
            self.spent += cost
            self._changed.notify_all()


def ask_all(
    requests: Sequence[ParaphraseRequest], config: Augment, cache: ReplyCache, key: str | None
) -> dict[str, Reply]:
    """Answers by the key of their request, each kept in the cache as soon as it is there.

    Args:
        requests: What to ask.
        config: Address, prices, budget, concurrency.
        cache: Where answers are looked up and kept.
        key: The credential; None leaves what the cache does not have unanswered.

    Raises:
        UserError: The expected cost is over the budget (before anything is asked), the budget
            is used up on the way, or the server refuses.
        TransientError: The server did not answer.
        DataError: A file of the cache is damaged.
    """
    replies = {one.key: reply for one in requests if (reply := cache.find(one)) is not None}
    left = [one for one in requests if one.key not in replies]
    if not left or key is None:
        return replies
    costs = forecast(requests, config, cache)
    if costs.spent + costs.expected > config.budget:
        raise UserError(
            f"{costs}: more than the budget of ${config.budget:g}; nothing was asked",
            where="augment.budget",
            remedy="raise it, or lower augment.paraphrases",
        )
    purse, endpoint = Purse(config.budget, costs.spent), Endpoint(config, key)
    failed = threading.Event()

    def ask(request: ParaphraseRequest) -> None:
        most = price(bound_tokens(request), config.prices)
        cost = 0.0
        purse.reserve(most)
        try:
            if failed.is_set():  # what has not begun is not begun; what runs is kept when it ends
                return
            replies[request.key] = reply = endpoint.ask(request)
            cost = price(used_tokens(request, reply), config.prices)
            cache.keep(request, reply)
        except BaseException:
            failed.set()
            raise
        finally:
            purse.settle(most, cost)

    with ThreadPoolExecutor(config.concurrency, thread_name_prefix="augment") as pool:
        try:
            for done in as_completed([pool.submit(ask, one) for one in left]):
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
            endpoint.close()
    return replies
