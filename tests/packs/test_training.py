"""Callbacks of training frameworks under their packs: as many as the framework's own record has; training is as without us."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .hooked import Both, both, require, version_of

__all__ = ["both"]

KERAS = """
import collections, copy, json, os
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy
from unittest import mock
from keras.src.utils.python_utils import is_default

class Count(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = collections.Counter()
    def on_epoch_begin(self, epoch, logs=None): self.seen["Count.on_epoch_begin"] += 1
    def on_epoch_end(self, epoch, logs=None): self.seen["Count.on_epoch_end"] += 1
    def on_test_begin(self, logs=None): self.seen["Count.on_test_begin"] += 1
taken = Count.on_epoch_end
class Batches(Count):
    def on_train_batch_end(self, batch, logs=None): self.seen["Batches.on_train_batch_end"] += 1
    def on_epoch_end(self, epoch, logs=None): self.seen["Batches.on_epoch_end"] += 1
    def on_epoch_begin(self, epoch, logs=None): super().on_epoch_begin(epoch, logs)
    on_test_begin = keras.callbacks.Callback.on_test_begin
    def on_predict_end(self, logs=None): self.seen["Batches.on_predict_end"] += 1
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1: raise KeyError("s3cr3t-4f1e77aa99d0")

keras.utils.set_random_seed(1)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x, y = numpy.ones((64, 4)), numpy.ones((64, 1))
count, batches, own = Count(), Batches(), []
by_lambda = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: own.append(epoch))
stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=1e9)  # after the second epoch
lists = keras.callbacks.CallbackList([count])
print([getattr(callbacks, "_async_train", None) for callbacks in (lists, keras.callbacks.CallbackList([batches]))])
callbacks = [count, batches, by_lambda, stopping]
history = model.fit(x, y, epochs=5, batch_size=16, verbose=0, callbacks=callbacks, validation_split=0.25)
model.evaluate(x, y, verbose=0, callbacks=[batches])
model.predict(x, verbose=0, callbacks=[batches])
print(history.epoch, [round(loss, 4) for loss in history.history["loss"]], stopping.stopped_epoch)
print([is_default(call) for call in (count.on_train_begin, count.on_epoch_end, by_lambda.on_epoch_begin, by_lambda.on_epoch_end)])
try:
    model.fit(x, y, epochs=3, verbose=0, callbacks=[Stop()])
except KeyError as error:
    print(repr(error))
count.set_model(None)
for again in (copy.deepcopy(count), copy.copy(count)):
    again.seen = collections.Counter()
    again.on_epoch_end(1)
    print(again.seen, sorted(vars(count)) == sorted(vars(Count())), Count.on_epoch_end is taken)
with mock.patch.object(Count, "on_epoch_begin", autospec=True) as patched:
    model.fit(x, y, epochs=2, verbose=0, callbacks=[type("Patched", (Count,), {})()])
print(patched.call_count)
print(json.dumps([count.seen, batches.seen, own]))
"""

KERAS_EPOCHS = """
import collections, json, os, sys, time
os.environ.setdefault("KERAS_BACKEND", "CHOSEN")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy

class Measured(keras.callbacks.CallbackList):
    inside, outside, open = [], [], []
    def on_epoch_begin(self, epoch, logs=None):
        self.open.append(self)
        self.outer = time.monotonic_ns()
        super().on_epoch_begin(epoch, logs)
        self.inner = time.monotonic_ns()
    def on_epoch_end(self, epoch, logs=None):
        inside = time.monotonic_ns() - self.inner
        super().on_epoch_end(epoch, logs)
        self.close(inside)
    def close(self, inside):
        self.open.pop()
        if not self.open:  # else it is part of another epoch
            self.inside.append(inside)
            self.outside.append(time.monotonic_ns() - self.outer)
def fit(model, *data, callbacks=(), epochs=1, **more):
    callbacks = Measured(list(callbacks), add_history=True, model=model, epochs=epochs, verbose=0)
    try:
        return model.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks, **more)
    except BaseException as error:
        callbacks.close(0)
        print(repr(error))
class Count(keras.callbacks.Callback):
    seen = collections.Counter()
    def on_epoch_begin(self, epoch, logs=None): self.seen["keras epoch"] += 1
    def on_train_batch_begin(self, batch, logs=None): self.seen["keras train batch"] += 1
    def on_test_batch_begin(self, batch, logs=None): self.seen["keras test batch"] += 1
    def on_predict_batch_begin(self, batch, logs=None): self.seen["keras predict batch"] += 1
class Rows(keras.utils.Sequence):
    def __len__(self): return 6
    def __getitem__(self, place): return numpy.ones((8, 4)), numpy.ones((8, 1))
class Fails(Count):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2: raise self.error("s3cr3t-4f1e77aa99d0")
class Tunes(Count):  # a training inside a callback
    def on_epoch_end(self, epoch, logs=None): fit(make(), x, y, batch_size=32, callbacks=[Count()])
class Ends(Count):
    def on_train_batch_end(self, batch, logs=None): self.model.stop_training = batch == 1

def make():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 4))
    model.compile("sgd", "mse")
    return model
def endless():
    while True: yield numpy.ones((8, 4)), numpy.ones((8, 1))
keras.utils.set_random_seed(1)
x, y = numpy.ones((64, 4)), numpy.ones((64, 1))
model = make()
history = fit(model, Rows(), epochs=3, callbacks=[Count()], validation_data=(x, y), validation_batch_size=16)
print(history.epoch, [round(loss, 4) for loss in history.history["val_loss"]])
fit(model, x, y, batch_size=16, epochs=2)  # without a callback of ours: its own run in a thread, where Keras has that
fit(model, endless(), steps_per_epoch=5, epochs=2, callbacks=[Count()])
fit(model, x, y, batch_size=16, epochs=5, callbacks=[Ends()])
fit(model, x, y, batch_size=32, epochs=2, callbacks=[Tunes()])
model.evaluate(x, y, batch_size=8, verbose=0, callbacks=[Count()])
model.predict(x, batch_size=8, verbose=0, callbacks=[Count()])
for Fails.error in (KeyError, KeyboardInterrupt):
    fit(make(), x, y, batch_size=16, epochs=3, callbacks=[Fails()])
model.predict(x, batch_size=8, verbose=0, callbacks=[Count()])  # on its own, not in what was left
with open("times.json", "w") as file: json.dump([Measured.inside, Measured.outside], file)
print(json.dumps(Count.seen))
"""

MMENGINE_LOOPS = """
import collections, json, os, tempfile, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner.loops import EpochBasedTrainLoop
from torch.utils.data import DataLoader

class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x, mode="tensor"):
        made = self.layer(x)
        return {"loss": (made**2).mean()} if mode == "loss" else [made]
class Metric(BaseMetric):
    default_prefix = "m"
    def process(self, data_batch, data_samples): self.results.append(1)
    computed = 0
    def compute_metrics(self, results):
        Metric.computed += 1
        return {"n": len(results)}
class Measured(Hook):
    priority = "VERY_LOW"  # the last one
    inside = []
    def before_train_epoch(self, runner): self.began = time.monotonic_ns()
    def after_train_epoch(self, runner): self.inside.append(time.monotonic_ns() - self.began)
class Fails(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 2: raise KeyError("s3cr3t-4f1e77aa99d0")

torch.manual_seed(1)
loader = DataLoader([torch.ones(2) for _ in range(8)], batch_size=2, collate_fn=lambda batch: {"x": torch.stack(batch)})
def runner(*hooks, **how):
    return Runner(
        model=Model(), work_dir=tempfile.mkdtemp(), custom_hooks=list(hooks), log_level="ERROR", train_dataloader=loader,
        val_dataloader=loader, val_cfg={}, val_evaluator=Evaluator([Metric()]),
        train_cfg=how, test_dataloader=loader, test_cfg={}, test_evaluator=Evaluator([Metric()]),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    )
first = runner(Measured(), by_epoch=True, max_epochs=3, val_interval=2)
started = time.monotonic_ns()
first.train()
outside_ns = time.monotonic_ns() - started
first.test()
second = runner(by_epoch=False, max_iters=6, val_interval=3)
second.train()
try:
    runner(Fails(), by_epoch=True, max_epochs=3).train()
except KeyError as error:
    print(error)
with open("times.json", "w") as file: json.dump([sum(Measured.inside), outside_ns], file)
print(json.dumps([first.epoch, first.iter, second.iter, Metric.computed]))
"""

MMCV = """
import collections, json, logging, tempfile, warnings
warnings.simplefilter("ignore")
import torch
from mmcv.runner import EpochBasedRunner, Hook, IterBasedRunner
from mmcv.runner import epoch_based_runner, iter_based_runner

class Quick:  # mmcv sleeps 2 s between epochs
    sleep = staticmethod(lambda seconds: None)
    def __getattr__(self, name): return getattr(__import__("time"), name)
epoch_based_runner.time = iter_based_runner.time = Quick()

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def train_step(self, data, optimizer, **more):
        loss = (self.layer(data) ** 2).mean()
        return {"loss": loss, "log_vars": {"loss": loss.item()}, "num_samples": len(data)}
    val_step = train_step
class Count(Hook):
    seen = collections.Counter()
    def before_train_epoch(self, runner): self.seen["Count.before_train_epoch (70)"] += 1
    def after_iter(self, runner): self.seen["Count.after_iter (70)"] += 1
    def after_run(self, runner): self.seen["Count.after_run (70)"] += 1
class Fails(Hook):
    def after_train_iter(self, runner):
        if runner.inner_iter == 2: raise KeyError("s3cr3t-4f1e77aa99d0")

torch.manual_seed(1)
log = logging.getLogger("quiet")
log.setLevel("CRITICAL")
def runner(cls, *hooks, **how):
    model = Model()
    made = cls(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), work_dir=tempfile.mkdtemp(), logger=log, **how)
    made.register_training_hooks(dict(policy="step", step=[2]), dict(grad_clip=None), None, None)
    for hook in hooks: made.register_hook(hook, "LOW")
    return made
loader = torch.utils.data.DataLoader([torch.ones(2) for _ in range(8)], batch_size=2)
first = runner(EpochBasedRunner, Count(), max_epochs=3)
first.run([loader, loader], [("train", 1), ("val", 1)])
second = runner(IterBasedRunner, Count(), max_iters=6)
second.run([loader], [("train", 1)])
try:
    runner(EpochBasedRunner, Fails(), max_epochs=3).run([loader], [("train", 1)])
except KeyError as error:
    print(error)
print(json.dumps([first.epoch, first.iter, second.iter, Count.seen]))
"""

MMENGINE = """
import collections, json, tempfile, torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.utils import is_method_overridden
from torch.utils.data import DataLoader

class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x, mode="tensor"):
        made = self.layer(x)
        return {"loss": (made**2).mean()} if mode == "loss" else made
class Count(Hook):
    priority = "LOW"
    def __init__(self): self.seen = collections.Counter()
    def before_train_epoch(self, runner): self.seen["Count.before_train_epoch (LOW)"] += 1
    def _after_iter(self, runner, batch_idx, data_batch=None, outputs=None, mode="train"):
        self.seen["Count._after_iter (LOW)"] += 1
    def after_run(self, runner): self.seen["Count.after_run (LOW)"] += 1
@HOOKS.register_module()
class Built(Hook):
    SEEN = collections.Counter()
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None): self.SEEN["Built.after_train_iter (77)"] += 1
class Wrong(Hook):
    def after_train(self): pass

torch.manual_seed(1)
data = [torch.ones(2) for _ in range(8)]
def runner(*hooks):
    return Runner(
        model=Model(), work_dir=tempfile.mkdtemp(), custom_hooks=list(hooks), log_level="ERROR",
        train_dataloader=DataLoader(data, batch_size=2, collate_fn=lambda batch: {"x": torch.stack(batch)}),
        train_cfg=dict(by_epoch=True, max_epochs=3), optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    )
count = Count()
first = runner(count, dict(type="Built", priority=77))
first.train()
print(first.epoch, first.iter, [(type(hook).__name__, str(hook.priority)) for hook in first._hooks])
print(sorted(count.get_triggered_stages()))
print([is_method_overridden(name, Hook, count) for name in ("after_run", "before_run", "_after_iter")])
try:
    runner(Wrong()).train()
except TypeError as error:
    print(str(error).partition(" in <")[0])
print(json.dumps([count.seen, Built.SEEN]))
"""


def test_callbacks_of_keras_are_counted(both: Both) -> None:
    """Those of the program, of Keras itself, and lambdas; against their own counts and the history of the training."""
    require("keras", "jax")
    found = both(KERAS, "keras", timeout_s=120)
    assert found.exit_code == 0, found.stderr
    count, batches, own = json.loads(found.stdout.splitlines()[-1])
    calls = found.calls()
    seen = {name: number for name, number in {**count, **batches}.items() if name != "Count.on_epoch_begin"}
    assert {name: calls.get(name) for name in seen} == seen
    assert calls["Count.on_epoch_begin"] == count["Count.on_epoch_begin"] == 2
    assert calls["Batches.on_epoch_begin"] == 2  # of the class of the object, though the counting is its base's
    assert calls["LambdaCallback.on_epoch_end"] == len(own) == 2
    assert calls["EarlyStopping.on_epoch_end"] == 2
    assert calls["History.on_epoch_end"] == 2 + 1 + 2  # of the training that stopped, of the one that failed, of the last one
    assert calls["Batches.on_train_batch_end"] == 2 * 3  # 48 of 64 rows by 16
    assert (calls["keras fit"], calls["keras evaluate"], calls["keras predict"]) == (3, 3, 1)  # two evaluations belong to epochs
    assert found.errors() == {"Stop.on_epoch_end": 1, "keras epoch": 1, "keras fit": 1}
    assert found.leaks("s3cr3t-4f1e77aa99d0") == []


def _without_noise(text: str, _folder: Path) -> str:
    """Leave out what TensorFlow prints of addresses and of the time, and Keras 2 of callbacks that it finds slow at times."""
    return re.sub(r"0x[0-9a-f]+|^I0000 .*|^WARNING:tensorflow:Callback method .*\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_epochs_of_keras_are_transactions(both: Both, backend: str) -> None:
    """With the batches that a callback counts, as long as the program measures itself; none is left open."""
    require("keras", backend)
    if version_of("keras") < (3, 0) and backend != "tensorflow":
        pytest.skip("Keras 2 has no other backend than TensorFlow")
    found = both(KERAS_EPOCHS.replace("CHOSEN", backend), "keras", seen=_without_noise, timeout_s=180)
    assert found.exit_code == 0, found.stderr
    seen = json.loads(found.stdout.splitlines()[-1])
    calls = found.calls()
    own = {"keras epoch": 2, "keras train batch": 2 * 4}  # of the fit without a callback
    assert {name: calls[name] for name in seen} == {name: number + own.get(name, 0) for name, number in seen.items()}
    assert found.transactions == {
        "keras epoch": 3 + 2 + 2 + 1 + 2 + 1 + 1,  # those two in callbacks belong to the epochs that they are called in
        "keras evaluate": 1,
        "keras predict": 2,
    }
    inside = found.calls_in("keras epoch")
    assert inside["keras train batch"] == calls["keras train batch"]
    assert (inside["keras evaluate"], inside["keras test batch"]) == (3, 3 * 4)
    assert inside["keras epoch"] == inside["keras fit"] == 2
    assert found.calls_in("keras predict")["keras predict batch"] == calls["keras predict batch"] == 2 * 8
    assert found.errors() == dict.fromkeys(("Fails.on_train_batch_end", "keras train batch", "keras epoch", "keras fit"), 1)
    inside_ns, outside_ns = json.loads((found.folder / "work" / "times.json").read_text())
    epochs = next(row for row in found.report["transactions"] if row["name"] == "keras epoch")
    assert len(inside_ns) == epochs["calls"]
    assert sum(inside_ns) <= epochs["total_ns"] <= sum(outside_ns)
    assert max(inside_ns) <= epochs["max_ns"] <= max(outside_ns)
    assert [title for title in found.findings if "in a row" in title or "batch" in title] == []
    assert found.leaks("s3cr3t-4f1e77aa99d0") == []


def test_hooks_of_mmengine_are_counted(both: Both) -> None:
    """By stage and priority, against their own counts and the runner's epochs and iterations."""
    require("mmengine")
    found = both(MMENGINE, "mmengine", timeout_s=120)
    assert found.exit_code == 0, found.stderr
    count, built = json.loads(found.stdout.splitlines()[-1])
    calls = found.calls()
    seen = {**count, **built}
    assert {name: calls.get(name) for name in seen} == seen
    assert calls["mmengine train epoch"] == 2 * 3
    assert calls["mmengine EpochBasedTrainLoop.run_iter"] == 2 * 3 * 4
    assert calls["IterTimerHook._before_iter (NORMAL)"] == 2 * 3 * 4
    assert not [name for name in calls if name.startswith("Count.") and name not in seen]
    assert found.errors()["Wrong.after_train (NORMAL)"] == 1


def test_epochs_of_mmengine_are_transactions(both: Both) -> None:
    """As many as the runner has run, with its iterations, the wait for data, validation; those by iterations as well."""
    require("mmengine")
    found = both(MMENGINE_LOOPS, "mmengine", "torch_data", timeout_s=120)
    assert found.exit_code == 0, found.stderr
    epochs, iterations, others, evaluated = json.loads(found.stdout.splitlines()[-1])
    assert (epochs, iterations, others) == (3, 12, 6)
    assert found.transactions == {
        "mmengine train epoch": epochs + 1,
        "mmengine ValLoop.run": evaluated - 1,
        "mmengine TestLoop.run": 1,
        "mmengine IterBasedTrainLoop.run_iter": others,
    }
    inside = found.calls_in("mmengine train epoch")
    assert inside["mmengine EpochBasedTrainLoop.run_iter"] == iterations + 3
    assert inside["DataLoader next batch"] == epochs * (4 + 1) + 3  # with the one that ends the epoch
    assert found.calls_in("mmengine ValLoop.run")["mmengine ValLoop.run_iter"] == 4 * (evaluated - 1)
    failed = ("Fails.after_train_iter (NORMAL)", "run_iter", "run")
    names = [name.replace("run", "mmengine EpochBasedTrainLoop.run") for name in failed]
    assert found.errors() == dict.fromkeys((*names, "mmengine train epoch"), 1)
    inside_ns, outside_ns = json.loads((found.folder / "work" / "times.json").read_text())
    row = next(row for row in found.report["transactions"] if row["name"] == "mmengine train epoch")
    assert inside_ns <= row["total_ns"]
    assert sum(sorted(example["duration_ns"] for example in row["examples"])[-3:]) <= outside_ns
    assert found.leaks("s3cr3t-4f1e77aa99d0") == []


def test_hooks_and_epochs_of_mmcv_are_counted(both: Both) -> None:
    """By stage and priority, against their own counts and the runner's epochs and iterations."""
    require("mmcv")
    require("mmcv.runner")  # mmcv 2 has none
    found = both(MMCV, "mmcv", "torch_data", timeout_s=120)
    assert found.exit_code == 0, found.stderr
    epochs, iterations, others, seen = json.loads(found.stdout.splitlines()[-1])
    assert (epochs, iterations, others) == (3, 12, 6)
    calls = found.calls()
    assert {name: calls.get(name) for name in seen} == seen
    assert found.transactions == {
        "mmcv train epoch": epochs + 1,
        "mmcv val epoch": 3,
        "mmcv IterBasedRunner.train": others,
    }
    assert found.calls_in("mmcv train epoch")["mmcv EpochBasedRunner.run_iter"] == iterations + 3
    assert found.calls_in("mmcv IterBasedRunner.train")["Count.after_iter (70)"] == others
    assert found.errors() == {"Fails.after_train_iter (70)": 1, "mmcv train epoch": 1}
    assert found.leaks("s3cr3t-4f1e77aa99d0") == []
