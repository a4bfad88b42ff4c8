import http.client
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import admissions_of
from controlplane.segmentation.nginx import MAPS, NotCompiled, files_of, guard_name, read_maps, variable
from tests.controlplane.segmentation.tables import CAMERA, NOW, ROBOT, SERVICES, cut, grant, table, tables
from tests.servers.debian import NotInstalled
from tests.servers.nginx import ensure_nginx, nginx
from tests.servers.ports import free_port


def configured(files: dict[str, str], folder: Path, port: int) -> Path:
    """An nginx with one location for each service, guarded, that answers `200` itself."""
    for name, text in files.items():
        (folder / name).write_text(text)
    guards = sorted(files.keys() - {MAPS})
    locations = "\n".join(
        # `try_files` comes after `if`, where `return` would come before it.
        f"location /{name} {{ include {folder}/{name}; try_files /none @answer; }}"
        for name in guards
    )
    written = folder / "nginx.conf"
    written.write_text(f"""
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    include {folder}/{MAPS};
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        {locations}
        location @answer {{ return 200; }}
    }}
}}
""")
    return written


@contextmanager
def running(files: dict[str, str], folder: Path) -> Iterator[int]:
    port = free_port()
    try:
        with nginx(configured(files, folder, port), port):
            yield port
    except NotInstalled as missing:
        pytest.skip(str(missing))


def status(port: int, service: str, source: str) -> int:
    return asked(port, guard_name(service), source)


def asked(port: int, path: str, source: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status
    finally:
        connection.close()


@settings(max_examples=40, deadline=None)
@given(tables())
def test_what_was_compiled_reads_back_as_the_table(any_table: GrantTable) -> None:
    read = read_maps(files_of(any_table, NOW)[MAPS])
    assert read.keys() == {variable(name) for name in any_table.services}
    meant = {(variable(each.service), each.source): end for each, end in admissions_of(any_table, NOW).items()}
    found = {(name, source): end for name, admitted in read.items() for source, end in admitted.items()}
    assert found == {key: end for key, end in meant.items() if end > NOW}


def test_nginx_takes_ten_thousand_grants_of_both_families(tmp_path: Path) -> None:
    some = [grant(n, f"10.1.{n // 250}.{n % 250}" if n % 2 else f"fd00::{n:x}", "aggregator") for n in range(1, 10_000)]
    files = files_of(table(some), NOW)
    checked(configured(files, tmp_path, free_port()))


def test_the_configuration_that_the_document_shows_is_one(tmp_path: Path) -> None:
    document = Path(__file__).parents[3] / "docs" / "segmentation-compilers.md"
    [shown] = re.findall(r"```nginx\n(.*?)```", document.read_text(), re.DOTALL)
    for name, text in files_of(table([grant(1, CAMERA, "aggregator")]), NOW).items():
        (tmp_path / name).write_text(text)
    written = tmp_path / "nginx.conf"
    shown = shown.replace("/etc/nginx/ztfm", str(tmp_path)).replace("server {", f"server {{ listen {free_port()};")
    written.write_text(f"pid {tmp_path}/pid; events {{}}\n{shown}")
    checked(written)


def checked(configuration: Path) -> None:
    """Have nginx read a configuration, and complain of nothing."""
    try:
        command = [str(ensure_nginx()), "-t", "-p", str(configuration.parent), "-e", "stderr", "-c", str(configuration)]
    except NotInstalled as missing:
        pytest.skip(str(missing))
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "warn" not in found.stderr


def test_only_who_holds_a_grant_is_let_in_until_it_ends_without_a_reload(tmp_path: Path) -> None:
    now = time.time()
    held = [
        grant(1, "127.0.0.2", "gateway", expires_at=now + 300),
        grant(2, "127.0.0.3", "gateway", expires_at=now + 300),
        grant(3, "127.0.0.4", "gateway", expires_at=now + 4),
        grant(4, "127.0.0.5", "aggregator", expires_at=now + 300),
    ]
    with running(files_of(table(held, [cut(2, "127.0.0.3")]), now), tmp_path) as port:
        assert status(port, "gateway", "127.0.0.2") == 200
        assert status(port, "gateway", "127.0.0.3") == 403, "it is cut off"
        assert status(port, "gateway", "127.0.0.5") == 403, "its grant is for another service"
        assert status(port, "aggregator", "127.0.0.5") == 200
        assert status(port, "gateway", "127.0.0.6") == 403, "nobody knows it"
        asked = time.time()
        while (answer := status(port, "gateway", "127.0.0.4")) == 200:
            assert asked < now + 4, "the grant has ended"
            time.sleep(0.1)
            asked = time.time()
        assert answer == 403
        assert status(port, "gateway", "127.0.0.2") == 200


def test_a_guard_in_the_server_holds_for_whatever_location_answers(tmp_path: Path) -> None:
    files = files_of(table([grant(1, "127.0.0.2", "gateway", expires_at=time.time() + 300)]), time.time())
    guard = guard_name("gateway")
    port = free_port()
    written = configured(files, tmp_path, port)
    inner = "location /in { location /in/side { try_files /none @answer; } location /in/stead { return 200; } }"
    text = written.read_text().replace(f"root {tmp_path};", f"root {tmp_path}; include {tmp_path}/{guard}; {inner}")
    written.write_text(text)
    try:
        with nginx(written, port):
            for path in ("in/side", "in/stead", "in/../in/side", guard):
                assert (asked(port, path, "127.0.0.2"), asked(port, path, "127.0.0.3")) == (200, 403), path
    except NotInstalled as missing:
        pytest.skip(str(missing))


def test_a_service_that_is_called_like_the_file_of_maps_has_a_guard_beside_it() -> None:
    files = files_of(table([grant(1, CAMERA, "maps")], (), {"maps": SERVICES["gateway"]}), NOW)
    assert files.keys() == {MAPS, guard_name("maps")}
    assert len(files) == 2
    assert read_maps(files[MAPS]) == {variable("maps"): {CAMERA: NOW + 300}}


def test_no_two_services_share_a_variable() -> None:
    names = ["a", "a-b", "a_b", "a.b", "a:b", variable("a-b").removeprefix("ztfm_"), "a" * 64]
    assert len({variable(name) for name in names}) == len(names)
    assert len({guard_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "change",
    [
        ('default ""', 'default "x"'),
        ("10.0.1.7 ", "10.0.1.0/24 "),
        (f",{NOW + 299};", f",{NOW + 9999};"),
        ("}", ""),
        ("geo $ztfm_gateway", "map $ztfm_gateway"),
        ("\n}", "\n\tinclude more;\n}"),
    ],
)
def test_a_file_that_somebody_changed_is_told(change: tuple[str, str]) -> None:
    text = files_of(table([grant(1, CAMERA, "gateway"), grant(2, ROBOT, "gateway")]), NOW)[MAPS]
    assert change[0] in text
    with pytest.raises(NotCompiled):
        read_maps(change[1].join(text.rsplit(change[0], 1)))
