"""``RandomCorruption``: a training augmentation whose view of an image depends on its seed, id and draw alone."""

from __future__ import annotations

import pytest
import torch

from art_weakrobust import RandomCorruption
from art_weakrobust.errors import DataError, PluginError, UsageError
from art_weakrobust.perturbations.corruptions.colour import contrast
from art_weakrobust.perturbations.corruptions.noise import gaussian_noise

NAMES = ["gaussian_noise", "contrast", "pixelate"]


@pytest.fixture(scope="module")
def x():
    return torch.rand((40, 3, 16, 16), generator=torch.Generator().manual_seed(0))


def test_every_image_is_corrupted_by_one_of_the_types_at_one_of_the_severities(x):
    def mark(x, ids, severity, seed):
        return torch.full_like(x, severity / 10)

    made = RandomCorruption({"a": mark}, severities=(2, 4))(x)
    assert {round(float(v), 3) for v in made.flatten(1).unique()} == {0.2, 0.4}


def test_an_image_is_corrupted_alike_in_any_batch(x):
    augment, ids = RandomCorruption(NAMES, seed=3), torch.arange(40) * 5
    whole = augment(x, ids)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    shuffled = torch.cat([augment(x[rows], ids[rows]) for rows in order.split(7)])
    assert torch.equal(shuffled, whole[order])


def test_another_draw_and_another_seed_give_another_view(x):
    ids = torch.arange(40)
    first = RandomCorruption(NAMES)(x, ids)
    assert not torch.equal(first, RandomCorruption(NAMES)(x, ids, draw=1))
    assert not torch.equal(first, RandomCorruption(NAMES, seed=1)(x, ids))


def test_without_ids_no_two_batches_repeat_a_draw_and_a_loaded_state_goes_on(x):
    augment, other = RandomCorruption(NAMES), RandomCorruption(NAMES)
    first, second = augment(x), augment(x)
    assert not torch.equal(first, second)
    other(x)
    state = other.state_dict()
    again = RandomCorruption(NAMES)
    again.load_state_dict(state)
    assert torch.equal(again(x), second)


def test_p_is_the_share_of_images_that_are_corrupted():
    x = torch.full((2000, 1, 8, 8), 0.5)
    made = RandomCorruption(["gaussian_noise"], p=0.3)(x)
    share = (made != x).flatten(1).any(1).float().mean()
    assert 0.26 < share < 0.34


def test_one_corruption_for_a_batch_is_drawn_where_it_is_asked_for(x):
    def by(value):
        return lambda x, ids, severity, seed: torch.full_like(x, value)

    kinds = {"a": by(0.1), "b": by(0.2), "c": by(0.3)}
    augment = RandomCorruption(kinds, per_image=False)
    seen = [augment(x).unique() for _ in range(20)]
    assert all(len(values) == 1 for values in seen)
    assert len({float(values) for values in seen}) == 3


def test_in_evaluation_mode_images_come_back_untouched(x):
    augment = RandomCorruption(NAMES).eval()
    assert augment(x) is x
    assert int(augment.drawn) == 0


def test_half_precision_comes_back_as_it_went_in(x):
    assert RandomCorruption(NAMES)(x.half()).dtype == torch.float16


def test_global_random_state_is_left_alone(x):
    before = torch.random.get_rng_state()
    RandomCorruption(NAMES)(x)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_default_is_the_paper_s_fifteen():
    names = [kind.name for kind in RandomCorruption().types]
    assert len(names) == 15
    assert not {"speckle_noise", "gaussian_blur", "spatter", "saturate"} & set(names)


@pytest.mark.parametrize(("pixel", "shown"), [(1.5, "1.5"), (float("nan"), "nan"), (-float("inf"), "-inf")])
def test_pixels_out_of_range_or_not_finite_are_refused(x, pixel, shown):
    wrong = x.clone()
    wrong[6, 0, 3, 3] = pixel
    with pytest.raises(DataError, match=f"sample 12 holds the pixel {shown}, expected"):
        RandomCorruption(NAMES)(wrong, torch.arange(40) * 2)


def test_bytes_are_refused(x):
    with pytest.raises(DataError, match=r"images are torch.uint8 of shape"):
        RandomCorruption(NAMES)((x * 255).byte())


def test_images_below_the_least_size_are_refused():
    with pytest.raises(DataError, match="contrast needs images of at least 8 x 8 pixels, got 4 x 4"):
        RandomCorruption(["contrast"])(torch.zeros(1, 1, 4, 4))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(PluginError, match="unknown corruption 'gausian_noise', did you mean 'gaussian_noise'"):
        RandomCorruption(["gausian_noise"])


@pytest.mark.parametrize("severity", [0, 6, True, 2.5])
@pytest.mark.parametrize("corruption", [gaussian_noise, contrast])
def test_severities_outside_1_to_5_are_refused(x, severity, corruption):
    with pytest.raises(UsageError, match="use 1, 2, 3, 4 or 5"):
        RandomCorruption([corruption], severities=[severity])


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(p):
    with pytest.raises(UsageError, match="has to be a share from 0 to 1"):
        RandomCorruption(NAMES, p=p)


def test_a_set_on_disk_is_never_trained_on():
    class Stored:
        paired = True

        def dataset(self, severity):
            raise AssertionError

    with pytest.raises(UsageError, match="'mine/fog' lies on disk and is for the test images alone"):
        RandomCorruption({"mine/fog": Stored()})


def test_ids_may_be_anything_that_lists_numbers_and_severities_one_number():
    x, augment = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), RandomCorruption("contrast", 3)
    wanted = augment(x, ids=torch.arange(4))
    assert torch.equal(augment(x, ids=[0, 1, 2, 3]), wanted)
    assert torch.equal(augment(x, ids=torch.arange(4, dtype=torch.int32)), wanted)
