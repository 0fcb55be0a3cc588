"""The training of the networks of an open run, each of which is written and added to the ledger when it is done."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from digit_recognizer.data.dataset import Dataset
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import validate
from digit_recognizer.recipes.recipe import Recipe, from_record
from digit_recognizer.recipes.toml import describe_models
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.tracking.run_record import NetworkRecord, RunHeader, RunResult
from digit_recognizer.tracking.run_session import ActiveRun
from digit_recognizer.training import checkpoints, cross_validation, network_files
from digit_recognizer.training.cross_validation import EnsemblePredictions, NetworkResult, NetworkSpec
from digit_recognizer.training.distillation import Teacher, teachers_of
from digit_recognizer.training.parallel import process_pool
from digit_recognizer.training.parallel.process_pool import Pool
from digit_recognizer.training.parallel.worker import TrainingTask
from digit_recognizer.training.state import Checkpoint, FitHooks
from digit_recognizer.utils import backend, environment, signals
from digit_recognizer.utils.reporter import TrainingHooks

_NO_HOOKS = TrainingHooks()


def run_header(
    kind: str, recipe_name: str, recipe: Recipe, data: Dataset, data_place: str, pool: Pool | None = None
) -> RunHeader:
    """Returns the header of a run that trains; `data_place` is the location of the data in the ledger.

    Without a `pool`, Keras is loaded in this process.
    """
    if pool:
        location = process_pool.location(pool, recipe.threads)
    else:
        backend.start_backend(recipe.threads)
        location = {"device": backend.device(), "cpu": environment.cpu()}
    threads = recipe.threads or environment.threads()
    return RunHeader(
        kind,
        recipe_name,
        asdict(recipe),
        data_place,
        data.source.kind,
        data.train.fingerprint,
        data.test.fingerprint,
        recipe.seed,
        location["device"],
        replace(environment.current_environment(), cpu=location["cpu"], threads=threads),
    )


def train_ensemble(
    run: ActiveRun,
    networks: Sequence[NetworkSpec],
    data: Dataset,
    teachers: Sequence[Teacher] = (),
    pool: Pool | None = None,
    hooks: TrainingHooks = _NO_HOOKS,
    resumable: bool = True,
) -> EnsemblePredictions:
    """Train all `networks` in this process or in the `pool`, and average their predictions.

    Networks that an earlier process trained are read, and those it was training continue from their checkpoints.
    Checkpoints are written when the run is `resumable`, and by a pool always. Raises DivergedError when a training
    diverges, InputError when files of an earlier process are damaged, RunError when the pool's processes die
    repeatedly. An exception of the hooks ends the training, as do Ctrl-C, SIGTERM and SIGHUP after any batch.
    """
    folders = {network.name: run_dir.network_folder(run.folder, network.name, len(networks)) for network in networks}
    done = {row.name: row for row in run.ledger.networks(run.id)}
    training = _Training(run, data, folders, done, hooks, resumable)
    with signals.handle_signals():
        for network in networks:
            if network.name in done:
                training.finish(network, network_files.load_network(folders[network.name], done[network.name]))
        left = [network for network in networks if network.name not in done]
        if pool:
            training.in_pool(pool, left, teachers)
        else:
            for network in left:
                training.in_process(network, teachers_of(network, teachers))
    return cross_validation.combine(networks, [training.results[network.name] for network in networks])


@dataclass(frozen=True, eq=False)
class _Training:
    run: ActiveRun
    data: Dataset
    folders: Mapping[str, Path]  # by the networks' names
    done: Mapping[str, NetworkRecord]
    hooks: TrainingHooks
    resumable: bool
    results: dict[str, NetworkResult] = field(default_factory=dict)

    def finish(self, network: NetworkSpec, result: NetworkResult) -> None:
        """Write the files of a trained network, then its row of the ledger, which marks it as done."""
        folder = self.folders[network.name]
        if network.name not in self.done:
            signals.raise_if_signalled()
            network_files.save_network(folder, result, network.held_out)
            _insert(self.run, network, result)
        checkpoints.delete_checkpoints(folder)
        self.results[network.name] = result
        self.hooks.on_network(network.name, result.validation)

    def in_process(self, network: NetworkSpec, teachers: Sequence[Teacher]) -> None:
        """Train a network in this process, from the latest checkpoint in its folder if there is one."""
        from digit_recognizer.training.network import train_network

        name, folder = network.name, self.folders[network.name]
        fingerprint = checkpoints.training_fingerprint(network, self.data.train.fingerprint)
        checkpoint = checkpoints.load_latest_checkpoint(folder, fingerprint)
        for epoch in checkpoint.history if checkpoint else ():
            self.hooks.on_epoch(name, epoch)

        def on_batch(step: int, n_steps: int) -> None:
            signals.raise_if_signalled()
            self.hooks.on_batch(name, step, n_steps)

        def on_checkpoint(checkpoint: Checkpoint) -> None:
            signals.raise_if_signalled()
            if self.resumable:
                checkpoints.save_checkpoint(folder, fingerprint, checkpoint)

        hooks = FitHooks(on_batch, on_checkpoint, lambda epoch: self.hooks.on_epoch(name, epoch))
        keras_teachers = [teacher.build() for teacher in teachers]
        result = train_network(network, self.data.train, self.data.test, keras_teachers, checkpoint, hooks)
        self.finish(network, result)

    def in_pool(self, pool: Pool, networks: Sequence[NetworkSpec], teachers: Sequence[Teacher]) -> None:
        """Train networks in a pool, and report epochs by the checkpoints in their folders."""
        tasks = {}
        for network in networks:
            fingerprint = checkpoints.training_fingerprint(network, self.data.train.fingerprint)
            task = TrainingTask(network, fingerprint, tuple(teachers_of(network, teachers)))
            tasks[network.name] = task, self.folders[network.name]
        n_reported = dict.fromkeys(tasks, 0)

        def report(name: str, history: Sequence[Epoch]) -> None:
            for epoch in history[n_reported[name] :]:
                self.hooks.on_epoch(name, epoch)
            n_reported[name] = max(n_reported[name], len(history))

        def on_interval() -> None:
            signals.raise_if_signalled()
            for name, (task, folder) in tasks.items():
                if run_dir.last_checkpoint_epoch(folder) > n_reported[name]:
                    with suppress(InputError):  # the process that trains it will raise it
                        checkpoint = checkpoints.load_latest_checkpoint(folder, task.fingerprint)
                        report(name, checkpoint.history if checkpoint else ())

        def on_result(name: str, result: NetworkResult) -> None:
            report(name, result.history)
            self.finish(tasks[name][0].network, result)

        try:
            process_pool.train_in_pool(pool, tasks, on_result, on_interval)
        finally:
            if not self.resumable:
                for folder in self.folders.values():
                    checkpoints.delete_checkpoints(folder)


def _insert(run: ActiveRun, network: NetworkSpec, result: NetworkResult) -> None:
    train, validation = result.train, result.validation
    run.ledger.add_network(
        run.id,
        name=network.name,
        model=network.recipe.model,
        seed=network.recipe.seed,
        fold=network.fold,
        weights=result.n_weights,
        train_n=train.n,
        train_accuracy=train.accuracy,
        train_loss=train.log_loss,
        n=validation and validation.n,
        accuracy=validation and validation.accuracy,
        loss=validation and validation.log_loss,
        seconds=result.seconds["train"],
        seconds_predict=result.seconds["predict"],
    )


def write_results(run: ActiveRun, header: RunHeader, data: Dataset, predictions: EnsemblePredictions) -> RunResult:
    """Write submission, recipe and predictions to the run folder, and return the result so far."""
    submission, sha256 = run_dir.write_submission(run.folder, predictions.test_log_p.argmax(axis=1))
    run_dir.write_record(run.folder, "recipe", header.recipe)
    run_dir.write_predictions(run.folder, predictions)
    return RunResult(
        run=run.name,
        recipe=header.recipe_name,
        weights=predictions.n_weights,
        submission=submission,
        submission_sha256=sha256,
        model=describe_models(from_record(dict(header.recipe))),
        networks=predictions.n_networks,
        data=data.source.describe(),
        train=predictions.train,
        validation=validate(predictions.log_p, data.train.labels[predictions.rows]),
    )
