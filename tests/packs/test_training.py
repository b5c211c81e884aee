"""Callbacks of training frameworks under their packs: as many as the framework's own record has; training is as without us."""

from __future__ import annotations

import json

from .hooked import Both, both, require

__all__ = ["both"]

KERAS = """
import collections, copy, json, os
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy
from keras.src.utils.python_utils import is_default

class Count(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = collections.Counter()
    def on_epoch_begin(self, epoch, logs=None): self.seen["Count.on_epoch_begin"] += 1
    def on_epoch_end(self, epoch, logs=None): self.seen["Count.on_epoch_end"] += 1
    def on_test_begin(self, logs=None): self.seen["Count.on_test_begin"] += 1
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
print([getattr(each, "_async_train", None) for each in (lists, keras.callbacks.CallbackList([batches]))])
callbacks = [count, batches, by_lambda, stopping]
history = model.fit(x, y, epochs=5, batch_size=16, verbose=0, callbacks=callbacks, validation_split=0.25)
model.evaluate(x, y, verbose=0, callbacks=[batches])
model.predict(x, verbose=0, callbacks=[batches])
print(history.epoch, [round(loss, 4) for loss in history.history["loss"]], stopping.stopped_epoch)
print([is_default(each) for each in (count.on_train_begin, count.on_epoch_end, by_lambda.on_epoch_begin, by_lambda.on_epoch_end)])
try:
    model.fit(x, y, epochs=3, verbose=0, callbacks=[Stop()])
except KeyError as error:
    print(repr(error))
count.set_model(None)
again = copy.deepcopy(count)
again.on_epoch_end(1)
print(again.seen["Count.on_epoch_end"] - count.seen["Count.on_epoch_end"], Count.on_epoch_end is vars(Count)["on_epoch_end"])
print(json.dumps([again.seen, batches.seen, own]))  # the copy has seen what its original has, and one more
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
print(first.epoch, first.iter, [(type(each).__name__, str(each.priority)) for each in first._hooks])
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
    assert calls["History.on_epoch_end"] == 3  # and the one that the last training came to
    assert calls["Batches.on_train_batch_end"] == 2 * 3  # 48 of 64 rows by 16
    assert (calls["keras fit"], calls["keras evaluate"], calls["keras predict"]) == (2, 3, 1)  # two evaluations belong to epochs
    assert found.errors() == {"Stop.on_epoch_end": 1, "keras fit": 1}
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
