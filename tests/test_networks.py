"""Networks: documented sizes and costs, exact starts, the schedule, networks as scores for the sampler."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import rfcore as rf
from rfcore import images
from rfcore.images._blocks import ChannelDropout

COUNTS = {
    "cpu": 105_364,
    "cpu-full": 108_785,
    "g8": 115_756,
    "g12": 244_128,
    "g16": 421_588,
    "g32": 1_622_308,
    "g16-nopatch": 420_721,
    "ref8": 263_089,
    "ref16": 1_026_657,
    "ref32": 4_055_233,
    "ref48": 9_085_729,
    "ref64": 16_118_145,
}
MEGAFLOPS = {
    "cpu": 4.01,
    "cpu-full": 16.0,
    "g8": 25.7,
    "g12": 57.0,
    "g16": 101,
    "g32": 399,
    "g16-nopatch": 400,
}
MEGAFLOPS |= {"ref8": 281, "ref16": 976, "dit-s": 89}
OURS = [name for name in images.PRESETS if not name.startswith("ref")]


def fresh(name, seed=0, **options):
    side = images.PRESETS[name].side
    return images.build(name, (1, side, side), seed, **options)


def inputs(name, m=3, pictures=1):
    side, source = images.PRESETS[name].side, torch.Generator().manual_seed(1)
    x = torch.randn(m, pictures, side, side, generator=source)
    return x, torch.randint(1, 1000, (m,), generator=source)


def awake(network, seed=0):
    """Every parameter moved off its start, so that no zero hides anything."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in network.parameters():
            if each.requires_grad:
                each += 0.1 * torch.randn(each.shape, generator=source)
    return network.eval()


# --- sizes


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters_are_the_documented_ones(name):
    network = fresh(name)
    assert images.count(network) == COUNTS[name]
    frozen = 1000 * int(name[3:]) if name.startswith("ref") else 0
    assert images.count(network, trainable=True) == COUNTS[name] - frozen
    assert f"{COUNTS[name]:,}" in sys.modules["rfcore.images.networks"].__doc__


@pytest.mark.parametrize("name", ["dit-cpu", "dit-s", "dit-m"])
def test_a_transformer_has_18_width_squared_parameters_a_block(name):
    o = images.PRESETS[name].options
    d, patch, tokens = o["width"], o["patch"] ** 2, (images.PRESETS[name].side // o["patch"]) ** 2
    block = 18 * d**2 + 15 * d
    rest = (32 * d + d) + (d**2 + d) + (patch * d + d) + tokens * d + (2 * d**2 + 2 * d) + (d * patch + patch)
    assert images.count(fresh(name)) == o["depth"] * block + rest


@pytest.mark.parametrize("name", MEGAFLOPS)
def test_costs_are_the_documented_ones(name):
    """Multiply-adds count two, forward and backward; a check of the architecture that counts cannot give."""
    x, t = inputs(name, m=1)
    network, counter = fresh(name), FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        network(x, t).square().sum().backward()
    assert counter.get_total_flops() / 1e6 == pytest.approx(MEGAFLOPS[name], rel=6e-3)


# --- starts and parts


@pytest.mark.parametrize("name", OURS)
def test_a_fresh_network_predicts_zero(name):
    x, t = inputs(name)
    assert (fresh(name)(x, t) == 0).all()


def test_the_reference_does_not_start_at_zero():
    x, t = inputs("ref8")
    assert fresh("ref8")(x, t).abs().mean() > 1e-2


@pytest.mark.parametrize("name", ["cpu", "cpu-full", "g8", "ref8", "dit-cpu"])
def test_every_parameter_matters(name):
    network, (x, t) = awake(fresh(name, classes=3)), inputs(name)
    (network(x, t, torch.tensor([0, 1, 2])) ** 3).mean().backward()
    network(x, t).square().mean().backward()  # the row for "no class"
    for key, each in network.named_parameters():
        if each.requires_grad:
            assert each.grad is not None and each.grad.abs().max() > 0, key
            if "classes" in key:
                assert (each.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("name", ["cpu-full", "ref8", "dit-cpu"])
def test_pictures_of_a_batch_do_not_see_each_other(name):
    """Whole batch against one by one; time and class belong to their picture."""
    network, (x, t) = awake(fresh(name, classes=3)).double(), inputs(name)
    y, x = torch.tensor([2, 0, 1]), x.double()
    together = network(x, t, y)
    for i in range(3):
        alone = network(x[i : i + 1], t[i : i + 1], y[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-9)
    assert (network(x, t, y.roll(1)) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    assert (network(x, t.roll(1), y) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    torch.testing.assert_close(network(x, t), network(x, t, torch.full((3,), 3)))


def test_colours_and_other_sides():
    x = torch.randn(2, 3, 16, 16)
    for name in ("cpu", "g8", "ref8", "dit-s"):
        network = images.build(name, (3, 16, 16), seed=0)
        assert network(x, torch.tensor([4, 5])).shape == x.shape


def test_building_is_seeded_and_leaves_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    a, b, c = (torch.nn.utils.parameters_to_vector(fresh("nano", s).parameters()) for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_dropout_zeroes_whole_channels_and_keeps_the_mean():
    layer = ChannelDropout(0.25)
    layer.generator = torch.Generator().manual_seed(0)
    out = layer(torch.ones(400, 50, 2, 2))
    share = (out == 0).float().mean().item()
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert (out.amax(dim=(2, 3)) == out.amin(dim=(2, 3))).all()
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 20_000)
    assert torch.equal(layer.eval()(out), out)


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"name": "g17"}, "name = 'g17'"),
        ({"shape": (1, 10, 8)}, "shape = "),
        ({"seed": -1}, "seed = -1"),
        ({"classes": -1}, "classes = -1"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"name": "dit-cpu", "dropout": 0.1}, "shape, dropout"),
    ],
)
def test_bad_networks_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        images.build(**{"name": "nano", "shape": (1, 8, 8), "seed": 0, **change})


# --- the schedule


def test_the_schedule():
    assert images.ABAR[0] == pytest.approx(0.9999, abs=1e-12)
    assert images.ABAR[999] == pytest.approx(4.036e-5, rel=2e-4)
    assert (np.diff(images.ABAR) < 0).all() and not images.ABAR.flags.writeable
    k = np.arange(1000)
    np.testing.assert_allclose(np.exp(-2 * images.clock(k)), images.ABAR, rtol=1e-13)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.floats(0, 999))
def test_the_clock_turns_both_ways(k):
    assert images.index_at(float(images.clock(k))) == pytest.approx(k, abs=1e-8)


def test_sampling_times():
    published = images.sampling_times(100, last=0, final="state")
    np.testing.assert_allclose(
        np.exp(-2 * published), images.ABAR[np.rint(np.linspace(999, 0, 100)).astype(int)]
    )
    ours = images.sampling_times(20, first=950)
    assert len(ours) == 21 and ours[-1] == 0 and ours[0] == images.clock(950)
    for bad in (
        {"steps": 1},
        {"steps": 5, "first": 3},
        {"steps": 5, "first": 1000},
        {"steps": 5, "final": "x1"},
    ):
        with pytest.raises(ValueError, match="is not allowed"):
            images.sampling_times(**bad)
    for t in (0.0, 6.0):
        with pytest.raises(ValueError, match=f"t = {t}"):
            images.index_at(t)
    with pytest.raises(ValueError, match="index = -1"):
        images.clock(-1)


# --- linear denoisers, and networks as scores


@pytest.fixture(scope="module")
def small():
    """Twenty pictures of 12 pixels: the covariance is singular in no direction, the mean is not zero."""
    return 0.3 + 0.5 * np.random.default_rng(2).standard_normal((20, 1, 3, 4))


def affine(network, k, d=12):
    """The matrix and the shift of an affine network, by its values."""
    x = torch.cat([torch.zeros(1, d), torch.eye(d)]).double().reshape(-1, 1, 3, 4)
    values = network(x, torch.full((d + 1,), k)).reshape(d + 1, d).numpy()
    return (values[1:] - values[0]).T, values[0]


@pytest.mark.parametrize("k", [1, 300, 999])
def test_the_linear_denoiser_is_the_best_affine_one(small, k):
    """Normal equations, noise integrated exactly: E[(A x + b - eps) x^T] = 0 and E[A x + b - eps] = 0."""
    a, b = affine(images.LinearDenoiser.fit(small), k)
    rows, signal, noise = small.reshape(20, 12), math.sqrt(images.ABAR[k]), math.sqrt(1 - images.ABAR[k])
    mean = signal * rows.mean(axis=0)
    second = signal**2 * rows.T @ rows / 20 + noise**2 * np.eye(12)
    np.testing.assert_allclose(a @ second + np.outer(b, mean), noise * np.eye(12), atol=1e-10)
    np.testing.assert_allclose(a @ mean + b, 0, atol=1e-10)


def test_sampling_from_the_linear_denoiser_tends_to_the_closed_map(small):
    """First order in the step; the limit is C^(1/2) (abar C + 1 - abar)^(-1/2) (z - sqrt(abar) m) + m."""
    rows = small.reshape(20, 12)
    mean, covariance = rows.mean(axis=0), np.cov(rows.T, bias=True)
    values, modes = np.linalg.eigh(covariance)
    abar, z = images.ABAR[999], np.random.default_rng(0).standard_normal((5, 12))
    root = modes * np.sqrt(values / (abar * values + 1 - abar)) @ modes.T
    exact = mean + (z - math.sqrt(abar) * mean) @ root
    score = images.NetworkScore(images.LinearDenoiser.fit(small))
    errors = []
    for steps in (125, 250, 500, 999):
        x = torch.tensor(z.reshape(5, 1, 3, 4))
        out = rf.diffusion.sample(score, x, images.sampling_times(steps), "ddim").numpy().reshape(5, 12)
        errors.append(np.linalg.norm(out - exact))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 0.02 * np.linalg.norm(exact) and (abs(slopes - 1) < 0.2).all(), (errors, slopes)


def test_a_linear_denoiser_gives_the_score_of_its_gaussian(small):
    rows = small.reshape(20, 12)
    exact = rf.diffusion.GaussianScore(rows.mean(axis=0), np.cov(rows.T, bias=True))
    score = images.NetworkScore(images.LinearDenoiser.fit(small))
    for t in (images.clock(0), 0.123, 1.0, images.clock(999)):
        x = np.random.default_rng(1).standard_normal((4, 12))
        value = score(torch.tensor(x.reshape(4, 1, 3, 4)), float(t)).numpy().reshape(4, 12)
        np.testing.assert_allclose(value, exact(x, float(t)), rtol=1e-9, atol=1e-9)


def test_a_network_as_a_score_by_definition_in_batches_and_with_classes():
    network = awake(fresh("cpu", classes=4)).train()
    x, y = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 4
    k, t = 640, float(images.clock(640))
    with torch.no_grad():
        expected = -network.eval()(x, torch.full((7,), k), y) / math.sqrt(1 - images.ABAR[k])
    network.train()
    for batch in (3, 7, 100):
        value = images.NetworkScore(network, labels=y, batch=batch)(x, t)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
        assert network.training and not value.requires_grad and value.dtype == x.dtype
    assert (images.NetworkScore(network)(x, t) - expected).abs().max() > 1e-3
    double = images.NetworkScore(network.double(), labels=y)(x.double(), t)
    torch.testing.assert_close(double.float(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="number of labels = 7"):
        images.NetworkScore(network, labels=y)(x[:3].double(), t)


def test_clipping_bounds_the_denoised_picture_and_nothing_else():
    network, t = awake(fresh("cpu")), 0.7
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    free, bound = (
        rf.diffusion.denoised(x, images.NetworkScore(network, clip=c)(x, t), t) for c in (None, 0.4)
    )
    assert free.abs().max() > 0.5
    torch.testing.assert_close(bound, free.clamp(-0.4, 0.4), rtol=1e-4, atol=1e-5)


# --- imports


def test_importing_the_package_does_not_import_torch():
    use = "rfcore.images; rfcore.datasets; dir(rfcore.images)"
    script = f"import sys, rfcore; {use}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert set(images.__all__) <= set(dir(images))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = images.nothing
