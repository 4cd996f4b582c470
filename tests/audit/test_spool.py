"""The spool: order and numbers over all ends, torn ends, limits, one owner."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from dicomgate import StartError
from dicomgate.audit.segment import decoded
from dicomgate.audit.spool import Place, Spool

SMALL = 400  # bytes of a file


def fill(spool: Spool, count: int) -> list[bytes]:
    """Append so many messages, and return them."""
    messages = [b"message %d " % (spool.next_number + index) + b"x" * 60 for index in range(count)]
    for message in messages:
        spool.append([(float(spool.next_number), message)])
    return messages


def everything(spool: Spool) -> list[bytes]:
    """All that is not delivered, read in small pieces."""
    place, found = spool.delivered, list[bytes]()
    while batch := spool.read(place, 100):
        place = batch[-1][0]
        found += [message for _, message in batch]
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "spool", 10_000, SMALL)) as opened:
        yield opened


def again(folder: Path) -> Spool:
    return Spool(folder / "spool", 10_000, SMALL)


def test_what_is_not_delivered_is_there_after_the_next_start(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 20)
        place, _ = spool.read(spool.delivered, 10_000)[0]
        for _ in range(6):
            place = spool.read(place, 1)[0][0]
        spool.deliver(place)
    with closing(again(tmp_path)) as spool:
        assert (spool.waiting, spool.oldest, spool.next_number) == (13, 8.0, 21)
        assert everything(spool) == messages[7:]
        spool.deliver(spool.read(spool.delivered, 10_000)[-1][0])
        assert fill(spool, 1)[0].startswith(b"message 21 ")
        assert len([*tmp_path.glob("spool/*.spool")]) < 5


@pytest.mark.parametrize("cut", random.Random(19).sample(range(1, 380), 12))
def test_a_torn_end_is_cut_off_and_the_rest_is_used(tmp_path: Path, cut: int) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 3)
    (file,) = tmp_path.glob("spool/*.spool")
    whole = file.read_bytes()
    file.write_bytes(whole[: min(cut, len(whole) - 1)])
    left = min(cut, len(whole) - 1) * 3 // len(whole)
    with closing(again(tmp_path)) as spool:
        assert everything(spool) == messages[:left]
        assert spool.torn == min(cut, len(whole) - 1) - left * len(whole) // 3
        assert fill(spool, 1)[0].startswith(b"message %d " % (left + 1))
        assert len(everything(spool)) == left + 1


@pytest.mark.parametrize("seed", range(12))
def test_changed_bytes_cost_their_own_messages_alone(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 12)
        delivered = spool.read(spool.delivered, 100)[-1][0]
        spool.deliver(delivered)
    for file in chance.sample(sorted(tmp_path.glob("spool/*.spool")), 2):
        damaged = bytearray(file.read_bytes())
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
    with closing(again(tmp_path)) as spool:
        left = everything(spool)
        assert len(left) >= 12 - delivered.number - 2
        assert left == [message for message in messages[delivered.number :] if message in left]
        next_one = fill(spool, 1)
        assert everything(spool) == left + next_one
    with closing(again(tmp_path)) as spool:
        assert spool.torn == 0
        assert everything(spool) == left + next_one


@pytest.mark.parametrize("said", [b"", b"\xff", b"-7\n", b"2" * 30])
def test_where_nobody_can_tell_what_is_delivered_all_is_sent_again(tmp_path: Path, said: bytes) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 3)
        spool.deliver(spool.read(spool.delivered, 1)[0][0])
    (tmp_path / "spool" / "delivered").write_bytes(said)
    with closing(again(tmp_path)) as spool:
        assert everything(spool) == messages
        assert fill(spool, 1)[0].startswith(b"message 4 ")


def test_a_message_that_is_in_two_files_holds_up_no_other_message(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 12)
    files = sorted(tmp_path.glob("spool/*.spool"))
    last = files[-1].read_bytes()
    first, second = (record.end for record in islice(decoded(last, 0), 2))
    files[0].write_bytes(files[0].read_bytes() + bytes(40) + last[first:second])
    with closing(again(tmp_path)) as spool:
        assert everything(spool) == messages
        place = spool.read(spool.delivered, 10_000)[-1][0]
        while batch := spool.read(place, 10_000):
            place = batch[-1][0]
        (new,) = fill(spool, 1)
        assert [message for _, message in spool.read(place, 10_000)] == [new]


def test_damage_under_way_holds_up_no_other_message(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 12)
        first, second, *_ = files = sorted(tmp_path.glob("spool/*.spool"))
        for file, at in (first, 150), (second, 10), (files[-1], files[-1].stat().st_size - 1):
            damaged = bytearray(file.read_bytes())
            damaged[at] ^= 1
            file.write_bytes(damaged)
        left = [message for number, message in enumerate(messages, 1) if number not in (2, int(second.stem), 12)]
        assert everything(spool) == left
        assert everything(spool) + fill(spool, 1) == everything(spool)


def test_a_file_without_any_message_left_holds_up_no_other(tmp_path: Path) -> None:
    with closing(again(tmp_path)) as spool:
        messages = fill(spool, 12)
    first, second, third, *_ = sorted(tmp_path.glob("spool/*.spool"))
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(bytes(300))
    with closing(again(tmp_path)) as spool:
        assert spool.missing == int(third.stem) - 2
        assert everything(spool) == [messages[0], *messages[int(third.stem) - 1 :]]


def test_a_full_spool_takes_nothing_until_some_is_delivered(spool: Spool) -> None:
    spool.most_bytes = 500
    with pytest.raises(OSError, match="spool_max") as refused:
        fill(spool, 20)
    assert refused.value.errno == errno.ENOSPC
    assert spool.size <= 500
    before = spool.waiting
    with pytest.raises(OSError, match="spool_max"):
        fill(spool, 1)
    assert spool.waiting == before
    spool.deliver(spool.read(spool.delivered, 10_000)[-1][0])
    while batch := spool.read(spool.delivered, 10_000):
        spool.deliver(batch[-1][0])
    assert len(fill(spool, 3)) == 3


def test_the_oldest_file_is_dropped_for_room(spool: Spool) -> None:
    messages = fill(spool, 12)
    dropped = spool.drop_oldest()
    assert dropped > 0
    assert everything(spool) == messages[dropped:]
    assert spool.waiting == 12 - dropped
    assert spool.oldest == dropped + 1.0


def test_one_gateway_has_a_spool(tmp_path: Path, spool: Spool) -> None:
    with pytest.raises(StartError, match="another gateway uses it"):
        again(tmp_path)
    spool.close()
    with closing(again(tmp_path)) as successor:
        fill(successor, 1)
    with pytest.raises(StartError, match="make it, and give it to the gateway's user"):
        Spool(tmp_path / "no" / "spool", 10_000)


def test_a_folder_where_everybody_writes_is_not_used(tmp_path: Path) -> None:
    (folder := tmp_path / "spool").mkdir()
    folder.chmod(0o1777)
    with pytest.raises(StartError, match="everybody can write to it"):
        again(tmp_path)
    folder.chmod(0o775)
    again(tmp_path).close()
    assert not (folder / "delivered").exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    again(tmp_path).close()
    (other := tmp_path / "spool" / "copy of 1.spool").write_bytes(b"mine")
    again(tmp_path).close()
    assert other.read_bytes() == b"mine"


def test_what_is_delivered_and_may_be_wanted_again_stays_as_long_as_there_is_room(spool: Spool) -> None:
    messages = fill(spool, 20)
    third = spool.read(spool.delivered, 10_000)[2][0]
    spool.kept_from = third.number
    spool.deliver(spool.read(Place(0, 0, 19), 10_000)[-1][0])
    assert spool.waiting == 0
    messages += fill(spool, 1)
    found, place = list[bytes](), third
    while batch := spool.read(place, 1_000):
        place = batch[-1][0]
        found += [message for _, message in batch]
    assert found == messages[3:]
    more = fill(spool, 100)  # needs all the room there is
    assert everything(spool) == [messages[20], *more]
    assert (spool.missing, spool.size <= 10_000) == (0, True)
