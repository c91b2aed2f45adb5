import pickle
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrail.data.named.plain_pickle import read_plain_pickle

TEXT = st.text("aZ0é☃\n", max_size=8)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | TEXT
    | st.binary(min_size=1)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4) | st.tuples(inner),
    max_leaves=8,
)


@given(PLAIN, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    """Apart from no bytes in protocol 2, which Python 3 writes as a call."""
    assert read_plain_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_bytes_is_read(protocol, order):
    array = np.asarray(np.arange(24, dtype=np.uint8).reshape(4, 6), order=order)
    assert np.array_equal(read_plain_pickle(pickle.dumps({"data": array}, protocol))["data"], array)


class Calls:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Calls(), r"wants to call .*print"),
        (OrderedDict(a=1), r"wants to call collections\.OrderedDict"),
        (np.float64(3), "wants to call numpy"),
        (np.zeros(3), r"wants to call numpy\.dtype"),
        (print, "holds a name"),
        ([print], "holds a name"),
        ({1, 2}, "instruction EMPTY_SET"),
    ],
)
def test_everything_else_is_refused_and_nothing_runs(value, message, capsys):
    with pytest.raises(ValueError, match=message):
        read_plain_pickle(pickle.dumps(value, 4))
    assert capsys.readouterr().out == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(content):
    with suppress(ValueError):
        read_plain_pickle(b"\x80\x02" + content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"]].",
        b"\x80\x02(t",
        b"}(K\x01u.",
        b"K\x01a.",
        b"h\x05.",
        b"\x80\x02U\xffshort.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(K\x05tcnumpy\ndtype\n(U\x02u1tRU\x00U\x01atb.",
    ],
)
def test_a_damaged_pickle_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        read_plain_pickle(content)
