"""A real Prometheus on loopback over given samples, and its answers in the shape of ours."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

Series = tuple[dict[str, str], Sequence[int], Sequence[float]]
Answer = dict[frozenset[tuple[str, str]], dict[int, float]]


class RefusedError(Exception):
    """Prometheus answered with an error."""


@dataclass
class PrometheusServer:
    client: httpx.Client

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        fields = {"query": query, "start": start_ms / 1000, "end": end_ms / 1000, "step": step_ms / 1000}
        return self._ask("query_range", fields)

    def instant(self, query: str, at_ms: int) -> Answer:
        return self._ask("query", {"query": query, "time": at_ms / 1000})

    def _ask(self, path: str, fields: dict[str, object]) -> Answer:
        answer = self.client.post(f"/api/v1/{path}", data=fields).json()
        if answer["status"] != "success":
            raise RefusedError(answer["error"])
        data = answer["data"]
        if data["resultType"] == "scalar":
            return {frozenset(): _samples([data["result"]])}
        return {
            frozenset(row["metric"].items()): _samples(row.get("values") or [row["value"]]) for row in data["result"]
        }


def _samples(pairs: list[tuple[float, str]]) -> dict[int, float]:
    return {round(time * 1000): float(value) for time, value in pairs}


def write_openmetrics(path: Path, series: Sequence[Series]) -> None:
    """The samples as `promtool tsdb create-blocks-from openmetrics` reads them."""
    with path.open("w") as out:
        for labels, times, values in sorted(series, key=lambda one: one[0]["__name__"]):
            inner = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
            for time, value in zip(times, values, strict=True):
                out.write(f"{labels['__name__']}{{{inner}}} {float(value)!r} {time / 1000:.3f}\n")
        out.write("# EOF\n")


@contextmanager
def serve_prometheus(
    prometheus: Path, promtool: Path, folder: Path, series: Sequence[Series], configuration: str = "global: {}\n"
) -> Iterator[PrometheusServer]:
    """Load the samples into blocks, start Prometheus over them, stop it afterwards."""
    text, data, config = folder / "samples.txt", folder / "data", folder / "prometheus.yml"
    write_openmetrics(text, series)
    config.write_text(configuration)
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", text, data], check=True, capture_output=True
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        "--enable-feature=promql-at-modifier,promql-negative-offset",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_until_ready(process)
            with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
                yield PrometheusServer(client)
        finally:
            process.terminate()
            process.communicate()


def _wait_until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "Server is ready to receive web requests" in line:
            return
    raise RuntimeError("prometheus did not start:\n" + "".join(said))
