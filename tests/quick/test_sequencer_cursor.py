"""The cursor skips no fact, for any order in which transactions take numbers, commit or roll back."""

from hypothesis import given
from hypothesis import strategies as st

from prep.store.log import Fact
from publisher.log.facts import Cursor

STEPS = st.lists(
    st.one_of(
        st.just(("begin", 0)),
        st.tuples(st.sampled_from(["commit", "roll back"]), st.integers(0, 5)),
        st.tuples(st.just("look"), st.integers(1, 3)),
    ),
    max_size=80,
)


class Table:
    """A table whose transactions take ascending numbers. A row is visible after its commit."""

    def __init__(self) -> None:
        self.next = 1
        self.open: list[int] = []
        self.committed: set[int] = set()
        self.logged: set[int] = set()

    def look(self, cursor: Cursor, limit: int) -> int:
        cursor.see(frozenset(map(str, self.open)))
        unlogged = sorted(self.committed - self.logged)
        found = [number for number in unlogged if number > cursor.low - 1][:limit]
        self.logged |= {*found}
        cursor.took([Fact("incidente", number, {}) for number in found], drained=len(found) < limit)
        return len(found)


@given(STEPS)
def test_every_committed_number_is_found(steps: list[tuple[str, int]]) -> None:
    table, cursor = Table(), Cursor()
    for what, which in steps:
        if what == "begin":
            table.open.append(table.next)
            table.next += 1
        elif what == "look":
            table.look(cursor, which)
        elif table.open:
            number = table.open.pop(which % len(table.open))
            if what == "commit":
                table.committed.add(number)
        missing = table.committed - table.logged
        assert all(number > cursor.low - 1 for number in missing)
    while table.look(cursor, 3):
        pass
    assert table.logged == table.committed


def test_the_cursor_reaches_the_end_after_all_writers_stop() -> None:
    table, cursor = Table(), Cursor()
    table.committed |= {*range(1, 20)}
    for _ in range(12):
        table.look(cursor, 4)
    assert cursor.low == cursor.high == 19
