"""The portal's settings for the tests: a data folder of their own under .test/, no setting of the developer's shell.

With DATABASE_URL empty, conftest.py starts an embedded Postgres in that folder. Several runs may go on at once: each
takes the first numbered folder that nobody has locked, and keeps the cluster there for the next run. Workers of xdist
get a folder each.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


def take_folder(base: Path) -> tuple[Path, IO[str]]:
    """The first free folder under `base`, and the open file whose lock keeps it ours."""
    base.mkdir(exist_ok=True)
    for number in range(100):
        lock = (base / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return base / str(number), lock
    raise RuntimeError(f"{base}: all folders are in use")


WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    TEST_DATA = Path(os.environ["TEST_DATA"])
    data = TEST_DATA / WORKER
else:
    TEST_DATA, LOCK = take_folder(ROOT / ".test")
    os.environ["TEST_DATA"] = str(TEST_DATA)
    data = TEST_DATA
for name in [name for name in os.environ if name.startswith("PORTAL_")]:
    del os.environ[name]
(data / "static").mkdir(parents=True, exist_ok=True)
os.environ["PORTAL_DATA_DIR"] = str(data)
# A machine that is busy with tests is no Postgres that is away.
os.environ["PORTAL_DATABASE_TIMEOUT"] = "20"
# A worker of xdist has the address from the process that started the server, which says here that it did.
EMBEDDED = "TEST_EMBEDDED" in os.environ if WORKER else not os.environ.get("DATABASE_URL")
if EMBEDDED and not WORKER:
    os.environ["TEST_EMBEDDED"] = "1"
    # The socket's address follows from the folder, so the server can be started later.
    from portal.run.postgres import EmbeddedPostgres

    os.environ["DATABASE_URL"] = EmbeddedPostgres(TEST_DATA).url()

from portal.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
