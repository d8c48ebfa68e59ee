"""The state machine of one acta: every legal move, every other refused, whatever the order of things."""

import inspect
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from prep.domain import acta
from prep.domain.acta import (
    ESTADO,
    LEGAL,
    Acopio,
    Captura,
    Capturada,
    Capture,
    Cotejo,
    Digitalizacion,
    Digitalizada,
    Esperada,
    Estado,
    Event,
    IllegalMove,
    Publicacion,
    Recaptura,
    RegistroSinActa,
    State,
    Verificacion,
    Verificada,
    move,
)
from prep.domain.entry import AnotherPerson, Choose, Values
from prep.domain.rules import Observation
from prep.errors import Rejected


def values(number: int) -> Values:
    return Values(header=(0, 0, 0, 0), votes=(number,), total=number)


def capture(person: int, number: int = 1) -> Captura:
    return Captura(Capture(person, 1, values(number)))


EVENTS: dict[type[Event], Event] = {
    Acopio: Acopio(b"i"),
    Digitalizacion: Digitalizacion(),
    Captura: capture(9),
    Verificacion: Verificacion(),
    RegistroSinActa: RegistroSinActa(Observation.SIN_ACTA_1),
    Publicacion: Publicacion(),
    Cotejo: Cotejo(),
    Recaptura: Recaptura(b"j"),
}
STATES: dict[Estado, State] = {
    Estado.ESPERADA: Esperada(),
    Estado.ACOPIADA: acta.Acopiada(b"i"),
    Estado.DIGITALIZADA: Digitalizada(b"i", 1),
    Estado.CAPTURADA: Capturada(b"i", 1, (Capture(1, 1, values(1)), Capture(2, 1, values(1)))),
    Estado.VERIFICADA: Verificada(1, values(1)),
    Estado.PUBLICADA: acta.Publicada(1),
    Estado.COTEJADA: acta.Cotejada(1),
}


def test_the_tables_cover_every_state_and_event() -> None:
    assert set(STATES) == set(Estado)
    assert set(EVENTS) == set(get_args(Event))


@pytest.mark.parametrize("estado", Estado)
@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
def test_a_move_is_legal_exactly_where_the_table_has_it(estado: Estado, event: Event) -> None:
    expected = LEGAL.get((estado, type(event)))
    if expected is None:
        with pytest.raises(IllegalMove, match=estado.value):
            move(STATES[estado], event)
    elif (estado, type(event)) == (Estado.CAPTURADA, Captura):
        one = Capturada(b"i", 1, (Capture(1, 1, values(1)),))
        assert ESTADO[type(move(one, event))] is expected
    else:
        assert ESTADO[type(move(STATES[estado], event))] is expected


def test_the_drawing_in_the_module_names_every_state_and_move() -> None:
    drawing = inspect.getdoc(acta) or ""
    words = {
        Acopio: "acopio", Digitalizacion: "digitalización", Captura: "captura", Verificacion: "verificación",
        RegistroSinActa: "sin acta", Publicacion: "publicación", Cotejo: "cotejo", Recaptura: "recaptura",
    }  # fmt: skip
    assert all(estado.value in drawing for estado in Estado)
    assert all(words[event] in drawing for event in get_args(Event))


def test_the_same_person_never_captures_a_round_twice() -> None:
    state = move(Digitalizada(b"i", 1), capture(7))
    with pytest.raises(Rejected, match="misma persona"):
        move(state, capture(7, 2))


def test_two_captures_that_differ_verify_nothing() -> None:
    state = move(move(Digitalizada(b"i", 1), capture(1, 1)), capture(2, 2))
    with pytest.raises(Rejected, match="otra persona"):
        move(state, Verificacion())


def test_a_resolution_must_be_one_of_the_three() -> None:
    state: State = Digitalizada(b"i", 1)
    for person in (1, 2, 3):
        state = move(state, capture(person, person))
    with pytest.raises(Rejected, match="elegir"):
        move(state, Verificacion())
    with pytest.raises(Rejected, match="una de las tres"):
        move(state, Verificacion(values(4)))
    assert move(state, Verificacion(values(3))) == Verificada(1, values(3))


class Life(RuleBasedStateMachine):
    """Random events at random moments: the acta only ever holds what two people agreed on, or one of three."""

    def __init__(self) -> None:
        super().__init__()
        self.state: State = Esperada()
        self.typed: list[Values] = []

    @rule(event=st.sampled_from([Acopio(b"i"), Digitalizacion(), Publicacion(), Cotejo(), Recaptura(b"k")]))
    def anything(self, event: Event) -> None:
        before = self.state
        try:
            self.state = move(before, event)
        except IllegalMove:
            assert (ESTADO[type(before)], type(event)) not in LEGAL
        if isinstance(self.state, Digitalizada):
            self.typed = []

    @rule(kind=st.sampled_from([Observation.SIN_ACTA_1, Observation.SIN_ACTA_3]))
    def sin_acta(self, kind: Observation) -> None:
        if isinstance(self.state, Esperada):
            self.state = move(self.state, RegistroSinActa(kind))

    @precondition(lambda self: isinstance(self.state, Digitalizada | Capturada))
    @rule(person=st.integers(1, 4), number=st.integers(0, 2))
    def type_it(self, person: int, number: int) -> None:
        try:
            self.state = move(self.state, capture(person, number))
        except Rejected:
            return
        self.typed.append(values(number))

    @rule(number=st.none() | st.integers(0, 2))
    def verify(self, number: int | None) -> None:
        try:
            after = move(self.state, Verificacion(None if number is None else values(number)))
        except Rejected:
            return
        assert isinstance(self.state, Capturada)
        assert not isinstance(self.state.next, AnotherPerson)
        self.state = after

    @invariant()
    def verified_values_were_typed(self) -> None:
        if isinstance(self.state, Verificada) and self.state.values is not None:
            assert self.state.values in self.typed
            assert len(self.typed) == 3 or self.typed[0] == self.typed[1]

    @invariant()
    def nobody_types_twice(self) -> None:
        if isinstance(self.state, Capturada):
            people = [each.person for each in self.state.captures]
            assert len(people) == len(set(people)) <= 3
            assert isinstance(self.state.next, Choose) is (len({str(each.values) for each in self.state.captures}) == 3)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
