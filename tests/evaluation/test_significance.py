"""McNemar's test against scipy, and Holm's correction against manual results."""

import numpy as np
import pytest
from scipy.stats import binomtest

from digit_recognizer.evaluation.significance import holm, mcnemar


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 0), (5, 17), (10, 10), (0, 9)])
def test_mcnemar_equals_scipys_binomial_test(only_first, only_second):
    n = only_first + only_second
    answers = np.zeros(n + 3, dtype=np.uint8)
    first, second = answers.copy(), answers.copy()
    first[only_first:n] = 1
    second[:only_first] = 1
    found = mcnemar(first, second, answers)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p_value == pytest.approx(binomtest(only_first, n).pvalue if n else 1)


def test_holm_corrects_as_computed_manually():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.8, 0.9]) == [1, 1]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
