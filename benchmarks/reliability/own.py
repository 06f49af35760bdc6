"""Networks, methods and functions of a person's own that misbehave: each verb that takes one is
given one that raises, ends the process, returns what it must not, or fails only at some moment. The
command must end with a result whose numbers are finite, or with one sentence and status 2, leave no
half-written result, and the same command must reach its end once the code is corrected.

    python benchmarks/reliability/own.py --cases 300
"""

import random
import shutil
from pathlib import Path

from common import NETWORK, Ended, album, campaign, command, must, program, scratch
from safetensors.torch import load_file

from unlearnable.core.files import PART

RAISES = (
    "raise ValueError('wrong')", "raise RuntimeError('two\\nlines')", "raise KeyError(3)",
    "raise Strange", "raise SystemExit", "raise SystemExit(3)", "sys.exit('bye')",
    "raise RecursionError('deep')", "raise StopIteration", "raise MemoryError", "assert False",
    "raise OSError('no number')", "raise FileNotFoundError(2, 'gone', 'weights.pt')",
    "raise ModuleNotFoundError('gone')", "raise UnicodeDecodeError('utf-8', b'', 0, 1, 'x')",
    "raise BrokenPipeError(32, 'gone')", "import surely_not_installed", "torch.zeros(2) @ 1",
    "raise ExceptionGroup('several', [ValueError('one')])", "raise NotImplementedError",
    "raise ValueError('x' * 10_000 + chr(27))", "open('nothing')",
)  # fmt: skip
LOGITS = (
    "return y, y", "return {'logits': y}", "return None", "return [y]", "return 'y'", "return 0.5",
    "return y[:, :1]", "return torch.cat([y, y], 1)", "return y[:1]", "return y[0]", "return y.T",
    "return y.sum()", "return y[:, :, None, None]", "return y.argmax(1)", "return y.long()",
    "return y > 0", "return y * float('nan')", "return y / 0", "return y * float('inf')",
    "return y.detach()", "return y.detach().numpy()", "return y.to('meta')", "return y * 1j",
    "return y.to_sparse()", "return y.squeeze()", "return y.half()", "return y.double()",
    "return y.log()", "return torch.zeros_like(y)", "return y * 1e30", "x.zero_()",
    "y.register_hook(lambda g: g * float('nan'))", "y.register_hook(fail)",
    "return torch.stack([y, y])", "return torch.cat([y, y])", "return y[:0]", "return iter(y)",
)  # fmt: skip
MOMENTS = (
    "True", "self.training", "not self.training", "len(x) == 1", "len(x) > 4", "CALLS[0] > 2",
    "CALLS[0] > 5", "CALLS[0] > 8", "CALLS[0] == 7", "CALLS[0] == 12", "not x.requires_grad",
    "x.requires_grad", "not torch.is_grad_enabled()", "len(x) not in (1, 4)",
)  # fmt: skip
# instead of the network's layers
STRUCTURES = (
    "self.a.weight = self.b.weight", "self.a = nn.LazyLinear(8)", "self.requires_grad_(False)",
    "self.lock = threading.Lock()", "self.a.weight.data.fill_(float('nan'))",
    "self.a.weight.data.fill_(1e38)", "self.b = nn.Linear(7, 8)", "self.head = nn.Linear(8, 3)",
    "self.double()", "self.half()", "self.to('meta')", "self.bfloat16()", "del self.head",
    "self.register_buffer('c', torch.zeros(2).to_sparse())", "self.a = self.b",
    "self.register_buffer('c', torch.zeros(2, dtype=torch.complex64))",
    "self.register_buffer('c', self.a.weight[2:4])", "self.body = nn.Flatten()",
    "self.train = None", "self.a.weight.requires_grad_(False)", "self.loop = self.a.loop = [self]",
    "self.get_extra_state = lambda: {'a': fail}", "self.parameters = fail", "self.body[0] = None",
    "self.forward = fail", "self.state_dict = fail", "self.named_parameters = dict",
    "self.a.register_forward_hook(fail)", "self.norm = nn.BatchNorm1d(8, momentum=float('nan'))",
)  # fmt: skip
HEAD = """import sys, threading, torch
from dataclasses import dataclass
from typing import ClassVar
from torch import nn
from unlearnable import Method, Noise
CALLS = [0]
class Strange(Exception):
    def __str__(self): raise ValueError
def fail(*args, **more): raise ValueError('hook')
"""
NET = """
class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(),
                                  nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.a, self.b, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)
        {structure}
    def forward(self, x):
        CALLS[0] += 1
        y = self.head(torch.relu(self.b(self.norm(torch.relu(self.a(self.body(x)))))))
        if {moment}:
            {deed}
        return y
def net(classes):
    {factory}
    return {net}
"""
FACTORIES = ("None", "[]", "nn.Linear", "lambda x: x", "Net", "Net(classes).a", "nn.Sequential()")
FUNCTION = """
def function(x):
    {deed}
    return 255 - x
"""
IMAGES = (
    "return x.float()", "return x[:1]", "return x[..., 1:]", "return None", "return x.numpy()",
    "return x.long()", "return x.to('meta')", "return x.to_sparse()", "return [x]", "return x, x",
    "return x.float() * float('nan')", "return x.expand(2, *x.shape)", "return x.flip(0)",
    "if len(x) > 32: raise ValueError('only now')", "return x[:, :1].expand_as(x)",
)  # fmt: skip
METHOD = """
@dataclass(frozen=True)
class Mine(Method):
    \"\"\"stripes\"\"\"
    eps: {eps}
    {member}
    def craft(self, data, run):
        noise = torch.ones(data.x.shape, dtype=torch.int8)
        {deed}
        return Noise(noise)
"""
NOISES = (
    "return None", "return noise", "return Noise(None)", "return Noise(noise[:1])",
    "return Noise(noise.float())", "return Noise(noise * 100)", "return Noise(noise.numpy())",
    "return Noise(noise.float() * float('nan'))", "return Noise(noise.to('meta'))",
    "return Noise(noise.to_sparse())", "return Noise(noise, generator=3)",
    "return Noise(noise, passes='many')", "return Noise(noise, passes=torch.ones(1))",
    "return Noise(noise, generator=nn.Linear(2, 2))", "data.x.zero_()",
    "net = nn.Linear(2, 2); net.weight.data /= 0; return Noise(noise, net)",
    "net = nn.LazyLinear(2); return Noise(noise, net)",
    "run.state.save(1, lambda: {'a': noise / 0})", "return Noise(noise.bool())",
    "return Noise(noise.short() * 200)", "run.seed = 3",
    "return Noise(noise[:, :1])", "return Noise(-128 * noise)", "return Noise(noise, passes=-1)",
)  # fmt: skip
EPS = ("float = 0.5", "float = float('nan')", "float = None", "float", "str = 'much'", "int = 300",
       "ClassVar[float] = 1e9", "list = [8]")  # fmt: skip
MEMBERS = (
    "name = 3", "presets = {}", "presets = []", "presets = {'paper': {'nothing': 1}}",
    "budget = property(fail)", "needs_labels = 'no'", "budget = 3", "other: nn.Module = None",
    "other: object = object", "other: 'Gone' = 1", "other: set = frozenset((1,))", "craft = None",
    "__post_init__ = fail", "passes = fail", "probe = fail", "name = '../../x'", "name = ''",
    "__doc__ = None", "presets = property(fail)", "__eq__ = fail", "other: tuple[int, ...] = (1,)",
    "needs_labels = property(fail)", "__slots__ = ()", "other: complex = 1j",
)  # fmt: skip
VERIFY = "--model mine:net --batch 16 --steps 4 --evals 2"
LEARN = f"{VERIFY} --adv-steps 1"
ON = "--model mine:net --batch 16 --limit 40 --steps 2"
NOISE = f"{ON} --train-steps 3"
VERBS = {
    "learn": f"learn shapes {VERIFY} --limit 40 --test-limit 21 --out out",
    "learn at": f"learn shapes {LEARN} --adv-eps 2 --limit 40 --test-limit 21 --out out",
    "protect rem": f"protect rem {NOISE} --adv-steps 1 --eot-samples 1 --out out",
    "protect em": f"protect em {NOISE} --noise-type classwise --out out",
    "protect tap": f"protect tap {NOISE} --step 2 --out out",
    "protect entf": f"protect entf {NOISE} --step 2 --out out",
    "protect on": f"protect tap {ON} --step 2 --surrogate learned --seed 1 --out out",
    "protect clusters": f"protect unlearnable-clusters {NOISE} --clusters 3 --out out",
    "verify": f"verify photos hidden --seeds 1 --radii 0 --out out {VERIFY}",
    "audit": f"audit noise --test-limit 20 --out out/a --cells out/cells {LEARN}",
    "further": "protect-photos photos out --generator first/generator.safetensors --model mine:net",
    "function": f"learn shapes {VERIFY.replace('mine:net', 'tiny:net')} --limit 40 --test-limit 20 "
    "--countermeasure mine:function --out out",
    "function of verify": "verify photos hidden --seeds 1 --radii 0 --steps 2 --batch 8 "
    "--countermeasures mine:function --model tiny:net --out out",
    "method": "protect mine:Mine --limit 20 --out out",
}
FINISHED = {"result.json", "card.json", "verify.json", "audit.json"}
GOOD = NET.format(structure="", moment="False", deed="pass", factory="", net="Net(classes)")


def text_of(verb: str, random_: random.Random) -> tuple[str, str]:
    """A module that misbehaves, and what it does."""
    if random_.random() < 0.06:
        deed = random_.choice((*RAISES, "def (:", "sys.modules[__name__] = None", "del net"))
        return HEAD + GOOD + deed + "\n", f"import: {deed}"
    if verb.startswith("function"):
        deed = random_.choice(RAISES + IMAGES)
        return HEAD + FUNCTION.format(deed=deed), deed
    if verb == "method":
        how, eps, member, deed = random_.randrange(4), "float = 8.0", "", ""
        eps = random_.choice(EPS) if how == 0 else eps
        member = random_.choice(MEMBERS) if how == 1 else member
        deed = random_.choice(RAISES + NOISES) if how > 1 else deed
        return HEAD + METHOD.format(eps=eps, member=member, deed=deed), eps + member + deed
    parts = {
        "structure": "",
        "moment": "False",
        "deed": "pass",
        "factory": "",
        "net": "Net(classes)",
    }
    how = random_.random()
    if how < 0.1:
        parts["factory"] = random_.choice(RAISES)
    elif how < 0.15:
        parts["net"] = random_.choice(FACTORIES)
    elif how < 0.35:
        parts["structure"] = random_.choice(STRUCTURES)
    else:
        parts |= {"moment": random_.choice(MOMENTS), "deed": random_.choice(RAISES + LOGITS)}
    differs = {k: v for k, v in parts.items() if v not in ("", "False", "pass", "Net(classes)")}
    return HEAD + NET.format(**parts), str(differs)


def good(verb: str) -> str:
    """The module as it should have been: nothing in it misbehaves."""
    if verb == "method":
        return HEAD + METHOD.format(eps="float = 8.0", member="", deed="")
    if verb.startswith("function"):
        return HEAD + FUNCTION.format(deed="")
    return HEAD + (NETWORK if verb in ("protect entf", "protect clusters") else GOOD)


def one(verb: str, inputs: Path, work: Path, random_: random.Random) -> str | None:
    """Run one command with one module; what went wrong."""
    text, deed = text_of(verb, random_)
    shutil.copytree(inputs, work)
    (work / "mine.py").write_text(text)
    ended, what = command(VERBS[verb].split(), work), f"{verb} with {deed}"
    if problem := _wrong(ended, work):
        return f"{what}: {problem}"
    if ended.done:
        return None
    if finished := [p for p in (work / "out").rglob("*") if p.name in FINISHED]:
        return f"{what}: fails, and {finished} are there: {ended.err[-500:]}"
    (work / "mine.py").write_text(good(verb))
    again = command(VERBS[verb].split(), work)
    if not again.done:
        return f"{what}: corrected, it does not end: {again.err[-800:]} (first {ended.err[-500:]})"
    return (problem := _wrong(again, work)) and f"{what}: corrected, {problem}"


def _wrong(ended: Ended, work: Path) -> str | None:
    """What is wrong with how a command ended and with what it left."""
    said = [
        line
        for line in ended.err.splitlines()
        if line.startswith("unlearnable: ") and "Your code has changed since" not in line
    ]
    if not (ended.done or ended.status == 2) or "Traceback" in ended.err:
        return f"status {ended.status}, {ended.err[-1500:]}"
    if len(said) != (ended.status == 2) or any("\x1b" in line for line in said):
        return f"status {ended.status}, but it says {ended.err[-800:]!r}"
    for path in (work / "out").rglob("*"):
        if PART.fullmatch(path.name):
            return f"left {path}"
        if path.suffix in (".json", ".jsonl") and "NaN" in path.read_text():
            return f"NaN in {path}"
        tensors = load_file(path).values() if path.suffix == ".safetensors" else ()
        if not all(t.isfinite().all() for t in tensors):
            return f"NaN in {path}"
    return None


def prepare(folder: Path, verbs: list[str]) -> None:
    """What those verbs need."""
    folder.mkdir()
    album(folder / "photos")
    (folder / "tiny.py").write_text(NETWORK)
    (folder / "mine.py").write_text(HEAD + GOOD)
    for made, args in (
        ("first", f"{VERBS['protect rem'][:-4]} first --data photos --size 32"),
        ("noise", "protect lsp --limit 40 --out noise"),
        ("learned", f"{VERBS['learn'][:-4]} learned"),
        ("hidden", "protect-photos photos hidden --size 32 --train-steps 1"),
    ):
        if any(f" {made}" in VERBS[verb] for verb in verbs):
            must(args.split(), folder)


def main(count: int, seed: int, only: str = "") -> int:
    verbs = [verb for verb in VERBS if only in verb]
    with scratch() as folder:
        prepare(folder / "inputs", verbs)

        def case(random_: random.Random) -> str | None:
            work = folder / "case" / "work"
            shutil.rmtree(work.parent, ignore_errors=True)
            return one(random_.choice(verbs), folder / "inputs", work, random_)

        return campaign("own", case, count, seed)


if __name__ == "__main__":
    program(__doc__, main, 300)
