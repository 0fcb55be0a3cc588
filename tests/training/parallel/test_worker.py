"""The checks and the setup of a worker process."""

import os
from dataclasses import replace

import pytest

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training.parallel import worker
from digit_recognizer.utils import environment, locks

HERE = environment.current_environment()


def setup_of(**facts):
    return worker.WorkerSetup(None, None, replace(HERE, **facts))


def test_a_machine_with_the_same_code_versions_and_settings_is_accepted(monkeypatch):
    worker.check_worker(setup_of())
    worker.check_worker(setup_of(cpu="another", threads=99, code=None))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Dask does
    worker.check_worker(setup_of())


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"versions": HERE.versions | {"keras": "3.0"}}, r"keras \S+, not 3.0"),
        (
            {"versions": HERE.versions | {"backend": "jax", "jax": "0.1"}},
            "backend tensorflow, not jax, jax .* 0.1",
        ),
        ({"settings": {"TF_ENABLE_ONEDNN_OPTS": "0"}}, "TF_ENABLE_ONEDNN_OPTS None, not 0"),
        ({"code": "0123456789ab"}, "code .*, not 0123456789ab"),
    ],
)
def test_a_machine_with_different_ones_is_refused_by_name(facts, message, monkeypatch):
    monkeypatch.setattr(environment, "code", lambda: "ba9876543210")
    with pytest.raises(InputError, match=rf"a worker on .* has {message}. Use the same as on this machine."):
        worker.check_worker(setup_of(**{"code": "ba9876543210", **facts}))


def test_each_gpu_has_one_worker(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert worker.gpus() == ["3", "5"]
    with locks.alone("gpu-3", otherwise=""):
        worker._take_gpu()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        with pytest.raises(RunError, match="each of the 2 GPUs already has a worker"):
            worker._take_gpu()
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
        monkeypatch.setenv("SLURM_JOB_ID", "1")  # to which another 3 was given
        worker._take_gpu()
    worker._gpu.close()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert worker.gpus() == []


def test_workers_have_no_credentials_of_kaggle(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    worker.remove_credentials()
    assert not [name for name in os.environ if name.startswith("KAGGLE_")]
