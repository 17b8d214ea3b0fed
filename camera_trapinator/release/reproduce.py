"""Make a run again, from what its folder holds, and compare the bits."""

import shutil
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

from .. import InputError
from ..config import parse_config, read_text
from ..data.manifest import Manifest, read_manifest, write_manifest
from ..training.checkpoint import load_checkpoint
from ..training.code_state import code_files
from ..training.provenance import RUN_FILE, files_of, read_starts
from ..utils import ROOT, RUNS
from .reproduce_differences import (
    at_place,
    code_differences,
    listed,
    machine_differences,
    package_differences,
    read_run_rows,
)
from .reproduce_environment import code_of, new_environment, train, variables_of
from .reproduce_told import Made, tell_code, tell_data, tell_machine, tell_result

# What the run's own splits decide, once the manifest is another one.
DECIDED = ("fold=", "test_from=", "test_seen_fraction=0", "limit=0", "allow_leakage=true")


class Wanted(NamedTuple):
    """How a run is to be made again."""

    out: Path  # where the new run goes
    data_root: Path | None = None  # where the photos are now, if not where they were
    here: bool = False  # in the environment that is active
    keep: bool = False  # the code and the environment stay
    check: bool = False  # tell what differs, and train nothing


def reproduce(folder: Path, wanted: Wanted) -> bool:
    """Tell what differs now from what the run was made of; make it again with the code, the
    packages and the threads of then; compare the bits. Gives whether nothing differs; raises
    InputError where the run cannot be made again."""
    if wanted.out.exists() and not wanted.check:
        raise InputError(f"{wanted.out}: is there already; delete it, or name another with --out")
    made = what_was(folder, wanted)
    start = made.start
    print(f"run         {folder.name}: {made.config.epochs} epochs, begun {start['started'][:10]} "
          f"on {_commit(start)}")
    lost, manifest = tell_data(made)
    with ExitStack() as stack:
        place = Path(mkdtemp(prefix="reproduce_"))
        if wanted.keep:
            stack.callback(print, f"kept        {place}: `code` is a worktree of {ROOT}; remove it "
                                  f"with git worktree remove --force {place / 'code'}")
        else:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        code = stack.enter_context(the_code(made, place, wanted.keep))
        cured = tell_code(made, code)
        hopeless, taken = tell_machine(made, wanted.here)
        if lost + hopeless:
            print("result      it cannot come out the same: bring back what has changed")
            return False
        if wanted.check:
            print("result      nothing of it stands in the way" if cured + taken else
                  "result      nothing has changed")
            return True
        python = sys.executable
        if not wanted.here:
            print(f"environment {len(start['packages'])} packages in {place}; PyTorch takes "
                  "minutes, and some GB")
            python = new_environment(place / "environment", start["python"], start["packages"])
        RUNS.mkdir(parents=True, exist_ok=True)
        runs = Path(stack.enter_context(TemporaryDirectory(prefix=".reproduce_", dir=RUNS)))
        words = ["--config", str(folder / "config.yaml"), "--run", folder.name,
                 *knobs_of(made, manifest, place)]
        print("training    with its code, config and threads", flush=True)
        train(python, code, words, variables_of(start, code, runs, wanted.here))
        same = tell_result(made, runs / folder.name)
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(runs / folder.name, wanted.out)
        print(f"see         {wanted.out}")
        return same


def what_was(folder: Path, wanted: Wanted) -> Made:
    """What the run tells of itself. Raises InputError, with all reasons, for one that does not
    tell enough, is not at its end, or was trained by several processes."""
    starts = read_starts(folder)
    if not starts or starts[0]["epoch"] or starts[0]["step"]:
        raise InputError(f"{folder}: the run was begun by an older version, which did not keep "
                         f"what it was made with ({RUN_FILE}); train it anew")
    config_file = folder / "config.yaml"
    config = parse_config(read_text(config_file), str(config_file), stored=True)
    last = load_checkpoint(folder / "last.pt")
    faults, start = [], starts[0]
    done = len(last["history"])
    if done < config.epochs or last.get("within_epoch"):
        faults.append(f"it was stopped after {done} of {config.epochs} epochs; let it come to its "
                      "end first, with train.py --resume")
    if start["processes"] > 1:
        faults.append(f"it was trained by {start['processes']} processes, and this starts one; "
                      "start the command in its run.json with torchrun yourself, on the commit "
                      f"{start['commit'][:12]}, and compare with scripts/compare_runs.py")
    if not (folder / "best.pt").is_file():
        faults.append("its best.pt is gone")
    if faults:
        raise InputError(f"{folder}: {'; '.join(faults)}")
    for number, later in enumerate(starts[1:], start=2):
        changed = machine_differences(start, later) + package_differences(
            start["packages"], later["packages"])
        if later["code"] != start["code"]:
            changed.append(f"code: {start['code']} then, {later['code']} from there on")
        for text in listed(changed):
            print(f"warning     start {number} of the run, in epoch {later['epoch'] + 1}, differs "
                  f"from its first one, and it is made again as that: {text}")
    return Made(folder, start, at_place(config, wanted.data_root),
                [name for name, _ in last["classes"]], read_run_rows(folder))


def _commit(start: dict) -> str:
    if not start["commit"]:
        return "code outside of git"
    return f"commit {start['commit'][:12]}" + " with changes" * start["changed"]


def the_code(made: Made, place: Path, keep: bool) -> AbstractContextManager[Path]:
    """The code of then, for a `with`: a worktree; of a run from outside of git the code that is
    here, if that is the same."""
    start = made.start
    if start["commit"]:
        return code_of(start["commit"], made.folder / start["code"], place / "code", keep)
    if found := code_differences(Path(), ROOT, start["code_files"], code_files(ROOT)):
        raise InputError(f"{made.folder}: the run was made outside of git, which alone could bring "
                         f"back the code of then, and it differs: {'; '.join(listed(found))}")
    return nullcontext(ROOT)


def knobs_of(made: Made, manifest: Manifest | None, place: Path) -> list[str]:
    """The knobs beside the run's config.yaml: where its files are now; what `auto` meant; and its
    own rows and splits, where the manifest is another one now."""
    config, start, files = made.config, made.start, files_of(made.config)
    knobs = [f"data_root={config.data_root}", f"precision={start['precision']}",
             f"device={start['device'] if config.device == 'auto' else config.device}"]
    knobs += [f"{what}={files[what].resolve()}" for what in (
        "weights", "teacher", "difficulty", "splits_file") if what in files]
    if manifest is None:
        return knobs
    # Photos without a label come along: info strips may be found by them.
    others = [row for row in read_manifest(files["manifest"]) if not row.mask]
    write_manifest(place / "manifest.csv", [*manifest, *others])
    return [knob for knob in knobs if not knob.startswith("splits_file=")] + [
        f"manifest={place / 'manifest.csv'}", f"splits_file={made.folder / 'splits.csv'}", *DECIDED]
