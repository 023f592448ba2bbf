"""What every fixture maker shares: seeding, randomised weights, saved tensor names, version records."""

import copy
import json
import platform
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SEED = 20240613


def generator(name):
    """A generator of its own for each fixture, so that adding one fixture changes no other."""
    seed = SEED
    for byte in name.encode():
        seed = (seed * 31 + byte) % (2**63 - 1)
    return torch.Generator().manual_seed(seed)


def fresh_folder(path):
    """An empty folder at `path`; what an earlier run left there is removed."""
    path = Path(path)
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n", encoding="utf-8")


def write_versions(folder):
    """Records what made the fixtures in `folder`."""
    import numpy
    import peft
    import safetensors
    import tokenizers
    import transformers

    versions = {
        "seed": SEED,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "peft": peft.__version__,
        "safetensors": safetensors.__version__,
        "numpy": numpy.__version__,
    }
    write_json(Path(folder) / "versions.json", versions)


@torch.no_grad()
def randomise(model, random, weight_std=0.15, embedding_std=0.5):
    """Overwrites every parameter, biases and norms included.

    The library's own initialisation leaves biases at zero and norms at one, and its 0.02 weights make
    activations so small that a wrong layer can still pass a 1e-5 comparison.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    norms = {id(m.weight) for m in model.modules() if m.__class__.__name__.endswith("LayerNorm") and hasattr(m, "weight")}
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=random)
        if id(parameter) in norms:
            value = 1.0 + 0.2 * noise
        elif id(parameter) in embeddings:
            value = embedding_std * noise
        elif parameter.dim() == 1 and ("bias" in name or name.endswith("_bias")):
            value = 0.1 * noise
        elif parameter.dim() == 1:
            value = 0.5 + 0.1 * noise  # layer scales: far enough from one, and from nothing
        elif "token" in name or "position_embeddings" in name or "relative_position_bias" in name:
            value = 0.5 * noise
        elif parameter.dim() == 4:
            fan_in = parameter[0].numel()
            value = noise / fan_in**0.5
        else:
            value = weight_std * noise
        parameter.copy_(value)


def saved_names(parameters, model_file):
    """Maps run-time names of `parameters` (name, parameter) to the names in the saved file.

    transformers may rename on saving (its modules were renamed after the checkpoints were published), so
    names are matched by value: every randomised tensor is unlike any other. A gate and its up-projection may be one
    tensor in the file, the gate first.
    """
    parameters = list(parameters)
    values = {name: parameter.detach() for name, parameter in parameters}
    saved = {}
    for name, tensor in load_file(model_file).items():
        if name.endswith(("num_batches_tracked", "n_points_scale")):  # no parameters, and alike in all layers
            continue
        key = (tuple(tensor.shape), tensor.contiguous().numpy().tobytes())
        if key in saved:
            raise ValueError(f"{model_file}: {name} and {saved[key]} hold the same values")
        saved[key] = name
    def key_of(value):
        return (tuple(value.shape), value.contiguous().numpy().tobytes())

    for name in [name for name in values if ".gate_proj." in name and key_of(values[name]) not in saved]:
        up = name.replace(".gate_proj.", ".up_proj.")
        values[name] = values[up] = torch.cat([values[name], values[up]])
    names = {}
    for name, value in values.items():
        key = key_of(value)
        if key not in saved:
            raise ValueError(f"{model_file}: holds no tensor equal to parameter {name}")
        names[name] = saved[key]
    return names


def named_gradients(parameters, names):
    """Gradients under the saved names; a parameter that the loss does not reach has none."""
    gradients = {}
    for name, parameter in parameters:
        if parameter.grad is not None:
            gradients.setdefault(f"grad.{names[name]}", []).append(parameter.grad.detach().clone())
    return {name: torch.cat(parts) if len(parts) > 1 else parts[0] for name, parts in gradients.items()}


def save_tensors(path, tensors):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, str(path), metadata={"format": "pt"})
    Path(path).chmod(0o644)


def save_model(model, folder):
    """config.json and model.safetensors, as a user would download them; returns the name map."""
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    return saved_names(model.named_parameters(), folder / "model.safetensors")


# What a model is told about the right answer, and what it returns besides its loss, by Hugging Face's names.
TARGETS = ("labels", "start_positions", "end_positions")
OUTPUTS = ("logits", "pred_boxes", "start_logits", "end_logits", "cls_logits", "distillation_logits", "mask")


def forward_and_gradients(model, inputs, names, loss_of=None, same_in_training=True, base=True):
    """One case: eval-mode outputs, then the loss again in train mode with its gradients.

    The configs set every dropout to zero, so both modes must give the same numbers; that is checked here, unless
    a batch norm makes them differ. Without `base` no hidden state of the base model is among the outputs.
    `loss_of(outputs, inputs)` replaces the model's own loss.
    """
    compute = loss_of or (lambda outputs, _: outputs.loss)
    base_call = {k: v for k, v in inputs.items() if k not in TARGETS}
    call = base_call if loss_of else inputs
    case = {f"input.{k}": v for k, v in inputs.items() if torch.is_tensor(v)}
    model.eval()
    with torch.no_grad():
        outputs = model(**call)
        for name in OUTPUTS:
            if getattr(outputs, name, None) is not None:
                case[f"output.{name}"] = getattr(outputs, name)
        if base:
            own = model.encoder if model.base_model is model else model.base_model
            case["output.last_hidden_state"] = own(**base_call).last_hidden_state
        case["loss"] = compute(outputs, inputs)
    model.train()
    model.zero_grad(set_to_none=True)
    loss = compute(model(**call), inputs)
    loss.backward()
    case["train.loss"] = loss.detach()
    if same_in_training and not torch.allclose(case["loss"], case["train.loss"], atol=1e-7, rtol=1e-6):
        raise ValueError("train and eval mode differ although every dropout is zero")
    case.update(named_gradients(model.named_parameters(), names))
    steady(model, call, compute, inputs)
    return case


def steady(model, call, compute, inputs):
    """Refuses a case whose gradients are mostly rounding, as those of norms over a handful of values are: other processors round otherwise.

    Every weight moves by its last bit or less, four times; no gradient may follow by as much as the tests allow, of which real rounding takes half.
    """
    for draw in range(4):
        moved = copy.deepcopy(model)
        moved.zero_grad(set_to_none=True)
        random = generator(f"steady-{draw}")
        with torch.no_grad():
            for parameter in moved.parameters():
                parameter.mul_(1 + (torch.rand(parameter.shape, generator=random) - 0.5) * 2**-22)
        compute(moved(**call), inputs).backward()
        for (name, parameter), other in zip(model.named_parameters(), moved.parameters()):
            if parameter.grad is not None:
                worst = ((parameter.grad - other.grad).abs().max() / parameter.grad.abs().max().clamp(min=1.0)).item()
                if worst > 1e-5:
                    raise ValueError(f"{name}: its gradient follows rounding by {worst:.1e}; take another seed or a larger input")
