"""Compiled kernels on disk: an entry is one file, named by a digest of all that it depends on.

numba's own cache has two files for a function, an index and the machine code, which processes that
write at once can leave in disagreement; it does not notice changes in other files (numba issue
1833), and a damaged file ends the program. Here nothing has to agree with anything else: a file is
written beside its place and renamed, its key and a checksum are in it, and whatever cannot be
read, checked or written is compiled again. There are no locks.

Machine code that is loaded is run. So nothing is taken from files or directories that belong to
somebody else than the user or root, or that everybody may write to.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import pkgutil
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from fastnn.signals import uninterrupted

#: How an entry's file name ends.
SUFFIX = ".kernel"
_MAGIC = b"fastnn kernel 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
#: Seconds without use after which entries of other versions are removed, and files half written.
_OLD_ENTRY, _OLD_REMAINS = 30 * 86_400.0, 3_600.0
#: Entries say by the time of their last change when they were last used, exact to a day.
_DAY = 86_400.0
#: Settings of numba that change the machine code. (Those of the CPU are in its target.)
_SETTINGS = ("BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE")
#: What kernel modules import from the rest of the package.
IMPORTED = (
    "fastnn.activations",
    "fastnn.architecture",
    "fastnn.contract",
    "fastnn.engines",
    "fastnn.losses",
    "fastnn.machine",
    "fastnn.memory",
    "fastnn.optimizers",
    "fastnn.reference.random",
    "fastnn.signals",
    "fastnn.sparse",
)
#: The names of the kernels that this process has compiled, and of those that it took from the disk.
compiled: list[str] = []
loaded: list[str] = []
#: The names in machine code of `fastnn.kernels.linked` functions, by function and types; and what
#: has such code known by its name, which it returns, for types, by the function's name.
symbols: dict[Any, str] = {}
makers: dict[str, Callable[[Any], str]] = {}
_ADVICE = "Let NUMBA_CACHE_DIR name a directory that belongs to you and that you may write to."


def is_on() -> bool:
    """Whether kernels are kept: not with ``FASTNN_CACHE=0``."""
    return os.environ.get("FASTNN_CACHE", "1") != "0"


def directories() -> Iterator[Path]:
    """Where entries are looked for, in this order, and kept: in the first that can be written.

    ``fastnn`` in ``NUMBA_CACHE_DIR``; ``__pycache__`` beside the kernels; the user's cache.
    """
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR) / "fastnn"
    yield Path(__file__).parent / "__pycache__"
    import platformdirs  # mostly not needed

    of_user = Path(platformdirs.user_cache_dir("fastnn", appauthor=False))
    if of_user.is_absolute():  # not so without a home
        yield of_user


def entries() -> dict[Path, list[Path]]:
    """The directories that hold compiled kernels, each with its files."""
    found = {directory: sorted(directory.glob(f"*{SUFFIX}")) for directory in directories()}
    return {directory: files for directory, files in found.items() if files}


def clear() -> dict[Path, list[Path]]:
    """Remove all entries, of other versions too; return those that are gone, by directory.

    What cannot be removed stays: it may be another user's.
    """
    gone: dict[Path, list[Path]] = {}
    for directory, files in entries().items():
        for file in files:
            with contextlib.suppress(OSError):
                file.unlink()
                gone.setdefault(directory, []).append(file)
    return gone


class KernelCache:
    """The entries of one kernel, as numba's dispatcher asks for them."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """What was compiled for *signature*, or None.

        numba's cache would first load all that numba can compile, half a second in each new
        process. Machine code needs none of it, and what is not cached loads it when it is compiled.
        """
        with uninterrupted(), _never_in_the_way("load"):
            key = self._key(signature, target_context.codegen())
            payload = _load(self._name(key), key)
            if payload is not None:
                from numba.core.compiler import CompileResult  # if this numba still has it

                needed, code = pickle.loads(payload)
                for symbol, name, kinds in needed:
                    if makers[name](kinds) != symbol:  # without it LLVM would end the program
                        raise ValueError(f"it needs another {name}")
                kernel = CompileResult._rebuild(target_context, *pickle.loads(code))
                loaded.append(self._function.__name__)
                return kernel
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, if it can be kept."""
        with uninterrupted(), _never_in_the_way("keep"):
            from numba.core.serialize import dumps  # if this numba still has it

            if not result.library.has_dynamic_globals:  # addresses of this process
                key = self._key(signature, result.codegen)
                code = dumps(result._reduce())
                needed = [
                    (symbol, function.py_func.__qualname__, kinds)
                    for (function, kinds), symbol in symbols.items()
                    if symbol.encode() in code
                ]
                _save(self._name(key), _packed(key, dumps((needed, code))))

    def _key(self, signature: Any, codegen: Any) -> bytes:
        return key_of(self._function, signature, codegen)

    def _name(self, key: bytes) -> str:
        name = self._function.__name__.strip("<>")  # <lambda> is no file name everywhere
        return f"{name}-{_stamp()[:8]}-{_in_letters(key)}{SUFFIX}"

    @property
    def cache_path(self) -> str:
        """Where numba's statistics say that the entries are."""
        return str(next(directories()))

    def flush(self) -> None:
        """Forget nothing, though ``Dispatcher.recompile`` asks: no entry is out of date."""


def key_of(function: Callable[..., Any], signature: Any, codegen: Any) -> bytes:
    """All that tells a function's machine code from others, in words."""
    settings = [(name, getattr(numba.config, name, None)) for name in _SETTINGS]
    parts = (
        closure_key(function),
        hashlib.sha256(function.__code__.co_code).hexdigest(),
        signature,
        codegen.magic_tuple(),
        settings,
        _stamp(),
    )
    return "\n".join(map(str, parts)).encode()


def _in_letters(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:32]


def symbol_of(function: Callable[..., Any], signature: Any, codegen: Any) -> str:
    """The name of a function's machine code, the same in every process that has the same code.

    Where nothing can be known of that, it is one of this process alone.
    """
    which = f"{os.getpid()}_{len(symbols)}"
    with _never_in_the_way("name"):
        which = _in_letters(key_of(function, signature, codegen))
    return f"fastnn_{function.__name__}_{which}"


def closure_key(function: Callable[..., Any]) -> tuple[Any, ...]:
    """The constants in a function's closure, and in those of the jitted functions in it.

    numba's own key holds the pickled closure. With a jitted function in the closure that is
    different in every process (numba issue 6264). Here it is enough to know which closure it is:
    the code itself is in `_stamp`.
    """
    key: list[Any] = [function.__module__, function.__qualname__]
    for cell in function.__closure__ or ():
        value = cell.cell_contents
        nested = getattr(value, "py_func", value)
        key.append(closure_key(nested) if callable(nested) else value)
    return tuple(key)


@functools.cache
def _stamp() -> str:
    """Digest of the kernels' source and of the versions of what compiles it."""
    digest = hashlib.sha256(source_digest().encode())
    for version in (sys.version, numba.__version__, llvmlite.__version__, np.__version__):
        digest.update(version.encode())
    return digest.hexdigest()


def source_digest() -> str:
    """Digest of every kernel module and of all that kernels import from the rest of the package.

    numba looks only at the file of the function that it compiles.
    """
    folders = [str(Path(__file__).parent)]
    kernels = sorted(f"{__package__}.{module.name}" for module in pkgutil.iter_modules(folders))
    digest = hashlib.sha256()
    for name in (*kernels, *IMPORTED):
        digest.update(_content(name))
    return digest.hexdigest()


def _content(module: str) -> bytes:
    """Its source or bytecode, from a folder or an archive; or in which frozen program it is."""
    spec: Any = find_spec(module)
    try:
        data: bytes = spec.loader.get_data(spec.origin)
        return data
    except OSError:
        if not getattr(sys, "frozen", False):
            raise
        status = os.stat(sys.executable)
        return f"{status.st_size} {status.st_mtime_ns}".encode()


def _packed(key: bytes, payload: bytes) -> bytes:
    """The bytes of an entry: what it is, a checksum of the rest, the key's length, key, payload."""
    rest = len(key).to_bytes(8, "little") + key + payload
    return _MAGIC + hashlib.sha256(rest).digest() + rest


def _unpacked(content: bytes, key: bytes) -> bytes:
    """The payload of an entry, if it is whole and the one with this key; ValueError otherwise."""
    start = len(_MAGIC) + _DIGEST_BYTES
    rest = content[start:]
    if content[:start] != _MAGIC + hashlib.sha256(rest).digest():
        raise ValueError("it is damaged")
    if rest[: 8 + len(key)] != len(key).to_bytes(8, "little") + key:
        raise ValueError("it is another kernel's")
    return rest[8 + len(key) :]


def _load(name: str, key: bytes) -> bytes | None:
    """The payload of an entry from the first directory that has a good one."""
    for directory in directories():
        path = directory / name
        try:
            return _unpacked(_read(path), key)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            _say_once("not read", f"fastnn compiles what it cannot take from {path}: {error}.")
    return None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        _check_owner(status, "it")
        _check_owner(path.parent.stat(), "its directory")
        content = file.read()
    if time.time() - status.st_mtime > _DAY:
        with contextlib.suppress(OSError):
            os.utime(path)
    return content


def _check_owner(status: os.stat_result, which: str) -> None:
    """Refuse what others could have written: it would be run."""
    if not hasattr(os, "geteuid"):  # Windows, where users' directories are their own
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{which} belongs to another user. {_ADVICE}")
    if status.st_mode & stat.S_IWOTH:
        raise PermissionError(f"everybody may write to {which}. {_ADVICE}")


def _save(name: str, content: bytes) -> None:
    """Write an entry, whole or not at all, to the first directory that takes it."""
    reasons = []
    for directory in directories():
        try:
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            _check_owner(directory.stat(), "it")
            _write(directory / name, content)
        except OSError as error:
            reasons.append(f"{directory}: {error.strerror or error}")
        else:
            _sweep(directory)
            return
    _say_once(
        "not kept",
        "fastnn found no directory where it may keep compiled kernels, so each new process "
        f"compiles them again. {_ADVICE} ({'; '.join(reasons)})",
    )


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        with open(beside, "xb", opener=_open_for_owner) as file:
            file.write(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _open_for_owner(path: str, flags: int) -> int:
    """Open a new file that nobody else may write to, whatever the process' mask."""
    return os.open(path, flags, 0o644)


@functools.cache
def _sweep(directory: Path) -> None:
    """Remove other versions' entries that are no longer used, and remains of dead processes."""
    now = time.time()
    for path in directory.glob(f"*{SUFFIX}*"):
        remains = path.suffix != SUFFIX
        if remains or f"-{_stamp()[:8]}-" not in path.name:
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > (_OLD_REMAINS if remains else _OLD_ENTRY):
                    path.unlink()


@contextlib.contextmanager
def _never_in_the_way(doing: str) -> Iterator[None]:
    """Whatever is wrong with the cache, kernels are compiled."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _say_once(doing, f"fastnn could not {doing} a compiled kernel, and goes on: {reason}.")


_said: set[str] = set()


def _say_once(about: str, text: str) -> None:
    """Warn once in a process; where warnings are errors, not even that."""
    if about not in _said:
        _said.add(about)
        with contextlib.suppress(RuntimeWarning):
            warnings.warn(text, RuntimeWarning, stacklevel=2)
