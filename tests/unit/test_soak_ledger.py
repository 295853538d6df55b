"""The soak's judge sees what it is there to see."""

from tests.soak.ledger import Topic


def topic(*received: tuple[str, int], ordered: bool = True) -> Topic:
    """Three confirmed messages of one key and one of another; number 1 of `a` was refused."""
    made = Topic("orders", {"Exclusive": ordered})
    for key, number in [("a", 0), ("a", 2), ("a", 3), ("b", 0)]:
        made.confirm(key, number)
    for key, number in received:
        made.subscriptions["Exclusive"].received(key, number)
    return made


def test_all_that_was_confirmed_arrived() -> None:
    whole = topic(("b", 0), ("a", 0), ("a", 2), ("a", 0), ("a", 2), ("a", 3))
    assert (whole.confirmed, whole.lost(), whole.out_of_order()) == (4, [], [])
    subscription = whole.subscriptions["Exclusive"]
    assert (subscription.first, subscription.again) == (4, 2)


def test_a_loss_is_seen() -> None:
    assert topic(("a", 0), ("a", 3), ("b", 0)).lost() == ["orders Exclusive: a 2"]
    assert topic().lost() == [f"orders Exclusive: {rest}" for rest in ("a 0", "a 2", "a 3", "b 0")]


def test_a_first_receipt_after_a_later_one_is_seen() -> None:
    late = [("a", 0), ("a", 3), ("a", 2), ("b", 0)]
    assert topic(*late).out_of_order() == ["orders Exclusive: a 2 after 3"]
    assert topic(*late, ordered=False).out_of_order() == []
