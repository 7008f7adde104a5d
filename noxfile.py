"""How to try, test and check multiback. Plain `nox` runs all that CI runs.

    nox -s quick           a part of the suite in two minutes, while you work; under
                           torch, or the backend that KERAS_BACKEND names
    nox -s demo            the main job, on real data
    nox -s tests-torch     the test suite under one backend
    nox -s tests-jax       of it what may differ under another (-tensorflow); of a test
                           with many cases one in six
    nox -s tests-plain     what needs no Keras, where there is none
    nox -s portability     what one backend writes, the others load; and several
                           processes together
    nox -s remote          run directories on a real S3 server, on this machine
    nox -s adapters        Lightning, KerasTuner, loggers: the real ones (not in CI)
    nox -s lint types dist
    nox -s generate        write what is made from the code: expected values, pages
    nox -s docs            the site, in site/, and a look at it (not in CI)
    nox -s floor newest    the oldest and the newest that we claim (not in CI)
    nox -s peers           scikit-learn's own tests, answered by our metrics (not in CI)
    nox -s torture         a thousand kills, every power cut, long fuzzing (not in CI)

Environments are kept between runs; `nox -R` skips installing altogether. The sessions
that train share one, `frameworks`, in which each hides what it promises not to need.
"""

import functools
import shutil
from collections.abc import Iterable
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
CONSTRAINTS = ("-c", str(ROOT / "tests" / "constraints.txt"))
BACKENDS = ("tensorflow", "jax", "torch")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
# Where bytecode may not be written, each of the many child processes would compile
# Keras and its backend from source: ten seconds in place of three.
QUIET["PYTHONDONTWRITEBYTECODE"] = ""
# For XLA: what fuses and optimises loops takes most of a test's time.
COMPILING_LITTLE = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
# Two test processes share two cores; torch's threads would fight over them.
TEST_ENV = {**QUIET, "OMP_NUM_THREADS": "1"}
# By class or module: fixtures run once, and JAX compiles a shape once. In their own
# order: by the number of tests, modules of one long test would come last, and alone.
PYTEST = (
    *("pytest", "-n2", "--dist=loadscope", "--no-loadscope-reorder"),
    "--durations=10",
)
# PyTorch, which compiles nothing, takes every case of a test, and the others one in
# so many, or each case where you name the tests: `nox -s tests-jax -- tests/metrics`.
SHARE = "6"
# It reads texts and runs nothing, so `lint` runs it.
WORDS = "tests/test_words.py"
# Tests that a session of their own runs.
ELSEWHERE = (
    f"--ignore={WORDS}",
    *(
        f"--ignore=tests/{folder}"
        for folder in ("browser", "engines", "integrations", "portability", "remote")
    ),
)

# Tests that need no Keras, and so no backend: they run once, in `tests-plain`, where
# Keras cannot be imported, and in `floor`, `newest` and `torture` with all others.
PLAIN = (
    "tests/store",
    *(
        f"tests/checkpoint/test_{name}.py"
        for name in (
            "expression",
            "filenames",
            "monitor",
            "names",
            "retention",
            "within",
        )
    ),
    "tests/cli/test_hostile_directories.py",
    "tests/cli/test_tidying.py",
    "tests/show",
    *(
        f"tests/test_{name}.py"
        for name in ("errors_page", "repository", "rooms", "warnings")
    ),
)

# Tests of what no backend changes: the command line, translation, second opinions,
# files, pages. They run in `tests-torch` only, where nothing has to be compiled. What
# they lean on is tested under each backend: metrics by their contract, the comparison
# by test_crosscheck, as_keras by its own tests, commands by the session `demo` under
# JAX, and what the demo trains and checks by tests/examples/test_pages.py.
ONCE = (
    *(
        f"tests/adapters/test_{name}.py"
        for name in (
            *("assert_agrees", "audit", "crosscheck_metrics", "crosschecked_boxes"),
            *("documented_examples", "equivalents"),
            *("every_torchmetric", "keras_conventions", "keras_equivalents"),
            "lightning_files",
            *("missing_libraries", "peers", "regression_equivalents", "report"),
            *("score_equivalents", "translated_catalogue"),
            *("translated_conventions", "translated_metrics"),
        )
    ),
    *(
        f"tests/checkpoint/test_{name}.py"
        for name in (
            *("arguments", "changed_monitor", "direction", "fit_kills"),
            *("forged_documents", "full_disk", "many_epochs", "meddling"),
            *("nothing_scored", "one_writer", "other_callbacks", "remote_runs"),
            *("runs", "scores"),
        )
    ),
    *(
        f"tests/cli/test_{name}.py"
        for name in (
            *("best", "commands", "compare_command", "comparing"),
            *("crosscheck_command", "demo", "exporting", "history"),
            *("lightning", "looking", "older_version"),
        )
    ),
    *(f"tests/data/test_{name}.py" for name in ("order", "plain")),
    "tests/examples/test_guides.py",
    "tests/comparison",
    "tests/metrics/test_drawn_intervals.py",
    "tests/metrics/test_intervals.py",
    "tests/metrics/test_paired.py",
    "tests/metrics/test_plots.py",
    "tests/metrics/test_ratios.py",
    "tests/metrics/test_refused_arguments.py",
    "tests/metrics/test_row_kernels.py",
    "tests/metrics/test_signatures.py",
    *(
        f"tests/test_{name}.py"
        for name in (
            *("contributing", "docs", "doctests", "importing", "migration"),
            *("notebook", "other_names", "packaging", "repr"),
        )
    ),
)

# Sums and what they are rounded to. Under JAX and TensorFlow all else is compiled
# without what takes XLA most of the time; these as a user's programs are, and so is
# what the sessions `demo` and `newest` run.
OPTIMIZED = tuple(
    f"tests/metrics/test_{name}.py"
    for name in ("aggregates", "large_batches", "regression", "score_bins", "wide_jax")
)

# A part that shows most mistakes, in two minutes: arithmetic, `fit`, state, the disk.
QUICK = (
    *(
        f"tests/checkpoint/test_{name}.py"
        for name in ("checkpointer", "expression", "monitor", "names", "retention")
    ),
    "tests/cli/test_looking.py",
    *("tests/metrics/test_classification.py", "tests/metrics/test_regression.py"),
    *("tests/metrics/test_in_keras.py", "tests/state/test_round_trip.py"),
    *("tests/store/test_round_trip.py", "tests/store/test_runs.py"),
)

for path in (*PLAIN, *ONCE, *OPTIMIZED, *QUICK, WORDS):
    if not (ROOT / path).exists():  # pytest passes over what it is to ignore.
        raise FileNotFoundError(path)

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    "lint",
    "types",
    "dist",
    "tests-plain",
    *(f"tests-{backend}" for backend in BACKENDS),
    "portability",
    "remote",
    "demo",
]


BUILT: list[Path] = []


def build(session: nox.Session) -> Path:
    """Build the wheel from a source archive, so that nothing stale gets in.

    Once for all sessions, which test the same wheel.
    """
    if BUILT:
        return BUILT[0]
    out = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(out, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(out), str(ROOT), silent=True)
    BUILT.extend(out.glob("*.whl"))
    return BUILT[0]


def install(
    session: nox.Session,
    *groups: str,
    extras: str = "",
    constraints: tuple[str, ...] = CONSTRAINTS,
) -> None:
    """Install the built wheel, and beside it the named dependency groups."""
    wheel = build(session)
    needed = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    # Not compiled: frameworks have thousands of modules, and few are imported.
    session.install(
        "--no-compile", *constraints, f"multiback{extras} @ {wheel.as_uri()}", *needed
    )
    if "oracles" in groups:
        # Alone: it asks for a setuptools that is older than torch's, and uses none.
        session.install("--no-deps", *constraints, "confidenceinterval", "pauc")
    # A wheel of the same version may be there from the last run.
    session.install("--force-reinstall", "--no-deps", str(wheel))


def not_under(backend: str, *more: str) -> tuple[str, ...]:
    """Return what a run of all tests leaves out under a backend, for pytest."""
    once = () if backend == "torch" else ONCE
    return (*ELSEWHERE, *(f"--ignore={path}" for path in (*once, *more)))


def run_suite(session: nox.Session, backend: str, env: dict[str, str]) -> None:
    """Run the test suite under one backend, in an environment of the session's own."""
    plain = () if backend == "torch" else PLAIN
    if backend != "torch" and not session.posargs:
        env = env | {"MULTIBACK_ONE_CASE_IN": SHARE}
    session.run(
        *PYTEST,
        *(session.posargs or ("tests", *not_under(backend, *plain))),
        env={
            **TEST_ENV,
            **env,
            "KERAS_BACKEND": backend,
            "MULTIBACK_TEST_INSTALLED": "1",
            "PYTHONPATH": str(ROOT / "tests" / "hidden"),
        },
    )


@nox.session
def frameworks(session: nox.Session) -> None:
    """Install what trains and what it is compared with, for the sessions below."""
    groups = (*(f"backend-{b}" for b in BACKENDS), "engines", "oracles", "test")
    install(session, *groups)


def compiling_little(session: nox.Session) -> dict[str, str]:
    """Make XLA compile quickly rather than for speed, and share what JAX compiled.

    Tests compile thousands of small functions and call each once or twice: what
    fuses and optimises their loops took half of the session. Each run starts with an
    empty folder.
    """
    folder = Path(session.create_tmp()).resolve() / "compiled-by-jax"
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "XLA_FLAGS": COMPILING_LITTLE,
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def in_frameworks(
    session: nox.Session, *command: str, hidden: Iterable[str] = (), **env: str
) -> None:
    """Run a command where all is installed, and some of it cannot be imported."""
    session.create_tmp()  # Tests write to this disk, not to that of /tmp.
    programs = session.cache_dir.resolve().parent / "frameworks" / "bin"
    hiding = {
        "MULTIBACK_TEST_HIDDEN": ",".join(hidden),
        "MULTIBACK_TEST_INSTALLED": "1",
        "PYTHONPATH": str(ROOT / "tests" / "hidden"),
    }
    session.run(str(programs / command[0]), *command[1:], env={**hiding, **env})


on_frameworks = functools.partial(
    nox.session, requires=["frameworks"], venv_backend="none"
)


def under_backend(
    session: nox.Session,
    backend: str,
    *chosen: str,
    one_case_in: str = "1",
    **more: str,
) -> None:
    """Run tests under one backend, or those that are named on the command line."""
    # Not torch: the second opinions, torchmetrics and torchdata, are made of it.
    hidden = {*BACKENDS, "orbax"} - {backend, "torch"}
    env = {**TEST_ENV, "KERAS_BACKEND": backend}
    if backend != "torch":
        env |= compiling_little(session)
    if not session.posargs:
        env["MULTIBACK_ONE_CASE_IN"] = one_case_in
    chosen = tuple(session.posargs) or chosen
    in_frameworks(session, *PYTEST, *chosen, hidden=sorted(hidden), **(env | more))


def add_backend(backend: str) -> None:
    """Define the session `tests-BACKEND`."""

    @on_frameworks(name=f"tests-{backend}")
    def tests(session: nox.Session) -> None:
        """Run the test suite under one backend."""
        apart = backend != "torch" and not session.posargs
        more = OPTIMIZED if apart else ()
        left_out = not_under(backend, *PLAIN, *more)
        share = "1" if backend == "torch" else SHARE
        under_backend(session, backend, "tests", *left_out, one_case_in=share)
        if more:
            under_backend(session, backend, *OPTIMIZED, one_case_in=share, XLA_FLAGS="")


for each in BACKENDS:
    add_backend(each)


@on_frameworks
def quick(session: nox.Session) -> None:
    """Run a part of the suite in two minutes."""
    backend = session.env.get("KERAS_BACKEND") or "torch"
    under_backend(session, backend, *QUICK, "-m", "not torture")


@on_frameworks(name="tests-plain")
def tests_plain(session: nox.Session) -> None:
    """Run what needs no Keras."""
    chosen = session.posargs or (*PLAIN, "tests/test_hidden.py")
    hidden = ("keras", "orbax", *BACKENDS)
    in_frameworks(session, *PYTEST, *chosen, hidden=hidden, **TEST_ENV)


@on_frameworks
def portability(session: nox.Session) -> None:
    """Write under each backend, or in several processes; load elsewhere."""
    folders = session.posargs or ("tests/portability", "tests/engines")
    env = {**TEST_ENV, "XLA_FLAGS": COMPILING_LITTLE}  # The processes have it too.
    in_frameworks(session, *PYTEST, *folders, **env)


@nox.session
def remote(session: nox.Session) -> None:
    """Write to and read from a real S3 server through a wire that is cut."""
    install(session, "backend-jax", "remote", "test", extras="[s3]")
    env = {**TEST_ENV, "KERAS_BACKEND": "jax"}
    session.run(*PYTEST, *(session.posargs or ("tests/remote",)), env=env)


@nox.session
def adapters(session: nox.Session) -> None:
    """Train under Lightning, and write to the loggers that people use."""
    install(session, "backend-torch", "oracles", "adapters", "test")
    env = {**TEST_ENV, "KERAS_BACKEND": "torch", "MULTIBACK_TEST_INSTALLED": "1"}
    folder = session.posargs or ("tests/integrations",)
    session.run("pytest", *folder, env=env)


@on_frameworks
def demo(session: nox.Session) -> None:
    """Run the main job."""
    backend = session.env.get("KERAS_BACKEND") or "jax"
    env = {**QUIET, "KERAS_BACKEND": backend}
    in_frameworks(session, "multiback", "demo", *session.posargs, **env)


@on_frameworks
def generate(session: nox.Session) -> None:
    """Write the values that tests expect of the metrics, and the generated pages."""
    env = {**QUIET, "KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT / "tests")}
    # -P: not the multiback of the source tree, which lacks its adapters.
    in_frameworks(session, "python", "-P", "-m", "support.oracles", **env)
    in_frameworks(session, "python", str(ROOT / "docs" / "generate.py"), **env)


@on_frameworks
def peers(session: nox.Session) -> None:
    """Answer the calls of scikit-learn's own tests too, and write docs/peers.md."""
    suites = ("common", "classification", "ranking", "regression")
    tests = (f"sklearn.metrics.tests.test_{suite}" for suite in suites)
    ours = f"{ROOT / 'tests' / 'hidden'}:{ROOT / 'tests'}"
    counted = []
    command = ("pytest", "-p", "support.peers.plugin", "-q", "-rN")
    command = (*command, "-o", "filterwarnings=ignore", "--pyargs", *tests)
    for backend in BACKENDS:
        out = str(Path(session.create_tmp()).resolve() / f"{backend}.json")
        env = {**TEST_ENV, "KERAS_BACKEND": backend, "MULTIBACK_PEERS": out}
        if backend != "torch":
            env |= compiling_little(session)
        in_frameworks(session, *command, **env, PYTHONPATH=ours)
        counted.append(out)
    page = ("python", "-m", "support.peers.page", str(ROOT / "docs" / "peers.md"))
    in_frameworks(session, *page, *counted, PYTHONPATH=ours)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, words, formatting, workflows, and that imports run down."""
    session.install(*CONSTRAINTS, *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pytest", "--noconftest", "-q", WORDS)
    workflows = map(str, sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    schema = ("--builtin-schema", "vendor.github-workflows")
    session.run("check-jsonschema", *schema, *workflows)
    # Of the wheel: in the source tree there is no `multiback.adapters`.
    session.install("--no-deps", "--force-reinstall", str(build(session)))
    config = str(ROOT / "pyproject.toml")
    session.chdir(session.create_tmp())
    session.run("lint-imports", "--no-cache", "--no-logo", config)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site from docs/, fail on a dead link, and look at it (not in CI).

    A browser opens the pages and a report, if there is a Chromium.
    """
    install(session, "docs", extras="[report]")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the installed package, not of the source tree."""
    install(session, "types")
    session.chdir(session.create_tmp())
    session.run(
        "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "multiback"
    )


@nox.session
def dist(session: nox.Session) -> None:
    """Build and check what would be published."""
    session.install(*CONSTRAINTS, *nox.project.dependency_groups(PROJECT, "dist"))
    wheel = build(session)
    session.run("check-wheel-contents", "--toplevel", "multiback", str(wheel))
    session.run("twine", "check", "--strict", *map(str, wheel.parent.iterdir()))


@nox.session(python="3.11")
def floor(session: nox.Session) -> None:
    """Run the suite with the oldest Keras and Python that we claim."""
    groups = (*(f"backend-{b}" for b in BACKENDS), "oracles", "test")
    install(session, *groups)
    session.install("keras==3.13.0")
    compiled = compiling_little(session)
    for backend in BACKENDS:
        run_suite(session, backend, {} if backend == "torch" else compiled)


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """Run the suite with the newest release of everything, and XLA's defaults."""
    groups = (*(f"backend-{b}" for b in BACKENDS), "oracles", "test")
    install(session, *groups, constraints=())
    # In one process with TensorFlow it ends in a segmentation fault.
    env = {"MULTIBACK_TEST_HIDDEN": "triton"}
    for backend in BACKENDS:
        run_suite(session, backend, env)


@nox.session
def torture(session: nox.Session) -> None:
    """Kill writers a thousand times, and cut the power after each system call."""
    groups = (*(f"backend-{b}" for b in BACKENDS), "oracles", "test")
    install(session, *groups)
    for backend in BACKENDS:
        plain = () if backend == BACKENDS[0] else PLAIN
        shared = compiling_little(session) if backend == "jax" else {}
        session.run(
            *("pytest", "tests", "-s", "--durations=20"),  # Each test says its figures.
            *(*ELSEWHERE, *(f"--ignore={path}" for path in plain)),
            *("-m", "torture", "--timeout=0"),
            env={
                **TEST_ENV,
                **shared,
                "KERAS_BACKEND": backend,
                "MULTIBACK_KILLS": "1000",
                "MULTIBACK_FIT_KILLS": "100",
                "MULTIBACK_EPOCHS": "2000",
                "MULTIBACK_FUZZ": "20",
                "MULTIBACK_HOSTILE": "1",
                "MULTIBACK_SLOW_RUNS": "12x3,2x23",
                "MULTIBACK_PAGES": "1",
                "MULTIBACK_SYSTEM_CALLS": "1",
            },
        )
