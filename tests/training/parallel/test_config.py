"""Where networks are trained: which options are refused, and how the cores are shared."""

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.training.parallel import config
from digit_recognizer.training.parallel.config import ExecutionConfig, TlsFiles
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
def test_what_is_no_schedulers_address_is_refused(address):
    with pytest.raises(InputError, match=r"expected tcp://HOST:PORT or tls://HOST:PORT"):
        ExecutionConfig(dask_scheduler=address)


@pytest.mark.parametrize("host", ["192.168.0.1", "node7", "127.0.0.1.example.org", "[fe80::1]"])
def test_plain_tcp_off_this_machine_needs_to_be_asked_for(host):
    with pytest.raises(InputError, match=r"`insecure` where you trust everyone"):
        ExecutionConfig(dask_scheduler=f"tcp://{host}:8786")
    ExecutionConfig(dask_scheduler=f"tcp://{host}:8786", insecure=True)
    ExecutionConfig(dask_scheduler=f"tls://{host}:8786")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_plain_tcp_on_this_machine_is_fine(host):
    ExecutionConfig(dask_scheduler=f"tcp://{host}:8786")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"insecure": True}, "name it with `dask_scheduler`"),
        ({"tls": TlsFiles(key="k")}, "name it with `dask_scheduler`"),
        ({"dask_scheduler": "tcp://localhost:1", "workers": 2}, "`workers` is for this machine"),
        ({"dask_scheduler": "tcp://localhost:1", "tls": TlsFiles(cert="c")}, "tls://"),
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        ExecutionConfig(**wrong)


def test_a_certificate_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"gone.pem: not found"):
        ExecutionConfig(dask_scheduler="tls://host:1", tls=TlsFiles(ca_file=tmp_path / "gone.pem"))


def test_no_more_workers_are_used_than_there_are_networks_or_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [ExecutionConfig(4).limited_to(n).workers for n in (1, 3, 9)] == [1, 3, 4]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [ExecutionConfig(n).limited_to(9).workers for n in (1, 4)] == [1, 2]


def test_workers_share_the_cores_unless_the_recipe_says_how_many_threads(monkeypatch):
    monkeypatch.setattr(environment, "threads", lambda: 8)
    assert config.IN_PROCESS.with_threads(RECIPE) == RECIPE
    assert [ExecutionConfig(n).with_threads(RECIPE).threads for n in (2, 3, 8, 20)] == [4, 2, 1, 1]
    assert ExecutionConfig(dask_scheduler="tcp://localhost:1").with_threads(RECIPE).threads == 1
    own = change(RECIPE, {"threads": 5})
    assert ExecutionConfig(2).with_threads(own) == own
