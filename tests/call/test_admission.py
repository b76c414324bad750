"""Whether a call may begin, and what is remembered for it."""

from gateway.call.admission import HOUR, LEAST, Admission, Load

FREE = Load(0, 0, draining=False)


def test_a_number_may_call_so_often_in_an_hour():
    admission = Admission(10)
    assert [admission.refuse("+1", FREE, at, per_caller=2) for at in (0.0, 1.0, 2.0)] == [
        None,
        None,
        "caller-too-often",
    ]
    assert admission.refuse("+2", FREE, 2.0, per_caller=2) is None
    assert admission.refuse("+1", FREE, HOUR, per_caller=2) is None  # the first one is an hour ago
    assert admission.refuse("+1", FREE, HOUR, per_caller=2) == "caller-too-often"
    assert admission.refuse("+3", FREE, HOUR, per_caller=0) == "caller-too-often"


def test_who_hides_their_number_is_not_counted():
    admission = Admission(10)
    assert {admission.refuse("anonymous", FREE, 0.0, per_caller=1) for _ in range(5)} == {None}


def test_numbers_that_have_not_called_for_an_hour_are_forgotten():
    admission = Admission(10)
    for number in range(20 * LEAST):
        assert admission.refuse(f"+{number}", FREE, float(number), per_caller=1) is None
    assert len(admission._started) <= 2 * HOUR
