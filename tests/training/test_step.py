"""The training step: in parts, recomputed, compiled, beside a teacher, or no number."""

import pytest
import torch
from conftest import fit_once

from camera_trapinator import IGNORE, InputError
from camera_trapinator.config import Config
from camera_trapinator.loss import Criterion
from camera_trapinator.model import UNet, build_model
from camera_trapinator.networks.memory import enough_memory, next_predict_batch_size
from camera_trapinator.training.learner import compiled, next_batch_size
from camera_trapinator.utils import Precision


class Bad(Criterion):
    """A criterion whose loss is NaN where a mask holds the class 2."""

    def weigh(self, masks):
        return torch.ones(1)

    def total(self, logits, masks):
        return logits.float().mean().reshape(1) * torch.where((masks == 2).any(), torch.nan, 1.0)


OPTIMIZERS = {
    "SGD": lambda weights: torch.optim.SGD(weights, 0.1, fused=True),
    "SGD with momentum": lambda weights: torch.optim.SGD(weights, 0.1, 0.9, nesterov=True,
                                                         fused=True),
    "SGD, not fused": lambda weights: torch.optim.SGD(weights, 0.1, 0.9),
    "AdamW": lambda weights: torch.optim.AdamW(weights, 0.1, fused=True),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights, 0.1),
    "NAdam": lambda weights: torch.optim.NAdam(weights, 0.1)}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_a_step_whose_loss_is_nan_changes_nothing(name, clip, train, monkeypatch):
    monkeypatch.setattr("conftest.build_criterion", lambda *_: Bad())
    made = []

    def optimizer(weights):
        made.append(OPTIMIZERS[name](weights))
        return made[-1]

    knobs = {"optimizer": optimizer, "gradient_clip": clip}
    after = fit_once(train, skip_bad_steps=1, **knobs).state_dict()
    # Nor does it leave anything in the optimizer that would spoil the next step.
    for state in made[0].state.values():
        for value in state.values():
            assert not torch.as_tensor(value).any() or name == "NAdam"
            assert torch.as_tensor(value).isfinite().all()
    good = fit_once(train, ignored=lambda masks: masks.clamp_(max=1), **knobs).state_dict()
    torch.manual_seed(0)
    before = UNet(num_classes=3, working_scale=32, width=4, depth=2).state_dict()
    assert all(torch.equal(values, after[name]) for name, values in before.items())
    assert not all(torch.equal(values, good[name]) for name, values in before.items())


def test_no_gradient_reaches_the_teacher(train):
    torch.manual_seed(1)
    teacher = UNet(num_classes=3, working_scale=32, width=8, depth=2).eval()  # not even frozen
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = fit_once(train, teacher)
    assert all(weight.grad is not None and weight.grad.any() for weight in student.parameters())
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_teacher_counts_by_its_share(train):
    torch.manual_seed(1)
    teacher = UNet(num_classes=3, working_scale=32, width=8, depth=2).eval()
    alone, none, half = (
        dict(fit_once(train, *arguments).named_parameters())["last.weight"]
        for arguments in ((None,), (teacher,), (teacher,)))
    assert torch.equal(none, half) and not torch.equal(alone, half)
    zero = fit_once(train, teacher, teacher_share=0.0)
    torch.testing.assert_close(zero.last.weight, alone)


def uneven(masks: torch.Tensor) -> None:
    """Some photos are ignored but for a few rows, one altogether."""
    masks[0, 3:] = IGNORE
    masks[2, :30] = IGNORE
    masks[4] = IGNORE


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice", "cross_entropy_dice"])
@pytest.mark.parametrize("with_teacher", [False, True])
def test_a_step_in_parts_is_the_whole_step(train, loss, with_teacher):
    teacher = fit_once(train).eval() if with_teacher else None
    whole, *parts = (fit_once(train, teacher, photos=6, ignored=uneven, norm="none", loss=loss,
                              micro_batch_size=size) for size in (0, 1, 4, 6, 100))
    begun = fit_once(train, photos=6, norm="none", learning_rate=0.0)
    for part in parts:
        for (name, expected), got, start in zip(whole.named_parameters(), part.parameters(),
                                                begun.parameters(), strict=True):
            torch.testing.assert_close(got - start, expected - start, rtol=1e-4, atol=1e-7,
                                       msg=name)
            assert not torch.equal(expected, start)


def test_recomputed_activations_change_no_bit(train):
    kept, recomputed = (fit_once(train, recompute=recompute).state_dict()
                        for recompute in (False, True))
    for name, value in kept.items():  # weights, and the statistics of the normalisation
        assert torch.equal(value, recomputed[name]), name


@pytest.mark.parametrize("encoder", ["none", "efficientnet_lite0", "resnet18"])
def test_recomputing_keeps_few_activations(encoder):
    arguments = {"num_classes": 3, "working_scale": 64, "width": 8, "norm": "batch"}
    net = build_model(encoder, **arguments, **({"depth": 3} if encoder == "none" else {}))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)

    def kept_bytes() -> int:
        sizes = {}

        def keep(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            pred = net.train()(images)
        pred.sum().backward()
        weights = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
        return sum(size for pointer, size in sizes.items() if pointer not in weights)

    plain = kept_bytes()
    net.recompute = True
    assert kept_bytes() < 0.5 * plain
    seen = [layer.num_batches_tracked.item() for layer in net.modules()
            if isinstance(layer, torch.nn.BatchNorm2d)]
    assert set(seen) == {2}  # one step each, not three


def test_where_compiling_does_not_work_training_goes_on(train, monkeypatch, capsys):
    def refuse(net):
        raise OSError("no compiler found\nin many lines")

    net = build_model("none", num_classes=3, working_scale=64, width=4, depth=2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    config, precision = Config(crop_size=(32, 32)), Precision("fp32", torch.float32, False, False)
    monkeypatch.setattr(torch, "compile", refuse)
    assert compiled(net, config, precision) is net
    assert "does not work here (no compiler found): goes on without" in capsys.readouterr().out
    monkeypatch.setattr(torch, "compile", torch.nn.Sequential)  # a "compiler" that works
    assert compiled(net, config, precision)[0] is net
    for name, value in net.state_dict().items():  # the trial is a copy's
        assert torch.equal(value, before[name])


def test_too_little_memory_tells_the_next_batch_size(train):
    for knobs, cure in [({"batch_size": 8}, "micro_batch_size: 4"),
                        ({"batch_size": 8, "micro_batch_size": 3}, "micro_batch_size: 1"),
                        ({"batch_size": 2, "micro_batch_size": 64}, "micro_batch_size: 1"),
                        ({"batch_size": 1}, "recompute: true"),
                        ({"batch_size": 1, "recompute": True}, "smaller crop_size")]:
        with (pytest.raises(InputError, match=f"out of memory; .*{cure}"),
              enough_memory(next_batch_size(Config(**knobs)))):
            torch.empty(10**15)  # really too much
    with (pytest.raises(InputError, match="out of memory; go"), enough_memory("go")):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with pytest.raises(RuntimeError, match="another"), enough_memory("go"):
        raise RuntimeError("another fault")
    for knobs, cure in [({"predict_batch_size": 8}, "predict_batch_size: 4"),
                        ({"predict_batch_size": 1}, "tile: 512"), ({"tile": 512}, "tile: 256")]:
        assert cure in next_predict_batch_size(Config(**knobs))
