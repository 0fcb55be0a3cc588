"""Where networks are trained: invalid options, and the share of each worker in the cores."""

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.training.parallel import config
from digit_recognizer.training.parallel.config import ExecutionConfig
from digit_recognizer.utils import environment

RECIPE = RECIPES["quick"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8786",
        "http://host:1",
        "tcp://host",
        "tcp://:8786",
        "tcp://host:x",
        "x",
        "tcp://me@host:1",
        "tcp://host:1/a",
    ],
)
def test_an_invalid_address_is_refused(address):
    with pytest.raises(InputError, match=r"expected tcp://HOST:PORT or tls://HOST:PORT"):
        ExecutionConfig(dask_scheduler=address)


@pytest.mark.parametrize("host", ["192.168.0.1", "node7", "127.0.0.1.example.org", "[fe80::1]"])
def test_tcp_to_another_machine_needs_insecure(host):
    with pytest.raises(InputError, match=r"`insecure` if you trust them"):
        ExecutionConfig(dask_scheduler=f"tcp://{host}:8786")
    ExecutionConfig(dask_scheduler=f"tcp://{host}:8786", insecure=True)
    ExecutionConfig(dask_scheduler=f"tls://{host}:8786")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_tcp_on_this_machine_is_accepted(host):
    ExecutionConfig(dask_scheduler=f"tcp://{host}:8786")


def test_workers_and_a_scheduler_are_refused_together():
    with pytest.raises(InputError, match="`workers` is for this machine"):
        ExecutionConfig(workers=2, dask_scheduler="tcp://localhost:1")


def test_workers_are_limited_to_the_number_of_networks_and_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [ExecutionConfig(4).limited_to(n).workers for n in (1, 3, 9)] == [1, 3, 4]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [ExecutionConfig(n).limited_to(9).workers for n in (1, 4)] == [1, 2]


def test_workers_share_the_cores_unless_the_recipe_sets_threads(monkeypatch):
    monkeypatch.setattr(environment, "threads", lambda: 8)
    assert config.IN_PROCESS.with_threads(RECIPE) == RECIPE
    assert [ExecutionConfig(n).with_threads(RECIPE).threads for n in (2, 3, 8, 20)] == [4, 2, 1, 1]
    assert ExecutionConfig(dask_scheduler="tcp://localhost:1").with_threads(RECIPE).threads == 1
    own = change(RECIPE, {"threads": 5})
    assert ExecutionConfig(2).with_threads(own) == own
