"""Keys, notes, checkpoints, policies and proof files in their exact form; every other form is refused by its name."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.log.merkle import EMPTY
from integrity.log.note import (
    NotSigned,
    Proof,
    SignatureKind,
    Signer,
    Unsupported,
    checkpoint_text,
    from_base64,
    read_checkpoint,
    read_decimal,
    read_note,
    read_policy,
    read_proof,
    read_signer,
    read_verifier_key,
    to_base64,
    trust_only,
)
from integrity.sums import Malformed
from tests.makers.log_maker import ORIGIN, signer

ROOT = bytes(range(32))
LOG = signer()
W1, W2, W3 = (signer(f"testigo.example/{number}", SignatureKind.WITNESS, 10 + number) for number in (1, 2, 3))
TEXT = checkpoint_text(ORIGIN, 600, ROOT)
NOTE = f"{TEXT}\n{LOG.sign(TEXT)}"
STRANGER = "— otra.example/firma AAAAAAECAwQ=\n"

# The example in the documentation of Go's sumdb/note, from which the specification grew.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_published_example_of_a_key_and_its_note() -> None:
    key = read_verifier_key(GO_PUBLIC)
    assert str(key) == GO_PUBLIC
    note = read_note(GO_NOTE.encode())
    assert note.signed_by(key)
    private = read_signer(GO_PRIVATE)
    assert private.key == key
    assert private.to_text() == GO_PRIVATE
    assert f"{note.text}\n{private.sign(note.text)}" == GO_NOTE


def test_a_key_comes_back_from_its_text_and_repr_hides_it() -> None:
    made = Signer.generate("prep.example/á", SignatureKind.WITNESS)
    assert read_signer(made.to_text() + "\n").key == made.key == read_verifier_key(str(made.key))
    secret = made.to_text().split("+", 4)[4]  # base64 may hold «+» itself
    assert len(secret) > 40
    assert secret not in repr(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nombre",
        "nombre+c74f20a3",
        GO_PUBLIC.replace("Neumann", " Neumann"),
        GO_PUBLIC.replace("c74f20a3", "c74f20a4"),
        GO_PUBLIC.replace("c74f20a3", "74f20a3"),
        GO_PUBLIC.replace("PeterNeumann", "AnotherName"),
        GO_PUBLIC.removeprefix("PeterNeumann"),
        GO_PUBLIC[:-4],
        GO_PUBLIC[:-1] + "X",
        GO_PUBLIC + "\n",
        "\udcff" + GO_PUBLIC,
    ],
)
def test_a_text_that_is_no_key(text: str) -> None:
    with pytest.raises(Malformed):
        read_verifier_key(text)


def test_a_key_of_another_algorithm_is_not_wrong_but_cannot_be_used() -> None:
    with pytest.raises(Unsupported):
        read_verifier_key("rekor.example+12345678+" + to_base64(b"\2" + bytes(91)))


@pytest.mark.parametrize("text", ["", GO_PUBLIC, GO_PRIVATE[:-4], GO_PRIVATE.replace("c74f20a3", "c74f20a4")])
def test_a_text_that_is_no_private_key_is_not_shown(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_signer(text)
    assert "AYEKFALV" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "dos palabras", "a+b", "tab\t", "línea\n"])
def test_a_name_that_no_key_may_have(name: str) -> None:
    with pytest.raises(Malformed):
        Signer.generate(name, SignatureKind.LOG)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_signatures_of_unknown_keys_are_ignored() -> None:
    same_name_other_key = signer(ORIGIN, seed=2)
    note = read_note((NOTE + STRANGER + same_name_other_key.sign("otra cosa")).encode())
    assert len(note.signatures) == 3
    assert note.signed_by(LOG.key)
    assert not note.signed_by(signer("nadie").key)


def test_a_false_signature_of_a_known_key_spoils_the_note_even_beside_a_good_one() -> None:
    for spoiled in (NOTE.replace("\n600\n", "\n601\n"), NOTE + LOG.sign("otra cosa")):
        with pytest.raises(NotSigned):
            read_note(spoiled.encode()).signed_by(LOG.key)


def test_the_text_ends_at_the_last_empty_line() -> None:
    text = "uno\n\n\ndos\n"
    assert read_note(f"{text}\n{LOG.sign(text)}".encode()).text == text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: "",
        lambda note: note.removesuffix("\n"),
        lambda note: note.split("\n\n")[0] + "\n",
        lambda note: note.split("\n\n")[0] + "\n\n",
        lambda note: note.replace("— ", "- "),
        lambda note: note.replace("— ", "—  "),
        lambda note: note.replace("=\n", "\n"),
        lambda note: note + "\n",
        lambda note: note + "basura\n",
        lambda note: note + "— a+b AAAAAAECAwQ=\n",
        lambda note: note + "— corta AAAAAA==\n",
        lambda note: note + "— sin-canon AAAAAAECAwR=\n",
        lambda note: note.replace("600", "600\r"),
        lambda note: "\x00" + note,
        lambda note: note + STRANGER * 100,
        lambda note: note + "— x " + "A" * (1 << 20) + "\n",
    ],
)
def test_a_text_that_is_no_note(spoil: Callable[[str], str]) -> None:
    with pytest.raises(Malformed):
        read_note(spoil(NOTE).encode())


def test_a_note_that_is_not_utf_8() -> None:
    with pytest.raises(Malformed):
        read_note(b"\xff" + NOTE.encode())


def test_a_cosignature_is_over_the_time_and_the_checkpoint() -> None:
    note = read_note((NOTE + W1.cosign(TEXT, at=1_700_000_000)).encode())
    assert note.cosigned_by(W1.key) == 1_700_000_000
    assert note.cosigned_by(W2.key) is None
    with pytest.raises(NotSigned):
        read_note((NOTE + W1.cosign(TEXT.replace("600", "601"), at=1_700_000_000)).encode()).cosigned_by(W1.key)
    later = from_base64(W1.cosign(TEXT, at=1_700_000_000).split()[2])
    backdated = later[:4] + (1).to_bytes(8, "big") + later[12:]
    for raw in (backdated, later[:-1], later[:4] + b"\xff" + later[5:]):
        with pytest.raises(NotSigned):
            read_note((NOTE + f"— {W1.key.name} {to_base64(raw)}\n").encode()).cosigned_by(W1.key)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def signed(text: str) -> bytes:
    return f"{text}\n{LOG.sign(text)}".encode()


def test_a_checkpoint_says_origin_size_and_root_and_comes_back_as_it_was() -> None:
    data = signed(TEXT + "extensión\notra\n")
    checkpoint = read_checkpoint(data)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (ORIGIN, 600, ROOT)
    assert checkpoint.extensions == ("extensión", "otra")
    assert checkpoint.to_bytes() == data


@pytest.mark.parametrize(
    "text",
    [
        "una línea\n",
        f"{ORIGIN}\n600\n",
        f"\n600\n{to_base64(ROOT)}\n",
        f"{TEXT}\nextensión\n",
        *(
            TEXT.replace("\n600\n", f"\n{size}\n")
            for size in ("0600", "-1", "+1", " 6", "6e2", "٣", "", str(1 << 63), "9" * 5000)
        ),
        TEXT.replace(to_base64(ROOT), to_base64(ROOT[:31])),
        TEXT.replace(to_base64(ROOT), to_base64(ROOT)[:-1]),
        TEXT.replace("8=\n", "9=\n"),
        checkpoint_text(ORIGIN, 0, ROOT),
    ],
)
def test_a_text_that_is_no_checkpoint(text: str) -> None:
    with pytest.raises(Malformed):
        read_checkpoint(signed(text))


def test_the_largest_size_and_the_empty_tree() -> None:
    assert read_checkpoint(signed(checkpoint_text(ORIGIN, (1 << 63) - 1, ROOT))).size == (1 << 63) - 1
    assert read_checkpoint(signed(checkpoint_text(ORIGIN, 0, EMPTY))).size == 0


@given(st.text(max_size=30))
def test_base64_and_numbers_have_one_form(text: str) -> None:
    with suppress(Malformed):
        assert to_base64(from_base64(text)) == text
    with suppress(Malformed):
        assert str(read_decimal(text, "un número")) == text


# --- policies ---------------------------------------------------------------------------------------------------------

POLICY = f"""# La política de la elección
log {LOG.key} https://prep.example.mx/bitacora/

witness A {W1.key} http://127.0.0.1:1/
witness\tB\t{W2.key}
  witness C {W3.key}
group dos 2 A B
group todos all dos C
quorum dos
"""


def test_a_policy_says_which_log_and_which_witnesses() -> None:
    policy = read_policy(POLICY.encode())
    assert [log.key for log in policy.logs] == [LOG.key]
    assert policy.witnesses["A"].url == "http://127.0.0.1:1/"
    assert policy.in_words == "2 de A, B"
    assert policy.is_met_by(["A", "B"])
    assert not policy.is_met_by(["A", "C"])


@pytest.mark.parametrize(
    ("quorum", "met", "unmet"),
    [
        ("group g any A B C\nquorum g", ["C"], []),
        ("group g all A B C\nquorum g", ["A", "B", "C"], ["A", "B"]),
        ("group x any A B\ngroup y all x C\nquorum y", ["B", "C"], ["A", "B"]),
        ("quorum A", ["A"], ["B", "C"]),
    ],
)
def test_quorums(quorum: str, met: list[str], unmet: list[str]) -> None:
    policy = read_policy(f"witness A {W1.key}\nwitness B {W2.key}\nwitness C {W3.key}\n{quorum}".encode())
    assert policy.is_met_by(met)
    assert not policy.is_met_by(unmet)


def test_a_policy_may_ask_for_no_witness() -> None:
    assert read_policy(f"log {LOG.key}\nquorum none\n".encode()).is_met_by([])
    assert trust_only(LOG.key).is_met_by([])
    with pytest.raises(Malformed):
        trust_only(W1.key)


HEAD = f"log {LOG.key}\nwitness A {W1.key}\nwitness B {W2.key}\n"
LOG_AS_WITNESS = Signer.of("otro.example", SignatureKind.WITNESS, LOG.private).key


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + "quorum A\nquorum B\n",
        HEAD + "quorum C\n",
        HEAD + "quorum\n",
        HEAD + "group g 3 A B\nquorum g\n",
        HEAD + "group g 0 A B\nquorum g\n",
        HEAD + "group g 01 A B\nquorum g\n",
        HEAD + "group g any\nquorum g\n",
        HEAD + "group g any A A\nquorum g\n",
        HEAD + "group g any A\ngroup h all g A\nquorum h\n",
        HEAD + "group g all h\ngroup h all A\nquorum g\n",
        HEAD + "group none any A\nquorum none\n",
        HEAD + "group A any B\nquorum A\n",
        HEAD + "group g any none\nquorum g\n",
        HEAD + f"witness A {W3.key}\nquorum A\n",
        HEAD + f"witness C {W1.key}\nquorum A\n",
        HEAD + f"witness C {Signer.of('otro', SignatureKind.WITNESS, W1.private).key}\nquorum A\n",
        HEAD + f"witness C {LOG_AS_WITNESS}\nquorum C\n",
        HEAD + f"log {LOG.key}\nquorum A\n",
        HEAD + f"log {W3.key}\nquorum A\n",
        HEAD + f"witness C {signer('otro', seed=3).key}\nquorum A\n",
        HEAD + "log nada\nquorum A\n",
        HEAD + "testigo C\nquorum A\n",
        HEAD + f"log {signer('otro', seed=3).key} url y más\nquorum A\n",
        HEAD + "quorum A\r\n",
        "#" * (1 << 20) + "\n" + HEAD + "quorum A\n",
    ],
)
def test_a_text_that_is_no_policy(text: str) -> None:
    with pytest.raises(Malformed):
        read_policy(text.encode())


def test_names_in_a_policy_are_bytes_and_a_key_of_another_kind_is_unsupported() -> None:
    policy = read_policy(b"witness \xff " + str(W1.key).encode() + b"\nquorum \xff\n")
    assert policy.is_met_by(["\udcff"])
    other = "pq.example+12345678+" + to_base64(b"\6" + bytes(1312))
    with pytest.raises(Unsupported):
        read_policy(f"witness A {other}\nquorum A\n".encode())


# --- proof files ------------------------------------------------------------------------------------------------------

PROOF = Proof(73, (ROOT, EMPTY), read_checkpoint(NOTE.encode()), b"algo")


def test_a_proof_file_comes_back_as_it_was() -> None:
    data = PROOF.to_bytes()
    assert data.startswith(
        f"c2sp.org/tlog-proof@v1\nextra {to_base64(b'algo')}\nindex 73\n{to_base64(ROOT)}\n".encode()
    )
    assert data.endswith(b"\n\n" + NOTE.encode())
    assert read_proof(data) == PROOF
    bare = Proof(0, (), PROOF.checkpoint)
    assert bare.to_bytes() == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTE.encode()
    assert read_proof(bare.to_bytes()) == bare


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 73\n", ""),
        lambda text: text.replace("index 73", "index 073"),
        lambda text: text.replace("index 73", "index -1"),
        lambda text: text.replace("index 73", f"index {1 << 63}"),
        lambda text: text.replace("extra ", "extra  "),
        lambda text: text.replace("extra YWxnbw==", "extra YWxnbx=="),
        lambda text: text.replace("index 73\n", "index 73\nextra YWxnbw==\n"),
        lambda text: text.replace(to_base64(EMPTY), to_base64(EMPTY[:31])),
        lambda text: text.replace(f"{to_base64(EMPTY)}\n", f"{to_base64(EMPTY)}\n" * 63),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n\n", "\n\n\n", 1),
        lambda text: text.split("\n\n")[0] + "\n\n",
        lambda text: text.removesuffix("\n"),
    ],
)
def test_a_text_that_is_no_proof(spoil: Callable[[str], str]) -> None:
    text = PROOF.to_bytes().decode()
    assert spoil(text) != text
    with pytest.raises(Malformed):
        read_proof(spoil(text).encode())
