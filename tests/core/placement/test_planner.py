"""The planner, on invented machines."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from core.errors import InvalidInput, NotEnoughMemory
from core.machine.devices import Device, Hardware
from core.placement.model_facts import IN_DIFFUSION_TRANSFORMERS, ModelFacts, Working, image_working
from core.placement.planner import Placement, Wish, plan

GB = 10**9


def cpu(gb: float, *, bf16: bool = False) -> Device:
    """Return a processor with `gb` free."""
    return Device("cpu", 0, "processor", int(gb * GB), int(gb * GB), bf16)


def cuda(gb: float, capability: tuple[int, int], index: int = 0) -> Device:
    """Return an NVIDIA GPU with `gb` free."""
    return Device("cuda", index, "NVIDIA", int(gb * GB), int(gb * GB), capability >= (8, 0), capability)


LAPTOP = Hardware((cpu(8),), cores=4, torch_version="2.13.0+cpu")
AMX_SERVER = Hardware((cpu(24, bf16=True),), cores=2, torch_version="2.13.0+cpu")
T4 = Hardware((cuda(15, (7, 5)), cpu(13)), cores=2, torch_version="2.13.0", packages=frozenset({"bitsandbytes"}))
A100 = Hardware(
    (cuda(79, (8, 0)), cpu(200)), cores=16, torch_version="2.13.0", packages=frozenset({"bitsandbytes", "flash_attn"})
)
TWO_GPUS = Hardware((cuda(24, (8, 6)), cuda(23, (8, 6), 1), cpu(60)), cores=16, torch_version="2.13.0")
M2 = Hardware((Device("mps", 0, "Apple M2", 10 * GB, 10 * GB, bf16=True), cpu(10)), cores=8, torch_version="2.13.0")
INTEL = Hardware((Device("xpu", 0, "Arc", 16 * GB, 15 * GB, bf16=True), cpu(30)), cores=8, torch_version="2.13.0+xpu")
SPACE = Hardware((cpu(2),), cores=2, torch_version="2.13.0+cpu")
MACHINES = (LAPTOP, AMX_SERVER, T4, A100, TWO_GPUS, M2, INTEL, SPACE)

MINILM = ModelFacts(22_700_000, 90_900_000)
LLAMA_8B = ModelFacts(8_030_000_000, 16_060_000_000, "decoder", embedding_parameters=1_050_000_000)
QWEN_14B = ModelFacts(14_800_000_000, 29_600_000_000, "decoder")
SD_15 = ModelFacts(
    1_066_000_000,
    2_132_000_000,
    "diffusion",
    ("sdpa", "eager", "sliced"),
    largest_component_parameters=860_000_000,
    vae=True,
)
OLD_UNET = replace(SD_15, attention=("eager", "sliced"))
MODELS = (MINILM, replace(MINILM, bf16_agrees=True), LLAMA_8B, QWEN_14B, SD_15, OLD_UNET)


def keys(placement: Placement) -> list[str]:
    """Name the reasons."""
    return [reason.key.removeprefix("reason.") for reason in placement.reasons]


@pytest.mark.parametrize(
    ("machine", "facts", "device", "dtype", "why"),
    [
        # no GPU, and no instructions for less than float32
        (LAPTOP, MINILM, "cpu", "float32", "dtype_fp32_no_instructions"),
        # instructions alone are not enough: nobody has compared the answers
        (AMX_SERVER, MINILM, "cpu", "float32", "dtype_fp32_unknown"),
        # compared and equal: tables are mixed, a single text stays exact
        (AMX_SERVER, replace(MINILM, bf16_agrees=True), "cpu", "float32", "dtype_fp32_tables_mixed"),
        # compared and different
        (AMX_SERVER, replace(MINILM, bf16_agrees=False), "cpu", "float32", "dtype_fp32_disagrees"),
        # agreement does not help a processor without the instructions
        (LAPTOP, replace(MINILM, bf16_agrees=True), "cpu", "float32", "dtype_fp32_no_instructions"),
        # Turing has no bfloat16
        (T4, MINILM, "cuda:0", "float16", "dtype_fp16_cuda"),
        # Ampere has
        (A100, LLAMA_8B, "cuda:0", "bfloat16", "dtype_bf16_cuda"),
        # the freer of two GPUs
        (TWO_GPUS, MINILM, "cuda:0", "bfloat16", "dtype_bf16_cuda"),
        (M2, MINILM, "mps", "float16", "dtype_fp16_mps"),
        (INTEL, MINILM, "xpu:0", "bfloat16", "dtype_bf16_xpu"),
        (SPACE, MINILM, "cpu", "float32", "dtype_fp32_no_instructions"),
    ],
)
def test_device_and_dtype(machine: Hardware, facts: ModelFacts, device: str, dtype: str, why: str) -> None:
    """Each machine gets the device and dtype of the house's rules, with the sentence that says why."""
    placement = plan(facts, machine, Wish())
    assert (placement.device, placement.dtype, placement.attention) == (device, dtype, "sdpa")
    assert why in keys(placement)


def test_every_reason_can_be_read() -> None:
    """Each reason has its English sentence and all of its values."""
    for machine, facts in itertools.product(MACHINES, MODELS):
        try:
            placement = plan(facts, machine, Wish(), Working(vae_values=GB, forward_values=GB // 10, images=2))
        except NotEnoughMemory as refusal:
            assert "needs at least" in str(refusal)  # noqa: PT017 only some combinations refuse
        else:
            assert all(len(str(reason)) > 10 and "{" not in str(reason) for reason in placement.reasons)


def test_prediction_is_the_formula_in_the_docstring() -> None:
    """Weights are parameters x 4 at float32; unknown working memory is a fifth of them, known is taken as given."""
    unknown = plan(MINILM, LAPTOP, Wish())
    assert [(part.name, part.bytes) for part in unknown.parts] == [("weights", 90_800_000), ("working", 18_160_000)]
    assert unknown.predicted_bytes == 108_960_000
    assert plan(MINILM, LAPTOP, Wish(), working_bytes=1000).predicted_bytes == 90_801_000


def test_working_values_weigh_what_the_dtype_weighs() -> None:
    """A thousand values take 4 000 bytes in float32 and 2 000 in float16."""
    wishes = [Wish(dtype=dtype) for dtype in ("float32", "float16")]
    working = [plan(MINILM, LAPTOP, wish, Working(forward_values=1000)).parts[1].bytes for wish in wishes]
    assert working == [4000, 2000]


def test_quantised_weights_keep_their_embeddings() -> None:
    """As nf4 a parameter takes 4.5 bits (QLoRA, section 3), except the embeddings, which stay in half precision."""
    placement = plan(LLAMA_8B, T4, Wish(quantisation="nf4"))
    assert placement.parts[0].bytes == int(6_980_000_000 * 4.5 / 8) + 2 * 1_050_000_000
    assert (placement.device, placement.quantisation) == ("cuda:0", "nf4")
    assert "quantisation_wished" in keys(placement)


def test_eight_billion_parameters_do_not_fit_a_t4() -> None:
    """16 GB of weights go neither onto 15 GB nor into 13 GB as float32, and the refusal names what would help."""
    with pytest.raises(NotEnoughMemory, match=r"quantisation=nf4 it would need 9\.2 GB") as refusal:
        plan(LLAMA_8B, T4, Wish())
    assert refusal.value.sentence.values["needed_bytes"] > refusal.value.sentence.values["free_bytes"]


def test_a_refusal_offers_a_smaller_dtype_only_where_it_fits() -> None:
    """8 B parameters need 39 GB in float32 and 19 GB in bfloat16: that helps on 24 GB and not on 8."""
    with pytest.raises(NotEnoughMemory, match=r"With dtype=bfloat16 it would need 19\.3 GB"):
        plan(LLAMA_8B, AMX_SERVER, Wish())
    with pytest.raises(NotEnoughMemory) as refusal:
        plan(LLAMA_8B, LAPTOP, Wish())
    assert "dtype=" not in str(refusal.value)
    assert "smaller model" in str(refusal.value)


def test_a_refusal_on_a_forced_device_names_another() -> None:
    """Where the model would fit elsewhere, the sentence says so."""
    with pytest.raises(NotEnoughMemory, match="On cuda:0 it would fit"):
        plan(ModelFacts(9 * GB // 2, 9 * GB), T4, Wish(device="cpu", dtype="float16"), working_bytes=5 * GB)


def test_two_gpus_share_what_one_cannot_hold() -> None:
    """29.6 GB go onto 24 + 23 GB by device_map, and the reason names both numbers."""
    placement = plan(QWEN_14B, TWO_GPUS, Wish())
    assert (placement.device, placement.device_map) == ("cuda:0", "auto")
    assert "device_together" in keys(placement)
    assert plan(MINILM, TWO_GPUS, Wish()).device_map is None
    with pytest.raises(NotEnoughMemory):
        plan(QWEN_14B, TWO_GPUS, Wish(device="cuda:0"))


def test_unlike_gpus_do_not_share() -> None:
    """A GPU without bfloat16 cannot take layers of a bfloat16 model."""
    unlike = replace(TWO_GPUS, devices=(cuda(24, (8, 6)), cuda(23, (7, 5), 1), cpu(20)))
    with pytest.raises(NotEnoughMemory):
        plan(QWEN_14B, unlike, Wish())


def test_the_processor_takes_what_no_gpu_can() -> None:
    """A model too large for the GPU goes to main memory, and the reason names the GPU's numbers."""
    placement = plan(ModelFacts(GB), Hardware((cuda(1, (8, 0)), cpu(30)), cores=4), Wish())
    assert (placement.device, placement.dtype) == ("cpu", "float32")
    assert keys(placement)[0] == "device_cpu_instead"
    with pytest.raises(NotEnoughMemory):
        plan(ModelFacts(GB), Hardware((cuda(1, (8, 0)), cpu(30)), cores=4), Wish(device="cuda"))


def test_a_budget_bounds_what_is_free() -> None:
    """The instance's own limit counts like missing memory."""
    assert plan(MINILM, LAPTOP, Wish(), budget_bytes=120_000_000).predicted_bytes <= 120_000_000
    with pytest.raises(NotEnoughMemory, match=r"100\.0 MB may be used"):
        plan(MINILM, LAPTOP, Wish(), budget_bytes=100_000_000)


REMEDIES = [
    "vae_slicing_remedy",
    "vae_tiling_remedy",
    "offload_model_remedy",
    "slicing_remedy",
    "offload_sequential_remedy",
]
TWO_LARGE_IMAGES = image_working(1024, 1024, images=2)


def remedies(placement: Placement) -> list[str]:
    """Name the remedies taken, in order."""
    return [key for key in keys(placement) if key.endswith("_remedy")]


def gpu_sizes(facts: ModelFacts, top: float) -> list[Placement]:
    """Plan on GPUs from `top` GB down to what fits no more."""
    placements = []
    for size in itertools.count():
        machine = Hardware((cuda(top * 0.98**size, (8, 0)), cpu(64)), cores=8, torch_version="2.13.0")
        try:
            placements.append(plan(facts, machine, Wish(device="cuda"), TWO_LARGE_IMAGES))
        except NotEnoughMemory:
            return placements
    return placements


def test_remedies_come_in_their_order_as_memory_shrinks() -> None:
    """A model without SDPA takes one remedy more at a time, in the stated order, and each keeps those before it."""
    taken = [remedies(placement) for placement in gpu_sizes(OLD_UNET, 200)]
    assert taken[0] == []
    assert [len(names) for names in taken] == sorted(len(names) for names in taken)
    for names in taken:
        assert names == [name for name in REMEDIES if name in names]
    assert set(taken[-1]) >= {"offload_model_remedy", "slicing_remedy", "offload_sequential_remedy"}


def test_every_remedy_lowers_the_prediction() -> None:
    """Along the remedies, from plenty of memory to little, the prediction only falls."""
    for facts in (SD_15, OLD_UNET):
        predicted = [placement.predicted_bytes for placement in gpu_sizes(facts, 200)]
        assert predicted == sorted(predicted, reverse=True)
        assert predicted[-1] < predicted[0]


def test_fused_attention_takes_all_remedies_but_slicing() -> None:
    """With SDPA the VAE comes first, then offload; slicing would save nothing, and the plan says that."""
    placements = gpu_sizes(SD_15, 200)
    assert ["vae_slicing_remedy"] in [remedies(placement) for placement in placements]
    assert ["vae_slicing_remedy", "vae_tiling_remedy"] in [remedies(placement) for placement in placements]
    last = placements[-1]
    assert (last.offload, last.attention, last.vae_slicing, last.vae_tiling) == ("sequential", "sdpa", True, True)
    assert "slicing_saves_nothing" in keys(last)
    assert not any(placement.attention_slicing for placement in placements)


def test_a_plan_never_exceeds_what_is_free_and_never_changes() -> None:
    """Over machines, models, dtypes and sizes: predicted ≤ free of the devices used, and equal when asked again."""
    sizes = (0, 10**8, TWO_LARGE_IMAGES)
    planned = 0
    for machine, facts, dtype, size in itertools.product(MACHINES, MODELS, ("auto", "float32", "bfloat16"), sizes):
        try:
            placement = plan(facts, machine, Wish(dtype=dtype), size)
        except NotEnoughMemory:
            continue
        used = machine.gpus if placement.device_map else (machine.device(placement.device),)
        assert placement.predicted_bytes <= sum(device.free_bytes for device in used)
        assert placement.predicted_bytes == sum(part.bytes for part in placement.parts)
        assert placement == plan(facts, machine, Wish(dtype=dtype), size)
        planned += 1
    assert planned > 100


def test_offload_needs_room_in_main_memory() -> None:
    """A GPU too small and a main memory too small for the weights: offload is no way out."""
    machine = Hardware((cuda(1, (8, 0)), cpu(1)), cores=4, torch_version="2.13.0")
    with pytest.raises(NotEnoughMemory):
        plan(SD_15, machine, Wish(), working_bytes=1000)
    roomy = replace(machine, devices=(cuda(1, (8, 0)), cpu(4)))
    assert plan(SD_15, roomy, Wish(), working_bytes=1000).offload == "sequential"
    with pytest.raises(NotEnoughMemory, match="whole model in main memory"):
        plan(SD_15, machine, Wish(device="cuda", offload="sequential"), working_bytes=1000)


def test_offload_never_on_shared_memory_and_never_for_transformers() -> None:
    """Apple GPUs share main memory, so only the VAE's remedies are left; transformers models have no such hooks."""
    with pytest.raises(NotEnoughMemory):
        plan(replace(SD_15, parameters=6 * GB), M2, Wish(device="mps"))
    with pytest.raises(NotEnoughMemory):
        plan(ModelFacts(GB), Hardware((cuda(1, (8, 0)), cpu(30)), cores=4), Wish(device="cuda"))


def test_auto_never_slices_on_apple_up_to_2_13_and_says_so() -> None:
    """Sliced attention gives NaN there; from 2.14 on it is a remedy, because SDPA on MPS holds all scores."""
    working = Working(attention_values=4 * GB)
    with pytest.raises(NotEnoughMemory):
        plan(SD_15, M2, Wish(device="mps"), working)
    newer = plan(SD_15, replace(M2, torch_version="2.14.0"), Wish(device="mps"), working)
    assert remedies(newer) == ["slicing_remedy"]
    assert newer.attention == "sliced"
    small = plan(SD_15, M2, Wish(), Working(attention_values=GB))
    assert "slicing_never_on_mps" in keys(small)


@pytest.mark.parametrize("torch_version", ["2.13.0", "2.9.1", None, "unreadable"])
def test_forced_slicing_on_apple_up_to_2_13_is_refused(torch_version: str | None) -> None:
    """On is refused in words instead of painting black images; an unknown version counts as old."""
    with pytest.raises(InvalidInput, match="NaN"):
        plan(SD_15, replace(M2, torch_version=torch_version), Wish(attention_slicing="on"))


@pytest.mark.parametrize("wish", [Wish(attention_slicing="on"), Wish(attention="sliced")])
@pytest.mark.parametrize("machine", [LAPTOP, T4, A100, INTEL])
def test_forced_slicing_is_obeyed_with_a_warning(machine: Hardware, wish: Wish) -> None:
    """On is obeyed everywhere else, and the reason says that it is slower."""
    placement = plan(SD_15, machine, wish)
    assert (placement.attention, placement.attention_slicing) == ("sliced", True)
    assert "slower than sdpa" in " ".join(map(str, placement.reasons))


def test_slicing_off_is_obeyed_even_when_memory_is_short() -> None:
    """Off removes the remedy: less fits, and nothing is sliced."""
    working = Working(attention_values=20 * GB)
    machine = Hardware((cuda(25, (8, 0)), cpu(1)), cores=4)
    assert plan(OLD_UNET, machine, Wish(), working).attention_slicing
    with pytest.raises(NotEnoughMemory):
        plan(OLD_UNET, machine, Wish(attention_slicing="off"), working)


def test_slicing_needs_a_sliced_form() -> None:
    """A diffusion transformer has none."""
    with pytest.raises(InvalidInput, match="no sliced form"):
        plan(replace(SD_15, attention=IN_DIFFUSION_TRANSFORMERS), A100, Wish(attention_slicing="on"))


@pytest.mark.parametrize(
    ("machine", "wish", "words"),
    [
        (T4, Wish(attention="flash_attention_2"), "compute capability 8.0"),
        (LAPTOP, Wish(attention="flash_attention_2"), "needs an NVIDIA GPU"),
        (A100, Wish(attention="flash_attention_2", dtype="float32"), "float16 or bfloat16 only"),
        (TWO_GPUS, Wish(attention="flash_attention_2"), "pip install flash-attn"),
        (LAPTOP, Wish(quantisation="nf4"), "NVIDIA GPUs only"),
        (M2, Wish(quantisation="int8"), "NVIDIA GPUs only"),
        (TWO_GPUS, Wish(quantisation="nf4"), "pip install bitsandbytes"),
        (LAPTOP, Wish(device="cuda"), "no device cuda; it has: cpu"),
        (TWO_GPUS, Wish(device="cuda:2"), "cuda:0, cuda:1, cpu"),
        (A100, Wish(offload="model"), "offload is for diffusion models"),
        (A100, Wish(vae_slicing="on"), "vae_slicing is for diffusion models"),
    ],
)
def test_what_cannot_be_is_refused_in_words(machine: Hardware, wish: Wish, words: str) -> None:
    """A forced choice that the machine or the model does not know is refused with what to do instead."""
    with pytest.raises(InvalidInput, match=words):
        plan(LLAMA_8B, machine, wish)


def test_forced_diffusion_choices() -> None:
    """What is forced is obeyed and said back; what has no VAE or no GPU memory to save is refused."""
    placement = plan(SD_15, A100, Wish(vae_tiling="on", offload="model"))
    assert (placement.vae_tiling, placement.vae_slicing, placement.offload) == (True, False, "model")
    assert keys(placement).count("wished") == 2
    with pytest.raises(InvalidInput, match="needs a model with a VAE"):
        plan(replace(SD_15, vae=False), A100, Wish(vae_tiling="on"))
    with pytest.raises(InvalidInput, match="computes in main memory already"):
        plan(SD_15, LAPTOP, Wish(offload="sequential"))


def test_pictures_are_not_quantised() -> None:
    """What would load whole is refused, and never advised."""
    quantising = Hardware((cuda(4, (8, 0)), cpu(1)), cores=4, packages=("bitsandbytes",))
    with pytest.raises(InvalidInput, match="language models only"):
        plan(SD_15, quantising, Wish(quantisation="nf4"))
    with pytest.raises(NotEnoughMemory) as refusal:
        plan(replace(SD_15, parameters=60 * GB), quantising, Wish())
    assert "quantisation" not in str(refusal.value)


def test_flash_attention_where_it_can_be() -> None:
    """On an A100 with the package, in half precision, the wish is obeyed."""
    assert plan(LLAMA_8B, A100, Wish(attention="flash_attention_2")).attention == "flash_attention_2"


def test_slow_and_impossible_dtypes() -> None:
    """A dtype without instructions is obeyed with a warning where it works, and refused where it does not."""
    assert "dtype_slow" in keys(plan(MINILM, LAPTOP, Wish(dtype="bfloat16")))
    assert "dtype_slow" in keys(plan(MINILM, AMX_SERVER, Wish(dtype="float16")))
    assert "dtype_slow" in keys(plan(MINILM, T4, Wish(dtype="bfloat16")))
    assert "dtype_wished" in keys(plan(MINILM, AMX_SERVER, Wish(dtype="bfloat16")))
    old_mac = replace(M2, devices=(replace(M2.gpus[0], bf16=False), M2.cpu))
    with pytest.raises(InvalidInput, match="cannot compute in bfloat16"):
        plan(MINILM, old_mac, Wish(dtype="bfloat16"))
